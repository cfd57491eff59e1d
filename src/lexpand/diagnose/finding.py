"""Findings: the results of a check, with advice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """Documents cannot be found."""

    WARNING = "warning"
    """Rankings or speed suffer."""

    NOTE = "note"
    """Nothing is wrong; for information."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about an index.

    Attributes:
        kind: the kind; docs/diagnostics.md lists them.
        severity: the severity.
        count: the number of items that ``what`` describes.
        what: the finding in words, without the number.
        examples: the first or worst items.
        advice: what to do.
    """

    kind: str
    severity: Severity
    count: int
    what: str
    examples: tuple[str, ...]
    advice: str


EXAMPLES = 5
"""The number of examples in a finding."""
