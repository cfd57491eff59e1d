"""The identity of the model that made vectors."""

from __future__ import annotations

from typing import NamedTuple


class ModelId(NamedTuple):
    """A model's name, for people, and the hash of its contract, which identifies it."""

    name: str
    hash: str

    @property
    def label(self) -> str:
        """The name and the short hash, for people."""
        return f"{self.name} ({self.hash[:12]})"
