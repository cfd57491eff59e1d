"""Encode documents and write their vectors to a file, without an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from lexpand.data import Chunks, Document, Long, SparseVectors
from lexpand.encode import Encoder, EncodingStatistics
from lexpand.errors import DataError, RowError
from lexpand.index.exchange.exporting import check_target, write_batches
from lexpand.index.exchange.rows import document_rows

# Documents per batch.
_BATCH = 256


def encode_to_file(
    encoder: Encoder,
    documents: Iterable[Document],
    target: str | Path,
    *,
    format: str | None = None,
    scale: float | None = None,
    overwrite: bool = False,
    on_bad_row: Callable[[RowError], None],
    on_done: Callable[[int], None] | None = None,
) -> EncodingStatistics:
    """Write the vectors of documents as `export_index` would, in the order of the documents.

    The file is written atomically. NPZ and CIFF files are built in memory; other formats need the
    memory of one batch. If the encoder has a `VectorCache`, a repeated call after an early end
    encodes only the remaining documents.

    Args:
        encoder: the model. It must give one vector per document.
        documents: the documents, read batch by batch.
        target: the path of the file.
        format: see `export_index`.
        scale: see `export_index`.
        overwrite: whether an existing file is replaced.
        on_bad_row: a function that takes the error of each document that is too long
            (`Long.REFUSE`) or has a repeated id.
        on_done: a function that takes the number of documents finished since its last call.

    Raises:
        DataError: see `export_index`; or the encoder makes passages of chunks, which no format
            supports.
        DataError: the file exists and no document is usable. The file stays as it is.
        MissingExtra: the format is Parquet and pyarrow is not installed.
        StorageError: the file cannot be written.
    """
    path = Path(target)
    chosen = check_target(path, format, scale, overwrite)
    if encoder.long.policy is Long.CHUNK and encoder.long.chunks is Chunks.PASSAGES:
        raise DataError(
            "a file must have one vector per document, got an encoder that makes passages: "
            "let chunks become one vector with Chunks.MAX (--chunks max on the command line)"
        )
    statistics = EncodingStatistics(encoder.vocabulary)
    batches = _encoded(
        encoder, _first_of_each_id(documents, on_bad_row), statistics, on_bad_row, on_done
    )
    if path.exists():
        batches = _at_least_one(batches, path)
    write_batches(path, chosen, document_rows(batches), encoder.space, scale)
    return statistics


def _encoded(
    encoder: Encoder,
    documents: Iterator[Document],
    statistics: EncodingStatistics,
    on_bad_row: Callable[[RowError], None],
    on_done: Callable[[int], None] | None,
) -> Iterator[tuple[list[Document], SparseVectors]]:
    while batch := list(islice(documents, _BATCH)):
        encoded = encoder.encode_long(batch, on_done=on_done)
        for row in encoded.refused:
            on_bad_row(row)
        ids = [document.doc_id for document in encoded.documents]
        statistics.add(ids, encoded.vectors, encoded.tokens, encoded.tokens_lost)
        yield encoded.documents, encoded.vectors


def _at_least_one(
    batches: Iterator[tuple[list[Document], SparseVectors]], path: Path
) -> Iterator[tuple[list[Document], SparseVectors]]:
    """Yield the batches, and fail if they have no document."""
    found = False
    for documents, vectors in batches:
        found = found or bool(documents)
        yield documents, vectors
    if not found:
        raise DataError(
            f"the source must have a usable row to replace {path}, got none: nothing was replaced;"
            " check the source"
        )


def _first_of_each_id(
    documents: Iterable[Document], on_bad_row: Callable[[RowError], None]
) -> Iterator[Document]:
    seen: set[str] = set()
    for document in documents:
        if document.doc_id in seen:
            reason = (
                "an id must be unique in a source, got one of an earlier row: "
                "the first row is kept; give each document its own id"
            )
            on_bad_row(RowError(document.source or "documents", reason, document.doc_id))
            continue
        seen.add(document.doc_id)
        yield document
