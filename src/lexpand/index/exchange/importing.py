"""Import of vectors from a file, into an index or into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.data import DocumentEncoding, ModelId, SparseVectors, VectorSpace, Vocabulary
from lexpand.errors import DataError, RowError, SourceError, VectorError
from lexpand.index.columns import check_metadata
from lexpand.index.exchange import ciff, jsonl, npz, parquet
from lexpand.index.exchange.formats import Format, format_of
from lexpand.index.exchange.source import Chunk, OnBadRow, Source
from lexpand.index.index import Index
from lexpand.index.results import Presence
from lexpand.index.writer import COMMIT_EVERY


class ReadVectors(NamedTuple):
    """The content of a file.

    Attributes:
        ids: the id of each row.
        vectors: the vectors over the vocabulary, one row each, with the model that the file names.
        vocabulary: the terms.
    """

    ids: list[str]
    vectors: SparseVectors
    vocabulary: Vocabulary


@dataclass(slots=True)
class ImportReport:
    """The numbers of rows of a file by outcome.

    Attributes:
        added: the number of documents committed.
        unchanged: the number of documents already in the index with the same text and metadata;
            their vectors are not compared.
        refused: the invalid rows, each with its place.
        empty: the number of added documents without any term, which no query finds.
    """

    added: int = 0
    unchanged: int = 0
    refused: list[RowError] = field(default_factory=list)
    empty: int = 0


def read_vectors(
    source: str | Path,
    *,
    format: str | None = None,
    scale: float | None = None,
    vocabulary: Vocabulary | None = None,
    on_bad_row: OnBadRow | None = None,
) -> ReadVectors:
    """Read a whole file into memory.

    Args:
        source: the file.
        format: jsonl, npz, parquet or ciff; None for that of the suffix.
        scale: the divisor of weights, for jsonl and ciff. A CIFF file of Lexpand records its scale.
        vocabulary: the vocabulary of a Parquet file that has none.
        on_bad_row: called with each invalid row, which is skipped; None raises the first one.

    Raises:
        SourceError: the file is missing, damaged or truncated.
        DataError: the format is unknown, or the scale is invalid.
        RowError: a row is invalid, and on_bad_row is None.
        MissingExtra: Parquet needs pyarrow, which is not installed.
    """
    opened = _open(Path(source), format, scale, vocabulary)
    chunks = list(opened.chunks(on_bad_row or _raise))
    parts = [
        SparseVectors.empty(0, len(opened.vocabulary)),
        *(_with_model(chunk.vectors, None) for chunk in chunks),
    ]
    ids = [document.doc_id for chunk in chunks for document in chunk.documents]
    return ReadVectors(
        ids, _with_model(SparseVectors.concatenate(parts), opened.model), opened.vocabulary
    )


def import_vectors(
    index: Index | str | Path,
    source: str | Path,
    *,
    format: str | None = None,
    scale: float | None = None,
    commit_every: int = COMMIT_EVERY,
    on_done: Callable[[int], None] | None = None,
    report: ImportReport | None = None,
) -> ImportReport:
    """Add the documents of a file with their vectors, and commit at intervals and at the end.

    Terms are matched by their tokens. Invalid rows are listed in the report, and the others are
    added.

    Args:
        index: the target. If a path has no index, one is created over the vocabulary of the file.
            Its model is the one that the file names, or ``imported:<file name>`` with the hash of
            the vocabulary.
        source: see `read_vectors`; or a folder of Parquet files, which are added in the order of
            their names.
        format: see `read_vectors`.
        scale: see `read_vectors`.
        commit_every: the number of documents between commits.
        on_done: called with the number of documents processed since its last call.
        report: the report to fill and return. Pass one to keep it if the import ends early.

    Raises:
        SourceError: the file is missing, damaged or truncated. Rows before the damage are
            committed.
        VectorError: the vocabulary of the index lacks terms of the file. Nothing is added.
        ContractMismatch: the file names another model than that of the index.
        IndexStateError: the documents of the file were encoded differently from those of the index.
        DataError: the file has no valid row. No index is created.
        IndexLocked, StorageError: see `Index.add` and `Index.commit`.
    """
    path = Path(source)
    report = ImportReport() if report is None else report
    if not path.is_dir():
        return _import_file(index, path, format, scale, commit_every, on_done, report)
    parts = sorted(part for part in path.glob("*.parquet") if not part.name.startswith(("_", ".")))
    if not parts:
        raise SourceError(f"{path} must be a vector file or a folder of Parquet files")
    _check_complete(path, len(parts))
    for part in parts:
        _import_file(index, part, format, scale, commit_every, on_done, report, may_be_empty=True)
    return report


def _check_complete(folder: Path, parts: int) -> None:
    """Raise if a folder of bulk encoding lacks parts (docs/bulk.md)."""
    job = folder / "_job.json"
    if not job.is_file():
        return
    try:
        wanted = int(json.loads(job.read_text(encoding="utf-8"))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{job} cannot be read: {error}") from None
    if parts != wanted:
        raise SourceError(
            f"{folder} has {parts:,} of {wanted:,} parts: run the same `lexpand encode --on` again"
        )


def _import_file(
    index: Index | str | Path,
    path: Path,
    format: str | None,
    scale: float | None,
    commit_every: int,
    on_done: Callable[[int], None] | None,
    report: ImportReport,
    *,
    may_be_empty: bool = False,
) -> ImportReport:
    """Import one file; see `import_vectors`."""
    space = _space_of(index)
    opened = _open(path, format, scale, space.vocabulary if space else None)
    term_map = _term_map(path, opened.vocabulary, space.vocabulary) if space else None
    chunks = opened.chunks(report.refused.append)
    first = next(chunks, None)
    if first is None and may_be_empty:
        return report
    if first is None:
        raise DataError(f"{path} has no valid row: nothing was imported")
    with _target(index, space or _new_space(path, opened)) as target:
        if opened.model is not None:
            target.check_model(opened.model)
        if opened.encoding is not None:
            target.space.encoding.check_same(target.path, opened.encoding)
        try:
            for documents, vectors in chain([first], chunks):
                mapped = (
                    _with_model(vectors, None)
                    if term_map is None
                    else _map_terms(vectors, term_map, target.space)
                )
                _add(target, Chunk(documents, mapped), report)
                (on_done or (lambda _: None))(len(documents))
                if target.waiting >= commit_every:
                    _commit(target, report)
        finally:
            _commit(target, report)
    return report


def _open(
    path: Path, format: str | None, scale: float | None, vocabulary: Vocabulary | None
) -> Source:
    chosen = format_of(path, format, scale)
    if not path.is_file():
        raise SourceError(f"{path} does not exist, or is not a file: check the path")
    match chosen:
        case Format.JSONL:
            return jsonl.open_source(path, scale)
        case Format.CIFF:
            return ciff.open_source(path, scale)
        case Format.NPZ:
            return npz.open_source(path)
        case Format.PARQUET:
            return parquet.open_source(path, vocabulary)


def _raise(error: RowError) -> None:
    raise error


def _space_of(index: Index | str | Path) -> VectorSpace | None:
    """Return the vector space of an index; None if the path holds no index."""
    if isinstance(index, Index):
        return index.space
    if not Index.exists(index):
        return None
    with Index.open(index, verify=False) as opened:
        return opened.space


def _new_space(path: Path, source: Source) -> VectorSpace:
    model = source.model or ModelId(f"imported:{path.name}", source.vocabulary.sha256)
    return VectorSpace(model, source.vocabulary, "", source.encoding or DocumentEncoding())


@contextmanager
def _target(index: Index | str | Path, space: VectorSpace) -> Iterator[Index]:
    if isinstance(index, Index):
        yield index
        return
    with Index.open(index) if Index.exists(index) else Index.create(index, space) as opened:
        yield opened


def _term_map(path: Path, source: Vocabulary, target: Vocabulary) -> NDArray[np.int64] | None:
    """Return the index's term of each term of the file; None if the vocabularies are equal."""
    if source.sha256 == target.sha256:
        return None
    terms = [target.id(token) for token in source.tokens]
    unknown = [token for token, term in zip(source.tokens, terms, strict=True) if term is None]
    if unknown:
        raise VectorError(
            f"{path} has terms that the index's vocabulary lacks"
            f" ({len(unknown)}, the first {unknown[0]!r}):"
            " import it into an index of the same model, or into a new one"
        )
    return np.array(terms, np.int64)


def _map_terms(
    vectors: SparseVectors, term_map: NDArray[np.int64], space: VectorSpace
) -> SparseVectors:
    terms = term_map[vectors.terms]
    order = np.lexsort((terms, vectors.owners))
    return SparseVectors(
        vectors.indptr, terms[order], vectors.weights[order], len(space.vocabulary)
    )


def _with_model(vectors: SparseVectors, model: ModelId | None) -> SparseVectors:
    return SparseVectors(
        vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size, model
    )


def _add(index: Index, chunk: Chunk, report: ImportReport) -> None:
    kept = []
    for i, (document, presence) in enumerate(
        zip(chunk.documents, index.presence(chunk.documents), strict=True)
    ):
        if presence is Presence.SAME:
            report.unchanged += 1
            continue
        try:
            check_metadata(index.schema.columns, document)
            if presence is Presence.OTHER:
                raise DataError(
                    "the id is taken by a document with different content:"
                    " delete that document, or leave this one out"
                )
            kept.append(i)
        except DataError as error:
            report.refused.append(RowError(document.source, str(error), document.doc_id))
    vectors = chunk.vectors[kept]
    report.empty += int((np.diff(vectors.indptr) == 0).sum())
    index.add([chunk.documents[i] for i in kept], vectors)


def _commit(index: Index, report: ImportReport) -> None:
    waiting = index.waiting
    index.commit()
    report.added += waiting
