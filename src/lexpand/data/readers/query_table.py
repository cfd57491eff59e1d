r"""Queries as lines of ``query_id\ttext``, as MS MARCO has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.delimited import tsv_records
from lexpand.data.readers.rows import Row
from lexpand.errors import RowError

# First cells that mark a header, which most such files do not have.
_HEADERS = ("query_id", "query-id", "qid", "id", "_id")


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yields a row a line; a first line whose first cell names an id column is a header and skipped.

    Raises:
        SourceError: the file cannot be opened, or is damaged from some line on.
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
            yield RowError(place, f"{len(cells)} columns where 2 are needed: query_id, a tab, text")
