"""Rows on their way from a source to a document: what a reader yields, and how bad ones leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from lexpand.errors import DataError, RowError, SourceError

OnBadRow: TypeAlias = Callable[[RowError], None]
"""Takes a row that cannot be used."""

OnNote: TypeAlias = Callable[[str], None]
"""Takes one line about a source: what was taken for granted, or left out."""

T = TypeVar("T")


class Row(NamedTuple):
    """One row of a source.

    Attributes:
        place: where it is: ``docs.jsonl:12``, ``docs.parquet:row 12``, ``notes/login.md``.
        values: its fields by name.
    """

    place: str
    values: Mapping[str, object]


Reader: TypeAlias = Callable[[Path], Iterator[Row | RowError]]
"""Reads one kind of source as a stream. A bad row is yielded, not raised, so that the ones behind it follow.

It raises SourceError where the source as a whole cannot be read on.
"""


def convert_rows(
    rows: Iterable[Row | RowError], convert: Callable[[Row], T], on_bad_row: OnBadRow | None
) -> Iterator[T]:
    """Yields what the good rows become.

    Args:
        rows: what a reader yields.
        convert: makes a document or query of a row, or raises DataError.
        on_bad_row: takes each bad row; None raises the first.

    Raises:
        RowError: a bad row, where on_bad_row is None.
    """
    yield from keep_good(
        (row if isinstance(row, RowError) else attempt(convert, row) for row in rows), on_bad_row
    )


def keep_good(results: Iterable[T | RowError], on_bad_row: OnBadRow | None) -> Iterator[T]:
    """Yields the results that are no errors.

    Raises:
        RowError: the first error, where on_bad_row is None.
    """
    for result in results:
        if not isinstance(result, RowError):
            yield result
        elif on_bad_row is None:
            raise result
        else:
            on_bad_row(result)


def attempt(convert: Callable[[Row], T], row: Row) -> T | RowError:
    """What a row becomes, or why it cannot be used."""
    try:
        return convert(row)
    except RowError as error:
        return error
    except DataError as error:
        return RowError(row.place, str(error))


def refuse_empty(name: str, rows: Iterable[Row | RowError]) -> Iterator[Row | RowError]:
    """Yields the rows unchanged.

    Raises:
        SourceError: there is not one, good or bad.
    """
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise SourceError(f"{name} is empty: it needs at least one row")


def refuse_repeated(name: str, columns: list[str]) -> None:
    """Checks that no two columns have one name.

    Raises:
        SourceError: two have.
    """
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise SourceError(f"{name} has the column {repeated[0]!r} twice: rename one")
