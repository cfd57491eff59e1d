"""Into an index, or into memory: the vectors of a file that others, or `export_index`, wrote."""

from __future__ import annotations

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
    """A file in memory.

    Attributes:
        ids: of each row.
        vectors: one row each, over the vocabulary; of the model that the file names, if any.
        vocabulary: the terms.
    """

    ids: list[str]
    vectors: SparseVectors
    vocabulary: Vocabulary


@dataclass(slots=True)
class ImportReport:
    """What became of the rows of a file.

    Attributes:
        added: documents committed.
        unchanged: there already with the same text and metadata; their vectors are not compared.
        refused: rows that cannot be used, each with its place.
        empty: of the documents added, those without any term, which no query finds.
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
        format: jsonl, npz, parquet or ciff; None for what the name says.
        scale: for jsonl and ciff, what weights are divided by; a CIFF file of Lexpand says its own.
        vocabulary: for a Parquet file that names none.
        on_bad_row: takes each row that cannot be used, and the reading goes on; None raises the
            first.

    Raises:
        SourceError: the file is missing, damaged or cut short.
        DataError: its format is unknown, or the scale is none.
        RowError: a row that cannot be used, where on_bad_row is None.
        MissingExtra: Parquet needs pyarrow, which is not installed.
    """
    opened = _open(Path(source), format, scale, vocabulary)
    chunks = list(opened.chunks(on_bad_row or _raise))
    parts = [
        SparseVectors.empty(0, len(opened.vocabulary)),
        *(_of_model(chunk.vectors, None) for chunk in chunks),
    ]
    ids = [document.doc_id for chunk in chunks for document in chunk.documents]
    return ReadVectors(
        ids, _of_model(SparseVectors.concatenate(parts), opened.model), opened.vocabulary
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
    """Add the documents of a file with their vectors, with a commit every so often and at the end.

    Terms are matched by their tokens. Rows that cannot be used are listed in the report, and the
    others added.

    Args:
        index: where to; a path that has no index is made one, over the file's vocabulary. Its model
            is the file's where the file names one, else ``imported:<file name>`` with the
            vocabulary's hash.
        source: as `read_vectors` takes it.
        format: as there.
        scale: as there.
        commit_every: documents between commits.
        on_done: called with the number of documents dealt with since its last call.
        report: filled as the work goes on, and returned; hand one in to have it where the work ends
            early.

    Raises:
        SourceError: the file is missing, damaged or cut short; rows before the damage are
            committed.
        VectorError: the file has terms that the index's vocabulary lacks; nothing is added then.
        ContractMismatch: the file names another model than the index's.
        IndexStateError: the file says that its documents were encoded otherwise than the index's.
        DataError: the file has no row that can be used; no index is made then.
        IndexLocked, StorageError: see `Index.add` and `Index.commit`.
    """
    path = Path(source)
    report = ImportReport() if report is None else report
    known = _space_of(index)
    opened = _open(path, format, scale, known.vocabulary if known else None)
    numbers = _numbers(path, opened.vocabulary, known.vocabulary) if known else None
    chunks = opened.chunks(report.refused.append)
    first = next(chunks, None)
    if first is None:
        raise DataError(f"{path} has no row that can be used: nothing was imported")
    with _target(index, known or _new_space(path, opened)) as target:
        if opened.model is not None:
            target.check_model(opened.model)
        if opened.encoding is not None:
            target.space.encoding.check_same(target.path, opened.encoding)
        try:
            for documents, vectors in chain([first], chunks):
                mapped = (
                    _of_model(vectors, None)
                    if numbers is None
                    else _mapped(vectors, numbers, target.space)
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
        raise SourceError(f"{path} does not exist, or is no file: check the path")
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
    """The space of an index that is there."""
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


def _numbers(path: Path, theirs: Vocabulary, ours: Vocabulary) -> NDArray[np.int64] | None:
    """Our term of each of theirs; None where they are the same."""
    if theirs.sha256 == ours.sha256:
        return None
    found = [ours.id(token) for token in theirs.tokens]
    unknown = [token for token, number in zip(theirs.tokens, found, strict=True) if number is None]
    if unknown:
        raise VectorError(
            f"{path}: terms that the index's vocabulary lacks: {len(unknown)}, the first {unknown[0]!r}; "
            "import it into an index of the same model, or into a new one"
        )
    return np.array(found, np.int64)


def _mapped(
    vectors: SparseVectors, numbers: NDArray[np.int64], space: VectorSpace
) -> SparseVectors:
    terms = numbers[vectors.terms]
    order = np.lexsort((terms, vectors.owners))
    return SparseVectors(
        vectors.indptr, terms[order], vectors.weights[order], len(space.vocabulary)
    )


def _of_model(vectors: SparseVectors, model: ModelId | None) -> SparseVectors:
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
                    "the id is taken by a document with another content: delete that, or leave this out"
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
