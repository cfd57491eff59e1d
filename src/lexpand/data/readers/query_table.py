r"""Read queries from lines of ``query_id\ttext``, as in MS MARCO, and from CSV with a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.column_names import QUERY_ID, need_column
from lexpand.data.readers.delimited import csv_records, tsv_records
from lexpand.data.readers.rows import Row, header_rows
from lexpand.data.streams import name_of
from lexpand.errors import RowError

# First cells of a header. Most such files have no header.
_HEADERS = ("query_id", "query-id", "qid", "id", "_id")

_ID = (*QUERY_ID, "id", "_id")
_TEXT = ("text", "query", "question", "query_text", "search", "title")


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yield a row for each line.

    If the first cell of the first line is the name of an id column, the line is a header and
    skipped.

    Raises:
        SourceError: the file cannot be opened, or is damaged.
    """
    for number, record in enumerate(tsv_records(path)):
        if isinstance(record, RowError):
            yield record
            continue
        place, cells = record
        if number == 0 and cells[0].lower() in _HEADERS:
            continue
        if len(cells) == 2:
            yield Row(place, {"query_id": cells[0], "text": cells[1]})
        else:
            reason = f"a line must have 2 columns (query_id, a tab, text), got {len(cells)}"
            yield RowError(place, reason)


def read_csv(path: Path) -> Iterator[Row | RowError]:
    """Yield a row for each record of a CSV file whose header names an id and a text.

    Raises:
        SourceError: the file cannot be opened, is damaged, or lacks one of the two columns.
    """
    names: tuple[str, str] | None = None
    for row in header_rows(name_of(path), csv_records(path, [*_ID, *_TEXT])[1]):
        if isinstance(row, RowError):
            yield row
            continue
        if names is None:
            columns = list(row.values)
            names = (
                need_column(name_of(path), columns, _ID, "the query_id"),
                need_column(name_of(path), columns, _TEXT, "the text of the query"),
            )
        query_id, text = names
        yield Row(row.place, {"query_id": row.values[query_id], "text": row.values[text]})
