"""Whose vectors are these? The model that made them, and the terms that they are over."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data.document_encoding import DocumentEncoding
from lexpand.data.model_id import ModelId
from lexpand.data.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What vectors must share to be compared, and how more of them are made.

    Attributes:
        model: the model that makes them.
        vocabulary: the terms that they are over.
        location: where the model is: ``default`` or a folder; empty where nobody knows.
        encoding: how documents are encoded.
    """

    model: ModelId
    vocabulary: Vocabulary
    location: str = ""
    encoding: DocumentEncoding = DocumentEncoding()
