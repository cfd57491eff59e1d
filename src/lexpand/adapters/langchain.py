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
    """Documents of an index as LangChain has them: ``invoke(query)``, and in chains.

    A document's ``page_content`` is its text, or the chunk by which it was found; its ``metadata``
    are its own with ``doc_id``, ``title``, ``score`` and, of a chunk, ``span`` (characters in
    title, space and text). ``invoke`` takes ``k`` and ``filter`` in the place of the retriever's
    own. Asynchronous calls run in LangChain's executor. Lexpand's errors come through as they are.

    Attributes:
        retriever: who is asked; whoever opened it closes it.
        k: how many documents, from 0.
        filter: only documents whose metadata match; see `Index.search`.
    """

    retriever: Retriever
    k: int = 10
    # `Filter`, written out: pydantic resolves no names of another module.
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
        """A retriever over the index at a path; ``retriever.retriever.close()`` closes it.

        Args:
            path: the index's folder.
            pipeline: a name or a TOML file; see `Pipeline.load`. Hybrid by default.
            k: how many documents.
            filter: only documents whose metadata match.
            model: where the model is, if it has moved since.
            threads: that the encoder and a reranker may use.

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

    # LangChain's own would refuse `k` and `filter`.
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
