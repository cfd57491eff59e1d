"""Encode the stored documents of an index again, with another model or other settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lexpand.collection.folders import repair_swap, swap
from lexpand.collection.settings import IndexSettings, make_index, open_index
from lexpand.collection.synchronizing import sync
from lexpand.data import Document, DocumentEncoding, Fields, Pruning
from lexpand.encode import Contract, Encoder, Role, Rules, VectorCache
from lexpand.encode.folder import ModelFolder, find_folder
from lexpand.errors import ContractMismatch, DataError, IndexStateError, ModelError, RowError
from lexpand.index import COMMIT_EVERY, Index
from lexpand.index.results import IndexInfo
from lexpand.search import encoder_of

_REFUSED_SHOWN = 3
_USUAL_LIMIT = 512


@dataclass(frozen=True, slots=True)
class ReencodeReport:
    """What `reencode` did.

    Attributes:
        documents: in the index.
        encoded: documents that this call encoded; the others were done by an interrupted call.
        before, after: labels of the models.
        terms_before, terms_after: mean terms of a vector.
        kept: the folder of the old index; None if it was removed.
        changed: false if the index already was as requested, and nothing was done.
    """

    documents: int
    encoded: int
    before: str
    after: str
    terms_before: float
    terms_after: float
    kept: Path | None = None
    changed: bool = True


def unfinished(path: Path) -> Path:
    """Return the folder in which `reencode` builds the new index."""
    return path.with_name(f".{path.name}.reencode")


def reencode(
    path: str | Path,
    *,
    model: str | Path | None = None,
    encoding: Mapping[str, Any] | None = None,
    rules: Rules | str | Path | None = None,
    words: str | None = None,
    threads: int | None = None,
    cache: str | Path | None = None,
    keep: str | Path | None = None,
    commit_every: int = COMMIT_EVERY,
    on_done: Callable[[int], None] | None = None,
    restart: bool = False,
) -> ReencodeReport:
    """Encode the stored documents of an index again, and replace the index in one step.

    What is not given stays as the index records it: model, encoding, rules, BM25 field, columns and
    fields. The new index grows in a folder next to the old one, which can be searched meanwhile,
    but not be changed. After an interruption, the same call continues. The old index is replaced
    only when all documents are in the new one.

    Args:
        path: the folder of the index.
        model: ``default`` or the path of a model folder; by default that of the index.
        encoding: fields of `DocumentEncoding` that change.
        rules: edits of vectors, or the path of a rules file.
        words: the language of the BM25 field; ``none`` for no BM25 field.
        threads: the number of threads of one call; by default all cores of this process.
        cache: the path of a vector cache.
        keep: a folder, not yet there, to which the old index is moved; by default it is removed.
        commit_every: the number of documents between commits.
        on_done: a function that takes the number of documents finished since its last call.
        restart: discard what an interrupted call has done, instead of continuing it.

    Raises:
        NotAnIndex, CorruptIndex: see `Index.open`.
        IndexLocked: another writer has the index open.
        ModelError, DataError: the model cannot be loaded, or does not take the recorded settings.
        DataError: a stored document has a vector and no text, as in an index of imported vectors,
            or the new settings refuse a document. The old index stays.
        IndexStateError: an interrupted call had other settings, or ``keep`` exists.
        StorageError: the disk refuses. The old index stays.
    """
    path = Path(path).resolve()
    kept = None if keep is None else Path(keep).resolve()
    if kept is not None:
        _check_kept(kept, path)
    repair_swap(path)
    with Index.open(path) as old:
        old.lock()
        _check_texts(old)
        settings = _settings(old, model, encoding or {}, rules, words)
        before, total = old.info(), len(old)
        target = unfinished(path)
        if restart:
            shutil.rmtree(target, ignore_errors=True)
        index, encoder = _opened(target, settings, threads)
        with index:
            if _is_same(old, index):
                index.close()
                shutil.rmtree(target)
                terms, label = _mean_terms(before), old.space.model.label
                return ReencodeReport(total, 0, label, label, terms, terms, changed=False)
            refused: list[RowError] = []
            with ExitStack() as stack:
                if cache is not None:
                    stored = stack.enter_context(closing(VectorCache(Path(cache))))
                    encoder = encoder.with_cache(stored)
                done = sync(
                    index,
                    encoder,
                    _documents(old),
                    refused=refused,
                    force=True,
                    commit_every=commit_every,
                    on_done=on_done,
                )
            _check_complete(path, refused)
            after = index.info()
        if os.name == "nt":  # a folder with open files cannot be moved there
            old.close()
        swap(target, path, kept)
        return ReencodeReport(
            total,
            done.ingest.added,
            before.space.model.label,
            after.space.model.label,
            _mean_terms(before),
            _mean_terms(after),
            None if keep is None else Path(keep),
        )


def _settings(
    old: Index,
    model: str | Path | None,
    changes: Mapping[str, Any],
    rules: Rules | str | Path | None,
    words: str | None,
) -> IndexSettings:
    """Return the settings of the new index: those of the old one with changes."""
    chosen = model or old.space.location
    if not chosen:
        raise DataError(
            f"{old.path} does not record where its model {old.space.model.label} is: name a model"
            " (--model on the command line)"
        )
    encoding = old.space.encoding
    recorded = {name: getattr(encoding, name) for name in DocumentEncoding.__slots__}
    recorded["max_tokens"] = _length(old, chosen)
    if rules is not None:
        recorded |= {"rules": "", "rules_hash": ""}
    if "pruning" not in changes:
        recorded["pruning"] = _moved(encoding.pruning, old, chosen)
    return IndexSettings(
        model=chosen,
        encoding={**recorded, **changes},
        rules=rules,
        words=(old.schema.words or "none") if words is None else words,
        columns={name: kind.value for name, kind in old.schema.columns.items()},
        fields=Fields.from_dict(old.source_fields),
    )


def _length(old: Index, model: str | Path) -> int:
    """Return the recorded length of documents for another model, or the limit of that model.

    An index records the limit of its model as if it had been chosen. If its model is not there any
    more, a length of 512, the limit of most models, counts as a limit, and another one as chosen.
    """
    limit = Contract.load(find_folder(model)).max_tokens[Role.DOCUMENT]
    recorded = old.space.encoding.max_tokens
    own = _USUAL_LIMIT
    try:
        contract = Contract.load(find_folder(old.space.location or "default"))
        if contract.hash == old.space.model.hash:
            own = contract.max_tokens[Role.DOCUMENT]
    except ModelError:  # the old model is gone
        pass
    return limit if recorded is None or recorded == own else min(recorded, limit)


def _moved(pruning: Pruning | str, old: Index, model: str | Path) -> Pruning | str:
    """Return recorded pruning rules for another model: banned terms keep their tokens."""
    if isinstance(pruning, str) or not pruning.banned:
        return pruning
    vocabulary = ModelFolder(find_folder(model)).tokens.vocabulary
    tokens = [old.space.vocabulary.tokens[term] for term in pruning.banned]
    known = {token: term for term, token in enumerate(vocabulary.tokens)}
    return replace(pruning, banned=frozenset(known[token] for token in tokens if token in known))


def _opened(target: Path, settings: IndexSettings, threads: int | None) -> tuple[Index, Encoder]:
    """Create the new index, or open that of an interrupted call."""
    if not Index.exists(target):
        shutil.rmtree(target, ignore_errors=True)
        return make_index(target, settings, threads)
    index: Index | None = None
    try:
        index = open_index(target, settings)
        encoder = encoder_of(index, model=settings.model, threads=threads)
        index.check_model(encoder.space.model)
    except (ContractMismatch, IndexStateError) as error:
        if index is not None:
            index.close()
        raise IndexStateError(
            f"{target} has the work of an interrupted call with other settings: repeat that call,"
            f" or discard its work with restart=True (--restart on the command line); {error}"
        ) from error
    return index, encoder


def _is_same(old: Index, new: Index) -> bool:
    """Return whether the old index already has the model and the settings of the new one."""
    return (
        old.space.model.hash == new.space.model.hash
        and old.space.encoding.to_dict() == new.space.encoding.to_dict()
        and old.schema.words == new.schema.words
    )


def _mean_terms(info: IndexInfo) -> float:
    return info.nnz / max(1, info.passages)


def _check_kept(kept: Path, path: Path) -> None:
    """Check that the old index can be moved there, before anything is encoded.

    Raises:
        IndexStateError: it cannot.
    """
    if kept.exists():
        raise IndexStateError(f"{kept} exists, and the old index would go there: name a new folder")
    if not kept.parent.is_dir() or kept.parent.stat().st_dev != path.parent.stat().st_dev:
        raise IndexStateError(
            f"{kept} must be in a folder on the disk of {path}, because the old index is moved"
            " there (--keep on the command line): name another one"
        )


def _check_texts(old: Index) -> None:
    """Check that no document has a vector without a text, as imported ones may.

    Raises:
        DataError: one has.
    """
    for batch in old.stored_passages():
        sizes = np.diff(batch.vectors.indptr)
        for (document, _), size in zip(batch.passages, sizes.tolist(), strict=True):
            if size and not document.full_text.strip():
                raise DataError(
                    f"{old.path} has vectors without texts, the first of {document.doc_id!r}, so"
                    " they cannot be encoded again: index the texts instead"
                )


def _documents(old: Index) -> Iterator[Document]:
    """Yield the stored documents, in order."""
    last = ""
    for batch in old.stored_passages():
        for document, _ in batch.passages:
            if document.doc_id != last:
                yield document
            last = document.doc_id


def _check_complete(path: Path, refused: list[RowError]) -> None:
    """Check that every document of the old index is in the new one.

    Raises:
        DataError: some are refused.
    """
    if not refused:
        return
    listed = "; ".join(str(row) for row in refused[:_REFUSED_SHOWN])
    raise DataError(
        f"{path} was not replaced, because the new settings refuse {len(refused):,} of its"
        " documents: choose others, such as another policy for long documents, and discard the work"
        f" so far with restart=True (--restart on the command line). The first: {listed}"
    )
