"""What commands print with: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass

from rich.console import Console

from lexpand.errors import RowError

results = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

# Refused rows that are listed; --json lists all.
_ROWS_SHOWN = 20


def print_json(value: object) -> None:
    """One line of JSON; dataclasses become objects, errors their text."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_plain) + "\n")


def print_refused(rows: Sequence[RowError]) -> None:
    """The rows that were refused, with their places, on standard error."""
    if not rows:
        return
    errors.print(f"{count(len(rows), 'row')} refused:", style="yellow")
    for row in rows[:_ROWS_SHOWN]:
        errors.print(f"  {row}", markup=False, soft_wrap=True)
    if len(rows) > _ROWS_SHOWN:
        errors.print(f"  ... and {len(rows) - _ROWS_SHOWN:,} more (--json lists all)")


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _plain(value: object) -> object:
    if isinstance(value, RowError):
        return {"place": value.place, "doc_id": value.doc_id, "reason": value.reason}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
