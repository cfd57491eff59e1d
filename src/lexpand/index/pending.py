"""Additions that wait for a commit."""

from __future__ import annotations

from collections.abc import Sequence

from lexpand.data import Document, SparseVectors


class Pending:
    """Documents and their vectors, in order of adding.

    Attributes:
        documents: the documents.
        content_hashes: content hash by doc_id.
    """

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.content_hashes: dict[str, bytes] = {}
        self._parts: list[SparseVectors] = []

    def add(self, documents: Sequence[Document], vectors: SparseVectors) -> None:
        """Append documents whose ids are new."""
        self.documents.extend(documents)
        self.content_hashes.update((document.doc_id, document.content_hash) for document in documents)
        # Without their model, which the index has checked: its name may differ from call to call, or be missing.
        self._parts.append(SparseVectors(vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size))

    def vectors(self) -> SparseVectors:
        """All vectors, one row a document. There must be at least one addition."""
        return SparseVectors.concatenate(self._parts)

    def __len__(self) -> int:
        return len(self.documents)
