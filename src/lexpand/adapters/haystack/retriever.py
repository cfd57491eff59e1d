"""A Lexpand pipeline over an index as one component of Haystack's."""

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
    """Finds documents in an index: a Lexpand pipeline as one component of Haystack's.

    Args:
        index: the index's folder, opened when it is first needed; or an open retriever, which
            cannot be saved.
        pipeline: a name or a TOML file; see `Pipeline.load`. Hybrid by default. An open retriever
            is asked as it is.
        top_k: how many documents, from 0.
        filters: only documents whose metadata match: Lexpand's filters (docs/filters.md), not
            Haystack's.
        model: where the model is, if it has moved since.

    Raises:
        FilterError: the filter cannot be read.
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
        """Open the index, and the model that it names if the pipeline needs it.

        Raises:
            LexpandError: see `open_retriever`.
        """
        self._opened()

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | str | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best documents for a question, best first.

        Args:
            query: the question.
            filters: in the place of the component's own.
            top_k: in the place of the component's own.

        Returns:
            ``documents``: ``content`` is a document's text, or the chunk by which it was found;
                ``meta`` its metadata
            with ``doc_id``, ``title`` and, of a chunk, ``span`` (characters in title, space and
                text).

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
        """Close the index that the component opened; the next question opens it again."""
        if self._own is not None:
            self._own.close()
        self._own = None

    def to_dict(self) -> dict[str, Any]:
        """What Haystack saves.

        Raises:
            DataError: the component was given an open retriever.
        """
        if isinstance(self.index, Retriever):
            raise DataError(
                "an open retriever cannot be saved: give the component the index's folder and a pipeline"
            )
        # A filter is saved as its text: Haystack takes a mapping with a field `type` for an object
        # of its own.
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
        """The component that `to_dict` saved."""
        made: LexpandRetriever = default_from_dict(cls, data)
        return made

    def _opened(self) -> Retriever:
        if isinstance(self.index, Retriever):
            return self.index
        if self._own is None:
            self._own = open_retriever(self.index, self.pipeline, model=self.model)
        return self._own
