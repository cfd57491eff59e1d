"""From texts straight into a file that others read: encoded and written, without an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from lexpand.data import Chunks, Document, Long, SparseVectors
from lexpand.encode import Encoder, EncodingStatistics
from lexpand.errors import DataError, RowError
from lexpand.index.exchange.exporting import check_target, write_batches
from lexpand.index.exchange.rows import document_rows

# Documents that are encoded and written at a time.
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
    """Write documents' vectors as `export_index` would, in the order of the documents.

    The file is whole or not there. Memory is that of a batch, but for NPZ and CIFF, which are made
    in memory. With a `VectorCache` in the encoder, the same call after an early end encodes only
    what is left.

    Args:
        encoder: the model; long documents become what it says, but no passages.
        documents: read a batch at a time.
        target: the file.
        format: see `export_index`.
        scale: see `export_index`.
        overwrite: whether a file that is there is replaced.
        on_bad_row: called with documents that are too long (`Long.REFUSE`) and those whose id came
            before.
        on_done: called with the number of documents that were finished since the last call.

    Raises:
        DataError: see `export_index`; or the encoder makes passages of chunks, for which no format has
            a place.
        MissingExtra: Parquet needs pyarrow, which is not installed.
        StorageError: the disk refuses.
    """
    path = Path(target)
    chosen = check_target(path, format, scale, overwrite)
    if encoder.long.policy is Long.CHUNK and encoder.long.chunks is Chunks.PASSAGES:
        raise DataError(
            "a file has one vector a document: let chunks become one vector (--chunks max)"
        )
    statistics = EncodingStatistics(encoder.vocabulary)
    batches = _encoded(
        encoder, _first_of_each_id(documents, on_bad_row), statistics, on_bad_row, on_done
    )
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
        found = encoder.encode_long(batch, on_done=on_done)
        for refused in found.refused:
            on_bad_row(refused)
        ids = [document.doc_id for document in found.documents]
        statistics.add(ids, found.vectors, found.tokens, found.tokens_lost)
        yield found.documents, found.vectors


def _first_of_each_id(
    documents: Iterable[Document], on_bad_row: Callable[[RowError], None]
) -> Iterator[Document]:
    seen: set[str] = set()
    for document in documents:
        if document.doc_id in seen:
            reason = "the id came before in this source: the first row is kept; give each document one id"
            on_bad_row(RowError(document.source or "documents", reason, document.doc_id))
            continue
        seen.add(document.doc_id)
        yield document
