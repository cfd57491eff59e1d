"""Which model made these vectors?"""

from __future__ import annotations

from typing import NamedTuple


class ModelId(NamedTuple):
    """A model: its name for people, and the hash of its contract, which alone decides whether two are the same."""

    name: str
    hash: str

    @property
    def label(self) -> str:
        """Name and short hash, for people."""
        return f"{self.name} ({self.hash[:12]})"
