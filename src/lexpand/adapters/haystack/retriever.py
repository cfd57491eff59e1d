"""A Lexpand pipeline over an index as a Haystack component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from lexpand.adapters.passages import find_passages
from lexpand.errors import DataError
from lexpand.index.filters import Filter, parse_filter
from lexpand.search import Retriever, open_retriever


@component
class LexpandRetriever:
    """Search an index by a Lexpand pipeline, as one Haystack component.

    Args:
        index: the folder of the index, which is opened at the first use; or an open retriever. A
            component with an open retriever cannot be saved.
        pipeline: a name or a TOML file; see `Pipeline.load`. Hybrid by default. Ignored if
            ``index`` is an open retriever.
        top_k: the number of documents to return, >= 0.
        filters: return only documents whose metadata match. The syntax is Lexpand's
            (docs/filters.md), not Haystack's.
        model: the model folder, if it was moved after the index was made.

    Raises:
        FilterError: the filter cannot be parsed.
    """

    def __init__(
        self,
        index: str | Path | Retriever,
        pipeline: str | None = None,
        top_k: int = 10,
        filters: dict[str, Any] | str | None = None,
        model: str | None = None,
    ) -> None:
        self.index = index
        self.pipeline = pipeline
        self.top_k = top_k
        self.filters: Filter | None = None if filters is None else parse_filter(filters)
        self.model = model
        self._own: Retriever | None = None

    def warm_up(self) -> None:
        """Open the index, and load its model if the pipeline needs it.

        Raises:
            LexpandError: see `open_retriever`.
        """
        self._opened()

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | str | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the best documents for a query, best first.

        Args:
            query: the query.
            filters: replaces the filter of the component.
            top_k: replaces the number of documents of the component.

        Returns:
            ``documents``: ``content`` is the text of a document, or its best chunk in an index
                with chunks. ``meta`` has the document's metadata, ``doc_id`` and ``title``. A
                chunk also has ``span``, its characters in title, space and text.

        Raises:
            LexpandError: see `open_retriever` and `Retriever.rank`.
        """
        found = find_passages(
            self._opened(),
            query,
            self.top_k if top_k is None else top_k,
            self.filters if filters is None else filters,
        )
        documents = [
            Document(
                id=passage.document.doc_id,
                content=passage.text,
                meta=passage.metadata,
                score=passage.score,
            )
            for passage in found
        ]
        return {"documents": documents}

    def close(self) -> None:
        """Close the index that the component opened; the next query opens it again."""
        if self._own is not None:
            self._own.close()
        self._own = None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that Haystack saves.

        Raises:
            DataError: the component has an open retriever instead of the folder of an index.
        """
        if isinstance(self.index, Retriever):
            raise DataError(
                "a component with an open retriever cannot be saved: pass the folder of the index "
                "and a pipeline instead"
            )
        # A filter is saved as text, because Haystack reads a mapping with a key `type` as one of
        # its own objects.
        filters = None if self.filters is None else str(self.filters)
        saved: dict[str, Any] = default_to_dict(
            self,
            index=str(self.index),
            pipeline=self.pipeline,
            top_k=self.top_k,
            filters=filters,
            model=self.model,
        )
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LexpandRetriever:
        """Return a component with the settings that `to_dict` saved."""
        retriever: LexpandRetriever = default_from_dict(cls, data)
        return retriever

    def _opened(self) -> Retriever:
        if isinstance(self.index, Retriever):
            return self.index
        if self._own is None:
            self._own = open_retriever(self.index, self.pipeline, model=self.model)
        return self._own
