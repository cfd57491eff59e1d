"""Whose vectors are these? The model that made them, and the terms that they are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lexpand.data.documents import JsonValue
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
        document_settings: JSON of how documents are encoded, where it is not the plain way: ``long``, ``pruning``,
            ``title_weight``, ``rules`` and ``dtype``.
    """

    model: ModelId
    vocabulary: Vocabulary
    location: str = ""
    document_max_tokens: int | None = None
    document_settings: Mapping[str, JsonValue] = field(default_factory=dict)
