"""Read the labels of queries: ``tags.tsv`` with a column of 0 and 1 for each label."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lexpand.data.readers.column_names import QUERY_ID, need_column
from lexpand.data.readers.delimited import tsv_records
from lexpand.data.readers.rows import Row, attempt, header_rows
from lexpand.data.streams import name_of
from lexpand.errors import DataError, RowError

_IS_SET = {"1": True, "0": False, "": False}


class Tagged(NamedTuple):
    """The labels of a query.

    Attributes:
        place: the file and the line.
        query_id: the id of the query.
        tags: the names of the columns with a 1.
    """

    place: str
    query_id: str
    tags: tuple[str, ...]


def read_tags(path: Path) -> Iterator[Tagged | RowError]:
    """Yield the labels of each query.

    Raises:
        SourceError: the file cannot be opened, is damaged, or has no column of ids.
    """
    column: str | None = None
    for row in header_rows(name_of(path), tsv_records(path)):
        if isinstance(row, RowError):
            yield row
            continue
        if column is None:
            column = need_column(name_of(path), list(row.values), QUERY_ID, "the query_id")
        yield attempt(partial(_tagged, column=column), row)


def _tagged(row: Row, column: str) -> Tagged:
    tags = []
    for name, cell in row.values.items():
        if name == column:
            continue
        if str(cell).strip() not in _IS_SET:
            raise DataError(f"the label {name!r} must be 0 or 1, got {cell!r}; correct the cell")
        if _IS_SET[str(cell).strip()]:
            tags.append(name)
    return Tagged(row.place, str(row.values[column]), tuple(tags))
