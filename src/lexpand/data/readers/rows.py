"""Rows of a source, and how invalid rows are reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from lexpand.errors import DataError, RowError, SourceError

OnBadRow: TypeAlias = Callable[[RowError], None]
"""A function that takes the error of an invalid row."""

OnNote: TypeAlias = Callable[[str], None]
"""A function that takes one line about a source: an assumption, or something that was skipped."""

T = TypeVar("T")


class Row(NamedTuple):
    """One row of a source.

    Attributes:
        place: where the row is: ``docs.jsonl:12``, ``docs.parquet:row 12``, ``notes/login.md``.
        values: the values by field name.
    """

    place: str
    values: Mapping[str, object]


Reader: TypeAlias = Callable[[Path], Iterator[Row | RowError]]
"""A function that reads one kind of source as a stream.

The error of an invalid row is yielded, not raised, so later rows follow. SourceError is raised if
the rest of the source cannot be read.
"""


def convert_rows(
    rows: Iterable[Row | RowError], convert: Callable[[Row], T], on_bad_row: OnBadRow | None
) -> Iterator[T]:
    """Yield the converted rows, without invalid ones.

    Args:
        rows: the rows and errors of a reader.
        convert: a function that converts a row, or raises DataError.
        on_bad_row: a function that takes the error of each invalid row; None raises the first.

    Raises:
        RowError: a row is invalid and ``on_bad_row`` is None.
    """
    yield from keep_good(
        (row if isinstance(row, RowError) else attempt(convert, row) for row in rows), on_bad_row
    )


def keep_good(results: Iterable[T | RowError], on_bad_row: OnBadRow | None) -> Iterator[T]:
    """Yield the results that are not errors.

    Raises:
        RowError: a result is an error and ``on_bad_row`` is None.
    """
    for result in results:
        if not isinstance(result, RowError):
            yield result
        elif on_bad_row is None:
            raise result
        else:
            on_bad_row(result)


def attempt(convert: Callable[[Row], T], row: Row) -> T | RowError:
    """Return the converted row, or the error if it is invalid."""
    try:
        return convert(row)
    except RowError as error:
        return error
    except DataError as error:
        return RowError(row.place, str(error))


def refuse_empty(name: str, rows: Iterable[Row | RowError]) -> Iterator[Row | RowError]:
    """Yield the rows unchanged.

    Raises:
        SourceError: there are no rows and no errors of rows.
    """
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise SourceError(f"{name} is empty: it needs at least one row")


def header_rows(
    name: str, records: Iterable[tuple[str, list[str]] | RowError]
) -> Iterator[Row | RowError]:
    """Yield a row for each record after the first, which has the names of the columns.

    A record may be shorter than the header: programs drop empty cells at the end of a line. White
    space around names is dropped.

    Raises:
        SourceError: the header is invalid.
    """
    header: list[str] | None = None
    for record in records:
        if header is None:
            header = _header(name, record)
        elif isinstance(record, RowError):
            yield record
        else:
            yield _under(header, *record)


def _header(name: str, record: tuple[str, list[str]] | RowError) -> list[str]:
    if isinstance(record, RowError):
        raise SourceError(f"{record}; this is the header, so no row can be read") from record
    header = [column.strip() for column in record[1]]
    refuse_repeated(name, [column for column in header if column])
    return header


def _under(header: list[str], place: str, cells: list[str]) -> Row | RowError:
    if any(cells[len(header) :]):
        reason = f"a row must have {len(header)} columns as its header, got {len(cells)}"
        return RowError(place, reason)
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return Row(place, dict(zip(header, padded, strict=False)))


def refuse_repeated(name: str, columns: list[str]) -> None:
    """Check that column names are unique.

    Raises:
        SourceError: two columns have the same name.
    """
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise SourceError(f"{name} has the column {repeated[0]!r} twice: rename one")


def in_file_order(row: RowError) -> list[object]:
    """Return a key that sorts refused rows by their place: line 9 of a file before line 10."""
    parts = re.split("([0-9]+)", row.place)
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if number % 2 else part
        for number, part in enumerate(parts)
    ]
