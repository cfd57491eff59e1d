"""Changes that wait for a commit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.index.segment_files import Batch, Spans


class Pending:
    """Documents to add with their vectors, in order of adding, and rows to delete.

    Attributes:
        content_hashes: content hash of each document to add, by doc_id.
        deleted: rows to delete, by doc_id.
    """

    def __init__(self) -> None:
        self.content_hashes: dict[str, bytes] = {}
        self.deleted: dict[str, int] = {}
        self._documents: list[Document | None] = []
        self._spans: list[Spans] = []
        self._places: dict[str, int] = {}
        self._parts: list[SparseVectors] = []

    @property
    def documents(self) -> list[Document]:
        """The documents to add."""
        return [document for document in self._documents if document is not None]

    def add(self, documents: Sequence[Document], spans: Sequence[Spans], vectors: SparseVectors) -> None:
        """Append documents whose ids are new; ``vectors`` has one row for each of their chunks."""
        for document, chunks in zip(documents, spans, strict=True):
            self._places[document.doc_id] = len(self._documents)
            self.content_hashes[document.doc_id] = document.content_hash
            self._documents.append(document)
            self._spans.append(chunks)
        # Without their model, which the index has checked: its name may differ from call to call, or be missing.
        self._parts.append(SparseVectors(vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size))

    def withdraw(self, doc_id: str) -> None:
        """Take a document back that was to be added."""
        self._documents[self._places.pop(doc_id)] = None
        del self.content_hashes[doc_id]

    def batch(self) -> Batch:
        """What is to be added. There must be something."""
        vectors = SparseVectors.concatenate(self._parts)
        if None in self._documents:
            chunks = [len(spans) for spans in self._spans]
            kept = np.repeat([document is not None for document in self._documents], chunks)
            vectors = vectors[np.flatnonzero(kept).tolist()]
        spans = [s for document, s in zip(self._documents, self._spans, strict=True) if document is not None]
        return Batch(self.documents, spans, vectors)

    def __len__(self) -> int:
        """Documents to add."""
        return len(self.content_hashes)

    def __bool__(self) -> bool:
        return bool(self.content_hashes or self.deleted)
