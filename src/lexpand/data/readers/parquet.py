"""Read Parquet files with pyarrow (the extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lexpand.data.readers.fields import check_header
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row, refuse_repeated
from lexpand.data.streams import name_of
from lexpand.errors import MissingExtra, RowError, SourceError

# Small enough for batches of long texts, large enough to be fast on short ones.
BATCH_ROWS = 256


def read_rows(path: Path, reading: Reading | None = None) -> Iterator[Row | RowError]:
    """Yield each row of a file; its place is ``file:row N``, from 1.

    Dates, times and decimals become strings as Arrow writes them. With ``reading``, the columns are
    checked for the fields of documents.

    Raises:
        MissingExtra: pyarrow is not installed.
        SourceError: the file is not a Parquet file, is damaged, or has invalid columns.
    """
    number = 0
    for batch in _batches(path, reading):
        for values in batch_values(batch):
            number += 1
            place = f"{name_of(path)}:row {number}"
            if isinstance(values, UnicodeDecodeError):
                yield RowError(
                    place,
                    f"a string must be UTF-8, got invalid bytes ({values}): write the file again",
                )
            else:
                yield Row(place, values)


def _batches(path: Path, reading: Reading | None) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", "reading Parquet files") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            refuse_repeated(name_of(path), file.schema_arrow.names)
            if reading is not None:
                check_header(name_of(path), file.schema_arrow.names, reading.fields)
            yield from file.iter_batches(batch_size=BATCH_ROWS)
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(
            f"{path} is not a Parquet file, or is damaged ({error}): write the file again"
        ) from error


def _readable(batch: Any) -> Any:  # noqa: ANN401 -- pyarrow has no types
    """Return the batch with dates, times and decimals as strings."""
    import pyarrow
    from pyarrow import types

    tests = (types.is_date, types.is_time, types.is_timestamp, types.is_decimal)
    columns = [
        column.cast(pyarrow.string()) if any(test(column.type) for test in tests) else column
        for column in batch.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def batch_values(batch: Any) -> Iterator[Mapping[str, object] | UnicodeDecodeError]:  # noqa: ANN401
    """Yield the rows of a record batch, with dates, times and decimals as strings.

    A row that is not UTF-8 is yielded as an error; the others are read.
    """
    batch = _readable(batch)
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield error
