"""One ``.npz`` file: vectors as `SparseVectors.save` writes them, with ids and vocabulary beside (docs/vectors.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lexpand.data import Document, SparseVectors, VectorSpace, Vocabulary, vector_file
from lexpand.errors import DataError, RowError, SourceError
from lexpand.index.exchange.source import ROWS, Chunk, OnBadRow, Source, encoding_of

_IDS, _VOCABULARY, _SETTINGS = "ids", "vocabulary", "documents"


def write(path: Path, batches: Iterable[tuple[list[Document], SparseVectors]], space: VectorSpace) -> None:
    """Write the file, atomically; all vectors are in memory meanwhile.

    Raises:
        StorageError: the disk refuses.
    """
    ids: list[str] = []
    parts = [SparseVectors([0], [], [], len(space.vocabulary), space.model)]
    for documents, vectors in batches:
        ids += [document.doc_id for document in documents]
        parts.append(vectors)
    whole = SparseVectors.concatenate(parts)
    beside = {_IDS: ids, _VOCABULARY: list(space.vocabulary.tokens), _SETTINGS: space.encoding.to_dict()}
    vector_file.write_arrays(
        path, whole.indptr, whole.terms, whole.weights, whole.vocabulary_size, whole.model, beside=beside
    )


def open_source(path: Path) -> Source:
    """Open a file; all of it is in memory as long as it is read.

    Raises:
        SourceError: the file is missing, damaged, or lacks ids or vocabulary.
        VectorError: its vectors break a limit.
    """
    vectors = SparseVectors.load(path)
    ids, tokens = vector_file.read_beside(path, _IDS), vector_file.read_beside(path, _VOCABULARY)
    if not isinstance(ids, list) or not isinstance(tokens, list):
        missing = _VOCABULARY if isinstance(ids, list) else _IDS
        raise SourceError(f"{path} has no {missing!r} beside its vectors: give a file that `lexpand export` wrote")
    if len(ids) != len(vectors) or len(tokens) != vectors.vocabulary_size:
        raise SourceError(
            f"{path} has {len(ids)} ids for {len(vectors)} vectors, "
            f"and {len(tokens)} tokens for {vectors.vocabulary_size} terms: write it again"
        )
    try:
        vocabulary = Vocabulary(tokens)
    except DataError as error:
        raise SourceError(f"{path}: {error}") from error
    encoding = encoding_of(vector_file.read_beside(path, _SETTINGS), path)
    return Source(vocabulary, vectors.model, encoding, lambda on_bad_row: _chunks(path, ids, vectors, on_bad_row))


def _chunks(path: Path, ids: list[str], vectors: SparseVectors, on_bad_row: OnBadRow) -> Iterator[Chunk]:
    for start in range(0, len(ids), ROWS):
        yield named_rows(
            [(f"{path}:row {start + i + 1}", doc_id) for i, doc_id in enumerate(ids[start : start + ROWS])],
            vectors[start : start + ROWS],
            on_bad_row,
        )


def named_rows(ids: list[tuple[str, str]], vectors: SparseVectors, on_bad_row: OnBadRow) -> Chunk:
    """A chunk of documents without text.

    Args:
        ids: of each row, its place and its id.
        vectors: the rows.
        on_bad_row: takes those whose id is no legal one.
    """
    documents, kept = [], []
    for i, (place, doc_id) in enumerate(ids):
        try:
            documents.append(Document(doc_id, "", source=place))
            kept.append(i)
        except DataError as error:
            on_bad_row(RowError(place, str(error)))
    return Chunk(documents, vectors if len(kept) == len(ids) else vectors[kept])
