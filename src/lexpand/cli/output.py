"""Printing: results on standard output, everything else on standard error.

Documents, paths and messages are data. Rich's `Text` keeps them from being read as markup or emoji
names, and control characters are escaped, so a document cannot control the terminal. All output is
flushed at once.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lexpand.errors import RowError

_results = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)

# Refused rows to list. --json lists all.
_ROWS_SHOWN = 20

# C0, DEL and C1; line and paragraph separators; overrides of the writing direction; lone
# surrogates.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# The width of a table without a terminal, so that each row is one line.
_UNLIMITED = 10_000

Part = str | tuple[str, str]
"""A piece of a line: a text, or a text with its style."""


def line(*parts: Part) -> Text:
    r"""Join pieces of a line, with control characters escaped (``\x1b``)."""
    return Text.assemble(
        *(
            _visible(part) if isinstance(part, str) else (_visible(part[0]), part[1])
            for part in parts
        )
    )


def show(*parts: Part, indent: int = 0, wrap: bool = True) -> None:
    """Print a line of results; on a terminal it may be wrapped, at its indentation."""
    if wrap and _results.is_terminal:
        _results.print(Padding(line(*parts), (0, 0, 0, indent), expand=False))
    else:
        _results.print(Text(" " * indent) + line(*parts), soft_wrap=True)


def show_text(text: str, indent: int = 0) -> None:
    """Print a text of several lines, with control characters escaped."""
    for each in text.splitlines() or [""]:
        show(each.expandtabs(4), indent=indent)


def show_table(table: Table, indent: int = 0) -> None:
    """Print a table of results, in its natural width if there is no terminal."""
    console = _results if _results.is_terminal else Console(width=_UNLIMITED)
    console.print(Padding(table, (0, 0, 0, indent), expand=False))


def show_heading(text: str) -> None:
    """Print a heading across the terminal."""
    _results.rule(line(text), align="left")


def say(message: str, style: str = "") -> None:
    """Print a line about progress on standard error."""
    _errors.print(line((message, style)), soft_wrap=True)


def print_error(message: str) -> None:
    """Print the one line of an error."""
    first, *rest = message.splitlines() or [""]
    _errors.print(line(("error:", "bold red"), f" {first}"), soft_wrap=True)
    for each in rest:  # such as a filter with a caret under it
        _errors.print(line(each), soft_wrap=True)


def is_watched() -> bool:
    """Return whether standard error is a terminal, which can show a progress bar."""
    return _errors.is_terminal


def print_json(value: object) -> None:
    """Print `json_line`, with characters escaped that the encoding of the terminal lacks."""
    text = json_line(value)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, default=_plain)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def json_line(value: object) -> str:
    """Return one line of JSON. Dataclasses become objects, and errors become texts."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_refused(rows: Sequence[RowError]) -> None:
    """List refused rows with file and line on standard error."""
    if not rows:
        return
    say(f"{count(len(rows), 'row')} refused:", "yellow")
    for row in rows[:_ROWS_SHOWN]:
        say(f"  {row}")
    if len(rows) > _ROWS_SHOWN:
        say(f"  ... and {len(rows) - _ROWS_SHOWN:,} more (--json lists all)")


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _plain(value: object) -> object:
    if isinstance(value, RowError):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
