"""A LlamaIndex retriever over a Lexpand index, and a sparse embedding.

Needs the extra `llama-index`.
"""

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
    """A LlamaIndex retriever over a Lexpand index, for ``retrieve(query)`` and query engines.

    A node has the id of its document. Its text is the text of the document, or the best chunk in
    an index with chunks. ``start_char_idx`` and ``end_char_idx`` are the characters of the chunk
    in title, space and text. ``metadata`` has the document's metadata, ``doc_id`` and ``title``.

    Asynchronous calls run in a thread. Errors of Lexpand are raised unchanged.

    Args:
        retriever: the Lexpand retriever that runs the queries. The caller closes it.
        k: the number of documents to return, >= 0.
        filter: return only documents whose metadata match; see `Index.search`.
        callback_manager: passed to LlamaIndex's base class.
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
    """A Lexpand encoder as a sparse embedding: term ids to weights.

    For the vector stores of LlamaIndex. ``similarity`` is LlamaIndex's cosine; the score of
    Lexpand is the dot product. Asynchronous calls run in a thread.

    Args:
        encoder: the encoder. Its settings determine pruning, lengths and the query mode.
        embed_batch_size: the number of texts to encode at a time, <= 2,048 (LlamaIndex's limit).
    """

    encoder: Encoder = Field(exclude=True)

    # The default is the number of texts that the encoder sorts by length together.
    def __init__(self, encoder: Encoder, embed_batch_size: int = 512) -> None:
        super().__init__(
            encoder=encoder, model_name=encoder.contract.name, embed_batch_size=embed_batch_size
        )

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex serializes the class."""
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
