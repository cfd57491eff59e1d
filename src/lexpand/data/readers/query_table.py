r"""Read queries from lines of ``query_id\ttext``, as in MS MARCO."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.delimited import tsv_records
from lexpand.data.readers.rows import Row
from lexpand.errors import RowError

# First cells of a header. Most such files have no header.
_HEADERS = ("query_id", "query-id", "qid", "id", "_id")


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
