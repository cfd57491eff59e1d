"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.rows import Row
from lexpand.data.streams import bad_utf8, name_of, read_lines
from lexpand.errors import RowError, SourceError


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yields a row a line; blank lines are skipped, but counted.

    Raises:
        SourceError: the file cannot be opened, is damaged from some line on, or its first two lines
            show that objects do not stand one a line.
    """
    lines = (
        (f"{name_of(path)}:{number}", line)
        for number, line in read_lines(path)
        if not line.isspace()
    )
    for place, line in lines:
        row = _parse(place, line)
        if isinstance(row, RowError) and (found := _several_lines(line)):
            yield from _with_next(path, row, found, lines)
        else:
            yield row
        break
    for place, line in lines:
        yield _parse(place, line)


def _with_next(
    path: Path, first: RowError, found: str, lines: Iterator[tuple[str, bytes]]
) -> Iterator[Row | RowError]:
    """Yields a first line that may go on in the next one, and the next one, unless it does."""
    for place, line in lines:
        second = _parse(place, line)
        if isinstance(second, RowError):
            raise SourceError(f"{name_of(path)} must have one object a line, got {found}")
        yield from (first, second)
        return
    yield first


def _several_lines(first: bytes) -> str:
    """What a first line begins that goes on in the next one; empty if none."""
    line = first.strip()
    if line == b"[":
        return "an array over several lines; name the file .json"
    if line.startswith(b"{") and line.endswith((b"{", b"[", b",")) and not line.endswith(b"},"):
        return "an object over several lines; write it on one line, or put it into an array in a .json file"
    return ""


def _parse(place: str, line: bytes) -> Row | RowError:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        reason = bad_utf8(error)
    except json.JSONDecodeError as error:
        reason = _invalid(line, error)
    except RecursionError:
        reason = "JSON nested too deeply: flatten it"
    except ValueError as error:  # an integer of more than 4,300 digits
        reason = f"JSON that cannot be read: {error}"
    else:
        if isinstance(value, dict):
            return Row(place, value)
        reason = f"JSON that is no object but of type {type(value).__name__}: one object a line is needed"
    return RowError(place, reason)


def _invalid(line: bytes, error: json.JSONDecodeError) -> str:
    if (offset := line.find(b"\0")) >= 0:
        return (
            f"a raw NUL byte at byte offset {offset} of the line: JSON wants it written as \\u0000"
        )
    return f"invalid JSON at column {error.colno}: {error.msg}"
