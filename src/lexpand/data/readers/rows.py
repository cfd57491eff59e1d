"""Rows on their way from a file to a document: what a reader yields, and how bad ones leave the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from lexpand.errors import DataError, RowError, SourceError

OnBadRow: TypeAlias = Callable[[RowError], None]

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
    source: Path, rows: Iterable[Row | RowError], convert: Callable[[Row], T], on_bad_row: OnBadRow | None
) -> Iterator[T]:
    """Yields what the good rows become.

    Args:
        source: where the rows come from, for the message.
        rows: what a reader yields.
        convert: makes a document or query of a row, or raises DataError.
        on_bad_row: takes each bad row; None raises the first.

    Raises:
        RowError: a bad row, where on_bad_row is None.
        SourceError: there is not one row, good or bad.
    """
    empty = True
    for row in rows:
        empty = False
        result = row if isinstance(row, RowError) else _attempt(convert, row)
        if not isinstance(result, RowError):
            yield result
        elif on_bad_row is None:
            raise result
        else:
            on_bad_row(result)
    if empty:
        wanted = "*.txt, *.md or *.markdown files, or corpus.jsonl" if source.is_dir() else "at least one row"
        raise SourceError(f"{source} is empty: it needs {wanted}")


def refuse_repeated(source: Path, columns: list[str]) -> None:
    """Checks that no two columns have one name.

    Raises:
        SourceError: two have.
    """
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise SourceError(f"{source} has the column {repeated[0]!r} twice: rename one")


def _attempt(convert: Callable[[Row], T], row: Row) -> T | RowError:
    try:
        return convert(row)
    except RowError as error:
        return error
    except DataError as error:
        return RowError(row.place, str(error))
