"""Whose vectors are these? The model that made them, and the terms that they are over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lexpand.data.vocabulary import Vocabulary


class ModelId(NamedTuple):
    """A model: its name for people, and the hash of its contract, which alone decides whether two are the same."""

    name: str
    hash: str

    @property
    def label(self) -> str:
        """Name and short hash, for people."""
        return f"{self.name} ({self.hash[:12]})"


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What vectors must share to be compared, and how more of them are made.

    Attributes:
        model: the model that makes them.
        vocabulary: the terms that they are over.
        location: where the model is: ``default`` or a folder; empty where nobody knows.
        document_max_tokens: where documents are cut, in tokens; None where nobody knows.
    """

    model: ModelId
    vocabulary: Vocabulary
    location: str = ""
    document_max_tokens: int | None = None
