"""The space of sparse vectors: their model, vocabulary and document encoding."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data.document_encoding import DocumentEncoding
from lexpand.data.model_id import ModelId
from lexpand.data.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """The properties that vectors must share to be comparable.

    Attributes:
        model: the model that makes the vectors.
        vocabulary: the vocabulary of their terms.
        location: the model's location: ``default`` or a folder; empty if unknown.
        encoding: how documents are encoded.
    """

    model: ModelId
    vocabulary: Vocabulary
    location: str = ""
    encoding: DocumentEncoding = DocumentEncoding()
