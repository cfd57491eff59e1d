"""Lexpand's encoder as Haystack's sparse embedders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.dataclasses import SparseEmbedding

from lexpand.data import DocumentEncoding, Pruning, SparseVectors
from lexpand.encode import Encoder, QueryEncoding


class _Embedder:
    """What both components do: load the model when it is first needed, be saved and be loaded."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._encoder: Encoder | None = None

    def warm_up(self) -> None:
        """Load the model.

        Raises:
            ModelError, DataError: see `Encoder.load`.
        """
        self._loaded()

    def to_dict(self) -> dict[str, Any]:
        """What Haystack saves."""
        saved: dict[str, Any] = default_to_dict(self, **self._settings)
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The component that `to_dict` saved."""
        made: Self = default_from_dict(cls, data)
        return made

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            asked = self._settings
            self._encoder = Encoder.load(
                asked["model"],
                documents=DocumentEncoding(
                    max_tokens=asked.get("max_tokens"),
                    pruning=asked.get("document_pruning") or Pruning(),
                ),
                queries=QueryEncoding(
                    asked.get("query_mode"), asked.get("query_pruning") or Pruning()
                ),
                threads=asked["threads"],
            )
        return self._encoder


@component
class LexpandSparseTextEmbedder(_Embedder):
    """Encodes a question: the query vector for a sparse retriever of Haystack's.

    Args:
        model: ``default`` or the path of a model folder; loaded when it is first needed.
        query_mode: ``encoder`` or ``lookup``; what the model's contract says by default.
        query_pruning: rules as `parse_pruning` takes them.
        threads: that a call may use; all cores by default.
    """

    def __init__(
        self,
        model: str = "default",
        query_mode: str | None = None,
        query_pruning: str | None = None,
        threads: int | None = None,
    ) -> None:
        # `component` makes the class anew, which `super()` does not see.
        _Embedder.__init__(
            self,
            {
                "model": model,
                "query_mode": query_mode,
                "query_pruning": query_pruning,
                "threads": threads,
            },
        )

    @component.output_types(sparse_embedding=SparseEmbedding)
    def run(self, text: str) -> dict[str, SparseEmbedding]:
        """Encode a question.

        Returns:
            ``sparse_embedding``: term ids, ascending, and their weights.

        Raises:
            ModelError, DataError: see `Encoder.load` and `Encoder.encode_queries`.
        """
        return {"sparse_embedding": _embedding(self._loaded().encode_queries([text]), 0)}


@component
class LexpandSparseDocumentEmbedder(_Embedder):
    """Encodes documents: the vectors that a document store of Haystack's keeps.

    Args:
        model: ``default`` or the path of a model folder; loaded when it is first needed.
        meta_fields_to_embed: fields of ``meta`` that are read before the content, with a space
            between; ``["title"]`` for what Lexpand's own index reads.
        max_tokens: cut documents at fewer tokens than the model reads.
        document_pruning: rules as `parse_pruning` takes them.
        threads: that a call may use; all cores by default.
    """

    def __init__(
        self,
        model: str = "default",
        meta_fields_to_embed: list[str] | None = None,
        max_tokens: int | None = None,
        document_pruning: str | None = None,
        threads: int | None = None,
    ) -> None:
        _Embedder.__init__(
            self,
            {
                "model": model,
                "max_tokens": max_tokens,
                "document_pruning": document_pruning,
                "threads": threads,
            },
        )
        self.meta_fields_to_embed = meta_fields_to_embed or []

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Encode documents.

        Returns:
            ``documents``: copies with ``sparse_embedding``: term ids, ascending, and their weights.

        Raises:
            ModelError, DataError: see `Encoder.load` and `Encoder.encode_documents`.
        """
        vectors = self._loaded().encode_documents([self._text(document) for document in documents])
        return {
            "documents": [
                replace(document, sparse_embedding=_embedding(vectors, i))
                for i, document in enumerate(documents)
            ]
        }

    def to_dict(self) -> dict[str, Any]:
        """What Haystack saves."""
        saved: dict[str, Any] = default_to_dict(
            self, meta_fields_to_embed=self.meta_fields_to_embed, **self._settings
        )
        return saved

    def _text(self, document: Document) -> str:
        fields = [document.meta.get(name) for name in self.meta_fields_to_embed]
        return " ".join(str(part) for part in [*fields, document.content] if part not in (None, ""))


def _embedding(vectors: SparseVectors, row: int) -> SparseEmbedding:
    terms, weights = vectors.row(row)
    return SparseEmbedding(terms.tolist(), weights.tolist())
