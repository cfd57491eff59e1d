"""Read JSON lines: one object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers.rows import Row
from lexpand.data.streams import bad_utf8, name_of, read_lines
from lexpand.errors import RowError, SourceError


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yield a row for each line; blank lines are skipped but counted.

    Raises:
        SourceError: the file cannot be opened or is damaged, or an object or array spans its first
            two lines.
    """
    lines = (
        (f"{name_of(path)}:{number}", line)
        for number, line in read_lines(path)
        if not line.isspace()
    )
    for place, line in lines:
        row = _parse(place, line)
        if isinstance(row, RowError) and (problem := _several_lines(line)):
            yield from _with_next(path, row, problem, lines)
        else:
            yield row
        break
    for place, line in lines:
        yield _parse(place, line)


def _with_next(
    path: Path, first: RowError, problem: str, lines: Iterator[tuple[str, bytes]]
) -> Iterator[Row | RowError]:
    """Yield the first two rows; raise if the second line is invalid too."""
    for place, line in lines:
        second = _parse(place, line)
        if isinstance(second, RowError):
            raise SourceError(f"{name_of(path)} must have one object per line, got {problem}")
        yield from (first, second)
        return
    yield first


def _several_lines(first: bytes) -> str:
    """Return the problem if a first line seems to continue in the next one; otherwise empty."""
    line = first.strip()
    if line == b"[":
        return "an array over several lines; name the file .json"
    if line.startswith(b"{") and line.endswith((b"{", b"[", b",")) and not line.endswith(b"},"):
        return (
            "an object over several lines; "
            "write it on one line, or put it into an array in a .json file"
        )
    return ""


def _parse(place: str, line: bytes) -> Row | RowError:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        reason = bad_utf8(error)
    except json.JSONDecodeError as error:
        reason = _invalid(line, error)
    except RecursionError:
        reason = "JSON is nested too deeply: flatten it"
    except ValueError as error:  # an integer of more than 4,300 digits
        reason = f"JSON cannot be read: {error}"
    else:
        if isinstance(value, dict):
            return Row(place, value)
        reason = f"a line must be an object, got {type(value).__name__}; write {{...}}"
    return RowError(place, reason)


def _invalid(line: bytes, error: json.JSONDecodeError) -> str:
    if (offset := line.find(b"\0")) >= 0:
        return f"a raw NUL byte at byte offset {offset} of the line: write it as \\u0000"
    return f"invalid JSON at column {error.colno}: {with_remedy(error.msg)}"


# The beginnings of messages of Python's json module.
_REMEDIES = {
    "Invalid control character": "a closing quote may be missing; write a control character as \\u"
    " and four digits",
    "Unterminated string": "a closing quote is missing",
    "Invalid \\": "write a backslash as \\\\",
    "Extra data": "write one object per line",
}


def with_remedy(message: str) -> str:
    """Return a message of Python's json module with a remedy."""
    remedy = next(
        (remedy for start, remedy in _REMEDIES.items() if message.startswith(start)),
        "check the quotes, commas and brackets before it",
    )
    plain = re.sub(r" (starting )?at$", "", message.rstrip(": "))
    return f"{plain}: {remedy}"
