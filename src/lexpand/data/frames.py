"""Read the rows of pandas, Polars and Arrow tables without importing these libraries.

The module also converts their cells to JSON, because rows from other sources may contain them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from lexpand.data.readers.parquet import BATCH_ROWS, batch_values

Values = Mapping[str, object] | UnicodeDecodeError
"""The cells of a row by column, or the error if they cannot be read."""


class Frame(NamedTuple):
    """A table in memory.

    Attributes:
        columns: the names of the columns.
        rows: an iterator over the rows, which reads some hundred at a time.
    """

    columns: list[str]
    rows: Iterator[Values]


def frame_of(given: object) -> Frame | None:
    """Return a data frame, Arrow table or record batch as a `Frame`; None for other objects."""
    frame: Any = given
    if _has(frame, "iloc", "to_dict", "columns"):
        return Frame([str(name) for name in frame.columns], _pandas_rows(frame))
    if _has(frame, "iter_rows", "columns"):
        return Frame(list(frame.columns), frame.iter_rows(named=True))
    if _has(frame, "to_batches", "schema"):
        return Frame(list(frame.schema.names), _arrow_rows(frame.to_batches()))
    if _has(frame, "to_pylist", "schema", "slice"):
        return Frame(list(frame.schema.names), _arrow_rows([frame]))
    return None


def plain_row(row: Mapping[Any, object], kept: Container[str | None]) -> dict[str, object]:
    """Return a row with cells as JSON, without missing ones (null, NaN, NaT, NA).

    Args:
        row: the cells by column. Column names become strings.
        kept: the columns whose missing cells are kept as None.
    """
    cells = ((str(name), plain(cell)) for name, cell in row.items())
    return {name: cell for name, cell in cells if cell is not None or name in kept}


def plain(cell: object) -> object:
    """Return a cell as JSON; a value of an unknown type is returned unchanged.

    NumPy scalars and arrays become Python numbers and lists. Dates and times become ISO 8601
    strings, decimals and durations strings, and missing values None.
    """
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, float):
        return None if math.isnan(cell) else float(cell)
    if isinstance(cell, Mapping):
        return {key: plain(value) for key, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(value) for value in cell]
    return _plain_scalar(cell)


def _plain_scalar(cell: Any) -> object:  # noqa: ANN401 -- of any library
    kind = type(cell).__name__
    if kind in ("NAType", "NaTType") or (
        kind in ("datetime64", "timedelta64") and str(cell) == "NaT"
    ):
        return None
    if isinstance(cell, Decimal):
        return None if cell.is_nan() else str(cell)
    if isinstance(cell, datetime.timedelta) or kind in ("datetime64", "timedelta64"):
        return str(cell)
    if hasattr(cell, "isoformat"):
        return cell.isoformat()
    convert: Callable[[], object] | None = getattr(cell, "tolist", None) or getattr(
        cell, "item", None
    )
    return cell if convert is None else plain(convert())


def _has(given: object, *names: str) -> bool:
    return not isinstance(given, type) and all(hasattr(given, name) for name in names)


def _pandas_rows(frame: Any) -> Iterator[Values]:  # noqa: ANN401 -- pandas is not imported
    for start in range(0, len(frame), BATCH_ROWS):
        yield from frame.iloc[start : start + BATCH_ROWS].to_dict("records")


def _arrow_rows(batches: Iterable[Any]) -> Iterator[Values]:
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield from batch_values(batch.slice(start, BATCH_ROWS))
