"""Out of an index: its documents' ids and stored vectors, into a file that others read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lexpand.data import VectorSpace
from lexpand.errors import DataError
from lexpand.index.exchange import ciff, jsonl, npz, parquet
from lexpand.index.exchange.formats import Format, format_of
from lexpand.index.exchange.rows import RowBatch, index_rows
from lexpand.index.exchange.source import check_scale
from lexpand.index.index import Index


@dataclass(slots=True)
class ExportReport:
    """What was written.

    Attributes:
        documents: all of the index's commit.
        passages: rows of the file; more than documents where these are in chunks.
        weights: stored ones that were written.
        dropped: stored ones that round to 0 at the scale, and were left out.
        empty: rows whose vector has no weight in the index.
    """

    documents: int = 0
    passages: int = 0
    weights: int = 0
    dropped: int = 0
    empty: int = 0


def export_index(
    index: Index,
    target: str | Path,
    *,
    format: str | None = None,
    scale: float | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write the documents of the commit that searches see, with their stored weights (docs/exchange.md).

    If a document is in chunks, there is a row a passage, whose id is ``doc_id#n`` where a document
    has several.

    The file is written beside its place and renamed, so that it is whole or not there.

    Args:
        index: what to write.
        target: the file; ``.jsonl`` may have ``.gz`` or ``.zst`` added.
        format: jsonl, npz, parquet or ciff; None for what the name says.
        scale: for jsonl and ciff, what weights are multiplied by before they are rounded to
            integers. Without it jsonl has floats, and ciff the scale that makes the largest weight
            255.
        overwrite: whether a file that is there is replaced.

    Raises:
        DataError: the target is there already, its format is unknown, or the scale is none or not
            for this format.
        MissingExtra: Parquet needs pyarrow, which is not installed.
        StorageError: the disk refuses.
    """
    path = Path(target)
    chosen = check_target(path, format, scale, overwrite)
    report = ExportReport()
    report.documents = len(index)
    batches = _counted(index_rows(index), report)
    report.dropped = write_batches(
        path, chosen, batches, index.space, scale, in_passages=index.has_chunks
    )
    report.weights -= report.dropped
    return report


def check_target(path: Path, format: str | None, scale: float | None, overwrite: bool) -> Format:
    """The format of a file that may be written.

    Raises:
        DataError: the file is there already, its format is unknown, or the scale is none or not for
            this format.
    """
    chosen = format_of(path, format, scale)
    if scale is not None:
        check_scale(scale)
    if path.is_dir() or (path.exists() and not overwrite):
        raise DataError(f"{path} is there already: choose another name, or overwrite it (--force)")
    return chosen


def write_batches(
    path: Path,
    format: Format,
    batches: Iterator[RowBatch],
    space: VectorSpace,
    scale: float | None,
    *,
    in_passages: bool = False,
) -> int:
    """Write rows with their vectors, of documents or of their passages; return how many weights round to 0."""
    match format:
        case Format.JSONL:
            return jsonl.write(path, batches, space.vocabulary, scale)
        case Format.CIFF:
            return ciff.write(path, batches, space.vocabulary, scale)
        case Format.NPZ:
            npz.write(path, batches, space, in_passages=in_passages)
        case Format.PARQUET:
            parquet.write(path, batches, space, in_passages=in_passages)
    return 0


def _counted(batches: Iterator[RowBatch], report: ExportReport) -> Iterator[RowBatch]:
    for rows, vectors in batches:
        report.passages += len(rows)
        report.weights += vectors.nnz
        report.empty += int((np.diff(vectors.indptr) == 0).sum())
        yield rows, vectors
