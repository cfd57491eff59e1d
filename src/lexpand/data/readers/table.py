"""Tables of text cells: check the header once, and make rows."""

from __future__ import annotations

from collections.abc import Sequence

from lexpand.data.readers.cells import parse_cell
from lexpand.data.readers.fields import check_header, listed
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row, refuse_repeated
from lexpand.errors import DataError, RowError


class Table:
    """A table with text cells, which converts records to rows.

    Args:
        name: the name of the source, for messages.
        header: the names of the columns; white space around them is dropped.
        reading: the fields, and the types of declared columns.

    Raises:
        SourceError: a column name is repeated, or the table lacks its text or a named field.
    """

    def __init__(self, name: str, header: list[str], reading: Reading) -> None:
        header = [column.strip() for column in header]
        refuse_repeated(name, header)
        roles = check_header(name, header, reading.fields)
        for column in reading.columns:
            if column not in header:
                reading.on_note(
                    f"{name} has no declared column {column!r}; it has {listed(header)}"
                )
        self._header, self._id = header, roles.doc_id
        self._types = {
            column: str(kind)
            for column, kind in reading.columns.items()
            if column in header and column not in roles
        }

    def row(self, place: str, cells: Sequence[str]) -> Row | RowError:
        """Return the row of a record, without empty cells of declared columns."""
        if len(cells) != len(self._header):
            reason = f"a row must have {len(self._header)} columns as its header, got {len(cells)}"
            return RowError(place, reason)
        values: dict[str, object] = dict(zip(self._header, cells, strict=True))
        try:
            self._parse(values)
        except DataError as error:
            return RowError(place, str(error), None if self._id is None else str(values[self._id]))
        return Row(place, values)

    def _parse(self, values: dict[str, object]) -> None:
        for name, type_name in self._types.items():
            value = parse_cell(name, type_name, str(values[name]))
            if value is None:
                del values[name]
            else:
                values[name] = value
