"""NumPy ``.npz`` files: the format of `SparseVectors.save` with more members (docs/vectors.md).

The members are ``ids``, ``vocabulary`` and ``documents``. A passage file also has ``passages``:
the document id and the characters of each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lexpand.data import Document, JsonValue, SparseVectors, VectorSpace, Vocabulary, vector_file
from lexpand.errors import DataError, RowError, SourceError
from lexpand.index.exchange.rows import RowBatch
from lexpand.index.exchange.source import ROWS, Chunk, OnBadRow, Source, encoding_of

_IDS, _VOCABULARY, _SETTINGS, _PASSAGES = "ids", "vocabulary", "documents", "passages"


def write(
    path: Path, batches: Iterable[RowBatch], space: VectorSpace, *, in_passages: bool = False
) -> None:
    """Write the file atomically. All vectors are in memory meanwhile.

    Raises:
        StorageError: the disk is full, read-only or failing.
    """
    ids, passages = list[str](), list[tuple[str | None, tuple[int, int] | None]]()
    parts = [SparseVectors([0], [], [], len(space.vocabulary), space.model)]
    for rows, vectors in batches:
        ids += [row.row_id for row in rows]
        passages += [(row.doc_id, row.span) for row in rows]
        parts.append(vectors)
    whole = SparseVectors.concatenate(parts)
    tokens = list(space.vocabulary.tokens)
    members: dict[str, Any] = {_IDS: ids, _VOCABULARY: tokens, _SETTINGS: space.encoding.to_dict()}
    if in_passages:
        members[_PASSAGES] = passages
    vector_file.write_arrays(
        path,
        whole.indptr,
        whole.terms,
        whole.weights,
        whole.vocabulary_size,
        whole.model,
        beside=members,
    )


def open_source(path: Path) -> Source:
    """Open a file. All of it is in memory while it is read.

    Raises:
        SourceError: the file is missing or damaged, or lacks ids or vocabulary.
        VectorError: a vector breaks a limit.
    """
    vectors = SparseVectors.load(path)
    ids, tokens = vector_file.read_beside(path, _IDS), vector_file.read_beside(path, _VOCABULARY)
    if not isinstance(ids, list) or not isinstance(tokens, list):
        missing = _VOCABULARY if isinstance(ids, list) else _IDS
        raise SourceError(
            f"{path} must have the member {missing!r} next to its vectors:"
            " give a file that `lexpand export` wrote"
        )
    if len(ids) != len(vectors) or len(tokens) != vectors.vocabulary_size:
        raise SourceError(
            f"{path} has {len(ids)} ids for {len(vectors)} vectors,"
            f" and {len(tokens)} tokens for {vectors.vocabulary_size} terms: write the file again"
        )
    try:
        vocabulary = Vocabulary(tokens)
    except DataError as error:
        raise SourceError(
            f"{path} has an invalid vocabulary ({error}): export the file again"
        ) from error
    encoding = encoding_of(vector_file.read_beside(path, _SETTINGS), path)
    metadata = _metadata(path, len(ids))
    return Source(
        vocabulary,
        vectors.model,
        encoding,
        lambda on_bad_row: _chunks(path, ids, metadata, vectors, on_bad_row),
    )


def _metadata(path: Path, rows: int) -> list[dict[str, JsonValue]]:
    """Return the metadata of each row: ``doc_id`` and ``span`` for passages, else nothing.

    Raises:
        SourceError: the member ``passages`` is damaged.
    """
    passages = vector_file.read_beside(path, _PASSAGES)
    if passages is None:
        return [{}] * rows
    try:
        metadata = [{"doc_id": doc_id, "span": span} for doc_id, span in passages]
    except (TypeError, ValueError):
        metadata = []
    if len(metadata) != rows:
        raise SourceError(
            f"{path}: {_PASSAGES!r} must have a document and a span for each of {rows} rows"
        )
    return metadata


def _chunks(
    path: Path,
    ids: list[str],
    metadata: Sequence[dict[str, JsonValue]],
    vectors: SparseVectors,
    on_bad_row: OnBadRow,
) -> Iterator[Chunk]:
    for start in range(0, len(ids), ROWS):
        rows = slice(start, start + ROWS)
        named = [(f"{path}:row {start + i + 1}", doc_id) for i, doc_id in enumerate(ids[rows])]
        yield named_rows(named, vectors[rows], on_bad_row, metadata[rows])


def named_rows(
    ids: list[tuple[str, str]],
    vectors: SparseVectors,
    on_bad_row: OnBadRow,
    metadata: Sequence[dict[str, JsonValue]] | None = None,
) -> Chunk:
    """Return a chunk of documents without text.

    Args:
        ids: the place and id of each row.
        vectors: the vectors of the rows.
        on_bad_row: called with each row whose id is invalid.
        metadata: the metadata of each row; None for none.
    """
    documents, kept = [], []
    for i, (place, doc_id) in enumerate(ids):
        try:
            documents.append(Document(doc_id, "", "", metadata[i] if metadata else {}, place))
            kept.append(i)
        except DataError as error:
            on_bad_row(RowError(place, str(error)))
    return Chunk(documents, vectors if len(kept) == len(ids) else vectors[kept])
