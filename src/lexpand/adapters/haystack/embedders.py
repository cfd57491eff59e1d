"""A Lexpand encoder as sparse embedders for Haystack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.dataclasses import SparseEmbedding

from lexpand.data import DocumentEncoding, Pruning, SparseVectors
from lexpand.encode import Encoder, QueryEncoding


class _Embedder:
    """The common part of both components: lazy loading of the model, saving and loading."""

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
        """Return the settings that Haystack saves."""
        saved: dict[str, Any] = default_to_dict(self, **self._settings)
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return a component with the settings that `to_dict` saved."""
        embedder: Self = default_from_dict(cls, data)
        return embedder

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            settings = self._settings
            self._encoder = Encoder.load(
                settings["model"],
                documents=DocumentEncoding(
                    max_tokens=settings.get("max_tokens"),
                    pruning=settings.get("document_pruning") or Pruning(),
                ),
                queries=QueryEncoding(
                    settings.get("query_mode"), settings.get("query_pruning") or Pruning()
                ),
                threads=settings["threads"],
            )
        return self._encoder


@component
class LexpandSparseTextEmbedder(_Embedder):
    """Encode a query for one of Haystack's sparse retrievers.

    Args:
        model: ``default`` or the path of a model folder. It is loaded at the first use.
        query_mode: ``encoder`` or ``lookup``. The default is the mode in the model's contract.
        query_pruning: pruning rules; see `parse_pruning`.
        threads: the threads that a call may use. The default is all cores.
    """

    def __init__(
        self,
        model: str = "default",
        query_mode: str | None = None,
        query_pruning: str | None = None,
        threads: int | None = None,
    ) -> None:
        # `component` replaces the class, so `super()` without arguments would fail.
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
        """Encode a query.

        Returns:
            ``sparse_embedding``: term ids, ascending, and their weights.

        Raises:
            ModelError, DataError: see `Encoder.load` and `Encoder.encode_queries`.
        """
        return {"sparse_embedding": _embedding(self._loaded().encode_queries([text]), 0)}


@component
class LexpandSparseDocumentEmbedder(_Embedder):
    """Encode documents for one of Haystack's document stores.

    Args:
        model: ``default`` or the path of a model folder. It is loaded at the first use.
        meta_fields_to_embed: fields of ``meta`` to put before the content, joined by spaces.
            ``["title"]`` gives the text that a Lexpand index encodes.
        max_tokens: the length at which documents are cut. The default is the model's.
        document_pruning: pruning rules; see `parse_pruning`.
        threads: the threads that a call may use. The default is all cores.
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
            ``documents``: copies of the documents, each with ``sparse_embedding``, its term ids
                (ascending) and their weights.

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
        """Return the settings that Haystack saves."""
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
