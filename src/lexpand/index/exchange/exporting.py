"""Export of an index: ids and stored vectors of its documents, in a file for other systems."""

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
    """The numbers of an export.

    Attributes:
        documents: the number of documents in the commit.
        passages: the number of rows in the file; more than documents if these are in chunks.
        weights: the number of weights written.
        dropped: the number of weights that round to 0 and were left out.
        empty: the number of rows whose stored vector has no weights.
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
    """Write the documents of the current commit with their stored weights (docs/exchange.md).

    If any document is in chunks, the file has a row per passage. The id of one of several passages
    is ``doc_id#n``.

    The file is written under a temporary name and renamed, so it is either complete or missing.

    Args:
        index: the index.
        target: the file; ``.jsonl`` may be followed by ``.gz`` or ``.zst``.
        format: jsonl, npz, parquet or ciff; None for that of the suffix.
        scale: for jsonl and ciff, the factor for weights, which are then rounded to integers.
            Without it, jsonl has floats, and ciff has the scale that makes the largest weight 255.
        overwrite: whether to replace an existing file.

    Raises:
        DataError: the target exists, the format is unknown, or the scale is invalid or not for this
            format.
        MissingExtra: Parquet needs pyarrow, which is not installed.
        StorageError: the disk is full, read-only or failing.
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
    """Check that a file may be written; return its format.

    Raises:
        DataError: the file exists, the format is unknown, or the scale is invalid or not for this
            format.
    """
    chosen = format_of(path, format, scale)
    if scale is not None:
        check_scale(scale)
    if path.is_dir() or (path.exists() and not overwrite):
        raise DataError(
            f"{path} already exists: choose another name, or replace it with overwrite=True"
            " (--force on the command line)"
        )
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
    """Write rows of documents or passages; return the number of weights that round to 0."""
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
