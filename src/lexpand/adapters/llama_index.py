"""A LlamaIndex retriever over a Lexpand index, and its encoder as a sparse embedding. Needs the extra `llama-index`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lexpand.adapters.passages import Passage, find_passages
from lexpand.encode import Encoder
from lexpand.errors import MissingExtra
from lexpand.index.filters import Filter
from lexpand.search import Pipeline, Retriever, open_retriever

try:
    from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
    from llama_index.core.bridge.pydantic import Field
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import (
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
except ModuleNotFoundError as error:
    # Other packages live in the namespace `llama_index` too.
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise MissingExtra("llama-index-core", "llama-index", "the adapter for LlamaIndex") from None


class LexpandRetriever(BaseRetriever):
    """Documents of an index as LlamaIndex has them: ``retrieve(query)``, and in query engines.

    A node's id is the document's, its text the document's or the chunk by which it was found, its
    ``start_char_idx`` and ``end_char_idx`` the chunk's characters in title, space and text; its
    ``metadata`` are the document's own with ``doc_id`` and ``title``. Asynchronous calls run in a
    thread. Lexpand's errors come through as they are.

    Args:
        retriever: who is asked; whoever opened it closes it.
        k: how many documents, from 0.
        filter: only documents whose metadata match; see `Index.search`.
        callback_manager: LlamaIndex's.
    """

    def __init__(
        self,
        retriever: Retriever,
        k: int = 10,
        filter: Filter | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self.retriever = retriever
        self.k = k
        self.filter = filter

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
        return cls(open_retriever(path, pipeline, model=model, threads=threads), k, filter)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = find_passages(self.retriever, query_bundle.query_str, self.k, self.filter)
        return [NodeWithScore(node=_node(passage), score=passage.score) for passage in found]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _node(passage: Passage) -> TextNode:
    doc_id = passage.document.doc_id
    first, end = passage.span or (None, None)
    metadata = {name: value for name, value in passage.metadata.items() if name != "span"}
    return TextNode(
        id_=doc_id,
        text=passage.text,
        metadata=metadata,
        start_char_idx=first,
        end_char_idx=end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc_id)},
    )


class LexpandSparseEmbedding(BaseSparseEmbedding):
    """An encoder as LlamaIndex's vector stores take one: a text's term ids with their weights.

    Its ``similarity`` is LlamaIndex's, a cosine; Lexpand's score is the sum of products.
    Asynchronous calls run in a thread.

    Args:
        encoder: the model; it decides about pruning, lengths and query modes.
        embed_batch_size: texts that are encoded at a time, up to LlamaIndex's 2,048.
    """

    encoder: Encoder = Field(exclude=True)

    # Batches of as many texts as the encoder sorts by length together.
    def __init__(self, encoder: Encoder, embed_batch_size: int = 512) -> None:
        super().__init__(
            encoder=encoder, model_name=encoder.contract.name, embed_batch_size=embed_batch_size
        )

    @classmethod
    def class_name(cls) -> str:
        """What LlamaIndex calls the class."""
        return "LexpandSparseEmbedding"

    def _get_query_embedding(self, query: str) -> dict[int, float]:
        return self.encoder.encode_queries([query]).as_dict(0)

    def _get_text_embedding(self, text: str) -> dict[int, float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[dict[int, float]]:
        vectors = self.encoder.encode_documents(texts)
        return [vectors.as_dict(i) for i in range(len(texts))]

    async def _aget_query_embedding(self, query: str) -> dict[int, float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> dict[int, float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[dict[int, float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
