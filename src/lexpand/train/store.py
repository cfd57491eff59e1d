"""Examples and training rows on disk, so that data larger than memory can be trained on."""

from __future__ import annotations

import json
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from lexpand.errors import DataError, StorageError

_ROWS = 1000
"""Rows that are written at a time."""


class RecordFile:
    """JSON values in a temporary file, read by their place.

    Memory holds 8 bytes for each value. The file has no name, and its space is free when the object
    is no longer used.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the object
        weakref.finalize(self, self._file.close)
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, value: Any) -> None:  # noqa: ANN401 - a JSON value
        """Write a value at the end.

        Raises:
            StorageError: the disk refuses.
        """
        line = json.dumps(value).encode()
        with _refused("the examples", Path(tempfile.gettempdir())):
            self._file.seek(self._ends[-1])
            self._file.write(line)
        self._ends.append(self._ends[-1] + len(line))

    def read(self, place: int) -> Any:  # noqa: ANN401 - a JSON value
        """Return the value at a place, from 0."""
        start, end = self._ends[place], self._ends[place + 1]
        with _refused("the examples", Path(tempfile.gettempdir())):  # it may flush what is written
            self._file.seek(start)
            return json.loads(self._file.read(end - start))


def rows_on_disk(rows: Iterable[dict[str, Any]], file: Path) -> Any:  # noqa: ANN401
    """Write rows to an Arrow file, and return the Dataset (of datasets) that reads it.

    Args:
        rows: with the same columns; at least one.
        file: an existing file is replaced.

    Raises:
        DataError: there is no row.
        StorageError: the disk refuses.
    """
    import pyarrow as pa
    from datasets import Dataset

    remaining = iter(rows)
    first = list(islice(remaining, _ROWS))
    if not first:
        raise DataError("training needs rows, got none")
    batch = pa.RecordBatch.from_pylist(first)
    with (
        _refused("the rows", file),
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)
        while more := list(islice(remaining, _ROWS)):
            writer.write_batch(pa.RecordBatch.from_pylist(more, schema=batch.schema))
    return Dataset.from_file(str(file))


@contextmanager
def _refused(what: str, place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {what} to {place}: {error.strerror or error}; free the disk and run the"
            " same command again"
        ) from error
