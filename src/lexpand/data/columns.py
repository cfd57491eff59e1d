"""Lines of columns, as runs and qrels are exchanged: reading them, and what may stand in one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lexpand.data.documents import check_id
from lexpand.data.streams import bad_utf8, read_lines
from lexpand.errors import DataError, RowError

_INTEGER = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")


def read_columns(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the place (``file:line``) and the bytes of each line that is not blank, without its end."""
    for number, line in read_lines(path):
        if not line.isspace():
            yield f"{path}:{number}", line.rstrip(b"\r\n")


def split_columns(
    place: str, line: bytes, names: Sequence[str], separator: bytes | None = None
) -> list[str]:
    """Splits a line into exactly the columns named.

    Args:
        place: where the line is, for the message.
        line: its bytes. White space is ASCII's alone, so that an id may hold a no-break space.
        names: the columns' names.
        separator: what stands between columns; None for runs of white space.

    Raises:
        RowError: there are more or fewer columns, or the line is not UTF-8.
    """
    cells = line.split(separator)
    if len(cells) != len(names):
        raise RowError(
            place, f"{len(cells)} columns where {len(names)} are needed: {' '.join(names)}"
        )
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise RowError(place, bad_utf8(error)) from None
    return [cell.decode() for cell in cells]


def parse_integer(place: str, cell: str, name: str) -> int:
    """Reads a whole number of at most 18 digits; zeros may follow a decimal point.

    Raises:
        RowError: it is none.
    """
    whole = _INTEGER.fullmatch(cell)
    if whole is None:
        raise RowError(place, f"the {name} must be a whole number, got {cell!r}; correct the line")
    return int(whole[1])


def check_row_id(place: str, cell: str, name: str) -> str:
    """`check_id` with the place in its error.

    Raises:
        RowError: it is no legal id.
    """
    try:
        return check_id(cell, name)
    except DataError as error:
        raise RowError(place, str(error)) from None


def check_trec(value: str, name: str) -> str:
    """Returns a string unchanged if a column of a TREC file can hold it.

    Raises:
        DataError: it is empty or holds white space, which separates the columns there.
    """
    if value.encode().split() != [value.encode()]:
        raise DataError(
            f"{name} {value!r} is empty or holds white space, which TREC files cannot: change it"
        )
    return value
