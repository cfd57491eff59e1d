"""Read and check the lines of columns in run and qrels files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lexpand.data.documents import check_id
from lexpand.data.streams import bad_utf8, read_lines
from lexpand.errors import DataError, RowError

_INTEGER = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")


def read_columns(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the place (``file:line``) and the bytes of each nonblank line, without its line end."""
    for number, line in read_lines(path):
        if not line.isspace():
            yield f"{path}:{number}", line.rstrip(b"\r\n")


def split_columns(
    place: str, line: bytes, names: Sequence[str], separator: bytes | None = None
) -> list[str]:
    """Split a line into columns.

    Args:
        place: the file and line number, for the message.
        line: the bytes of the line. Only ASCII white space separates columns, so an id may contain
            a no-break space.
        names: the names of the columns.
        separator: the separator of columns; None for one or more white space characters.

    Raises:
        RowError: the number of columns is wrong, or the line is not UTF-8.
    """
    cells = line.split(separator)
    if len(cells) != len(names):
        raise RowError(
            place, f"a line must have {len(names)} columns ({' '.join(names)}), got {len(cells)}"
        )
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise RowError(place, bad_utf8(error)) from None
    return [cell.decode() for cell in cells]


def parse_integer(place: str, cell: str, name: str) -> int:
    """Return an integer of at most 18 digits; zeros may follow a decimal point.

    Raises:
        RowError: the cell is not such a number.
    """
    whole = _INTEGER.fullmatch(cell)
    if whole is None:
        raise RowError(place, f"the {name} must be a whole number, got {cell!r}; correct the line")
    return int(whole[1])


def check_row_id(place: str, cell: str, name: str) -> str:
    """Return an id unchanged if it is valid; see `check_id`.

    Raises:
        RowError: the id is invalid.
    """
    try:
        return check_id(cell, name)
    except DataError as error:
        raise RowError(place, str(error)) from None


def check_trec(value: str, name: str) -> str:
    """Return a string unchanged if a column of a TREC file can hold it.

    Raises:
        DataError: the string is empty or contains white space, which separates the columns.
    """
    if value.encode().split() != [value.encode()]:
        raise DataError(
            f"{name} must be non-empty and without white space in TREC files, got {value!r}: "
            "change it"
        )
    return value
