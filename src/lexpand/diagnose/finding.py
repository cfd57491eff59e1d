"""What a doctor found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Documents cannot be found."""

    WARNING = "warning"
    """Rankings or speed suffer."""

    NOTE = "note"
    """Nothing is wrong, but worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about an index.

    Attributes:
        kind: what it is; docs/diagnostics.md lists them.
        severity: how bad it is.
        count: how many there are, of what ``what`` says.
        what: the finding in words, without the number.
        examples: the first or worst of them.
        advice: what to do.
    """

    kind: str
    severity: Severity
    count: int
    what: str
    examples: tuple[str, ...]
    advice: str


EXAMPLES = 5
"""Examples that a finding names."""
