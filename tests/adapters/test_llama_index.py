"""The LlamaIndex retriever and sparse embedding: the same hits and vectors as Lexpand."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore

from lexpand import Document as Page
from lexpand import DocumentEncoding, Encoder, QueryEncoding, Retriever
from lexpand.adapters.llama_index import LexpandRetriever, LexpandSparseEmbedding
from lexpand.errors import DataError, FilterError, NotAnIndex

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the framework, in several versions
QUERY = "send the invoices by e-mail"


def found(nodes: list[NodeWithScore]) -> list[tuple[str, float | None]]:
    return [(node.node_id, node.score) for node in nodes]


def expected(retriever: Retriever, k: int, filter: Any = None) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in retriever.search(QUERY, k, filter=filter)]


def test_the_hits_are_those_of_the_retriever(plain: Retriever, pages: list[Page]) -> None:
    nodes = LexpandRetriever(plain).retrieve(QUERY)
    assert found(nodes) == expected(plain, 10)
    assert {"a", "b"} <= {node.node_id for node in nodes}, (
        "LlamaIndex drops nodes that it considers equal"
    )
    texts = {page.doc_id: page.text for page in pages} | {"bare": "Invoices by e-mail"}
    assert {node.node_id: node.text for node in nodes}.items() >= texts.items()
    invoice = next(node for node in nodes if node.node_id == "invoice")
    assert invoice.metadata == {"doc_id": "invoice", "title": "Billing", "team": "finance"}
    assert invoice.node.ref_doc_id == "invoice"


def test_k_and_filter_are_applied(plain: Retriever) -> None:
    assert found(LexpandRetriever(plain, 2).retrieve(QUERY)) == expected(plain, 2)
    nodes = LexpandRetriever(plain, filter={"team": "finance"}).retrieve(QUERY)
    assert found(nodes) == expected(plain, 10, "team = finance") and len(nodes) == 1
    assert LexpandRetriever(plain, 0).retrieve(QUERY) == []


def test_asynchronous_calls_find_the_same_in_a_thread(
    plain: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, rank = [], plain.rank

    def ranked(*args: Any, **settings: Any) -> Any:
        threads.append(threading.current_thread())
        return rank(*args, **settings)

    monkeypatch.setattr(plain, "rank", ranked)
    nodes = asyncio.run(LexpandRetriever(plain, 4).aretrieve(QUERY))
    assert threads[0] is not threading.current_thread()
    assert found(nodes) == expected(plain, 4)


def test_a_retriever_is_opened_by_path_and_used_in_a_query_engine(
    folder: Path, plain: Retriever
) -> None:
    retriever = LexpandRetriever.open(folder, pipeline="hybrid", k=3, filter="not team = finance")
    synthesizer = get_response_synthesizer(llm=MockLLM(), response_mode="compact")
    answer = RetrieverQueryEngine(retriever, synthesizer).query(QUERY)
    assert found(answer.source_nodes) == expected(plain, 3, "not team = finance")
    retriever.retriever.close()
    with pytest.raises(NotAnIndex):
        LexpandRetriever.open(folder / "nothing")


def test_the_text_is_the_chunk_that_was_found(chunked: Retriever) -> None:
    (found,) = LexpandRetriever(chunked).retrieve(QUERY)
    (row,) = [match.row for match in chunked.rank([QUERY], 1)[0]]
    full = chunked.index.documents([row])[row].full_text
    assert found.text == full[found.node.start_char_idx : found.node.end_char_idx] != full
    assert "Invoices" in found.text
    assert found.metadata == {"doc_id": "long", "title": "Handbook", "team": "office"}


def test_errors_are_raised_unchanged(plain: Retriever) -> None:
    with pytest.raises(DataError):
        LexpandRetriever(plain, -1).retrieve(QUERY)
    with pytest.raises(FilterError):
        LexpandRetriever(plain, filter="team ==").retrieve(QUERY)


def test_the_embedding_is_the_vector_of_the_encoder(encoder: Encoder, pages: list[Page]) -> None:
    embedding = LexpandSparseEmbedding(encoder, embed_batch_size=2)
    texts = [page.text for page in pages]
    documents, query = encoder.encode_documents(texts), encoder.encode_queries([QUERY]).as_dict(0)
    rows = [documents.as_dict(i) for i in range(len(texts))]
    assert embedding.get_query_embedding(QUERY) == query
    assert asyncio.run(embedding.aget_query_embedding(QUERY)) == query
    assert embedding.get_text_embedding(texts[0]) == pytest.approx(rows[0], abs=1e-5)
    assert asyncio.run(embedding.aget_text_embedding(texts[0])) == pytest.approx(rows[0], abs=1e-5)
    for found in (
        embedding.get_text_embedding_batch(texts),
        asyncio.run(embedding.aget_text_embedding_batch(texts)),
    ):
        assert len(found) == len(rows)
        for row, one in zip(rows, found, strict=True):
            assert one == pytest.approx(row, abs=1e-5)
    assert all(type(term) is int and type(weight) is float for term, weight in query.items())


def test_queries_and_texts_are_encoded_with_their_own_settings() -> None:
    embedding = LexpandSparseEmbedding(
        Encoder.load(
            documents=DocumentEncoding(pruning="top=4"), queries=QueryEncoding(pruning="top=2")
        )
    )
    assert len(embedding.get_query_embedding(QUERY)) == 2
    assert len(embedding.get_text_embedding(QUERY)) == 4


def test_llama_index_serializes_the_embedding_without_its_encoder(encoder: Encoder) -> None:
    embedding = LexpandSparseEmbedding(encoder)
    written = embedding.model_dump()
    assert (written["class_name"], written["model_name"]) == (
        "LexpandSparseEmbedding",
        encoder.contract.name,
    )
    assert "encoder" not in written
