"""A LangChain retriever over a Lexpand index. Needs the extra `langchain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lexpand.adapters.passages import find_passages
from lexpand.errors import MissingExtra
from lexpand.index.filters import Expression, Filter
from lexpand.search import Pipeline, Retriever, open_retriever

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import run_in_executor
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    raise MissingExtra("langchain-core", "langchain", "the adapter for LangChain") from None


class LexpandRetriever(BaseRetriever):
    """A LangChain retriever over a Lexpand index, for ``invoke(query)`` and for chains.

    ``page_content`` is the text of a document, or its best chunk in an index with chunks.
    ``metadata`` has the document's metadata and ``doc_id``, ``title`` and ``score``. A chunk also
    has ``span``, its characters in title, space and text.

    ``invoke`` accepts ``k`` and ``filter``, which replace those of the retriever. Asynchronous
    calls run in LangChain's executor. Errors of Lexpand are raised unchanged.

    Attributes:
        retriever: the Lexpand retriever that runs the queries. The caller closes it.
        k: the number of documents to return, >= 0.
        filter: return only documents whose metadata match; see `Index.search`.
    """

    retriever: Retriever
    k: int = 10
    # `Filter`, written out: pydantic does not resolve names of another module.
    filter: Expression | str | Mapping[str, object] | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        pipeline: Pipeline | str | Path | None = None,
        *,
        k: int = 10,
        filter: Filter | None = None,
        model: str | Path | None = None,
        threads: int | None = None,
    ) -> LexpandRetriever:
        """Open the index at a path and return a retriever over it.

        ``retriever.retriever.close()`` closes the index.

        Args:
            path: the folder of the index.
            pipeline: a name or a TOML file; see `Pipeline.load`. Hybrid by default.
            k: the number of documents to return.
            filter: return only documents whose metadata match.
            model: the model folder, if it was moved after the index was made.
            threads: the threads that the encoder and a reranker may use.

        Raises:
            LexpandError: see `open_retriever`.
        """
        return cls(
            retriever=open_retriever(path, pipeline, model=model, threads=threads),
            k=k,
            filter=filter,
        )

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: Filter | None = None,
    ) -> list[Document]:
        found = find_passages(
            self.retriever,
            query,
            self.k if k is None else k,
            self.filter if filter is None else filter,
        )
        return [
            Document(
                id=passage.document.doc_id,
                page_content=passage.text,
                metadata={**passage.metadata, "score": passage.score},
            )
            for passage in found
        ]

    # The method of the base class does not accept `k` and `filter`.
    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: Filter | None = None,
    ) -> list[Document]:
        found: list[Document] = await run_in_executor(
            None,
            self._get_relevant_documents,
            query,
            run_manager=run_manager.get_sync(),
            k=k,
            filter=filter,
        )
        return found
