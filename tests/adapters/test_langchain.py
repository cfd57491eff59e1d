"""The LangChain retriever: the suite of langchain-tests, and the same hits as Lexpand."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_tests.integration_tests import RetrieversIntegrationTests

from lexpand import Document as Page
from lexpand import Retriever
from lexpand.adapters.langchain import LexpandRetriever
from lexpand.errors import DataError, FilterError, NotAnIndex
from lexpand.index.filters import parse_filter

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the framework, in several versions
QUERY = "send the invoices by e-mail"


class TestStandardSuite(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _keep(self, plain: Retriever) -> None:
        self._plain = plain

    @property
    def retriever_constructor(self) -> type[LexpandRetriever]:
        return LexpandRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"retriever": self._plain}

    @property
    def retriever_query_example(self) -> str:
        return QUERY


def found(documents: list[Document]) -> list[tuple[str | None, float]]:
    return [(document.id, document.metadata["score"]) for document in documents]


def expected(retriever: Retriever, k: int, filter: Any = None) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in retriever.search(QUERY, k, filter=filter)]


def test_the_hits_are_those_of_the_retriever(plain: Retriever, pages: list[Page]) -> None:
    documents = LexpandRetriever(retriever=plain).invoke(QUERY)
    assert found(documents) == expected(plain, 10) and len(documents) > 5
    texts = {page.doc_id: page.text for page in pages} | {"bare": "Invoices by e-mail"}
    assert {document.id: document.page_content for document in documents}.items() >= texts.items()
    invoice = next(document for document in documents if document.id == "invoice")
    score = invoice.metadata["score"]
    assert invoice.metadata == {
        "doc_id": "invoice",
        "title": "Billing",
        "team": "finance",
        "score": score,
    }


def test_k_and_filter_of_a_call_replace_those_of_the_retriever(
    plain: Retriever, pages: list[Page]
) -> None:
    retriever = LexpandRetriever(retriever=plain, k=2, filter="team = finance")
    finance = expected(plain, 2, "team = finance")
    assert found(retriever.invoke(QUERY)) == finance and len(finance) == 1
    assert found(retriever.invoke(QUERY, filter={"title": "mine"})) == expected(
        plain, 2, {"title": "mine"}
    )
    assert found(retriever.invoke(QUERY, k=1, filter="not team = finance")) == expected(
        plain, 1, "not team = finance"
    )
    assert retriever.invoke(QUERY, k=0) == []
    for same in ({"team": "finance"}, parse_filter("team = finance")):
        assert found(LexpandRetriever(retriever=plain, filter=same).invoke(QUERY)) == finance


def test_asynchronous_calls_return_the_same_hits(plain: Retriever) -> None:
    retriever = LexpandRetriever(retriever=plain, k=4)
    assert found(asyncio.run(retriever.ainvoke(QUERY))) == expected(plain, 4)
    documents = asyncio.run(retriever.ainvoke(QUERY, k=3, filter="not team = finance"))
    assert found(documents) == expected(plain, 3, "not team = finance")
    both = asyncio.run(retriever.abatch([QUERY, QUERY]))
    assert [found(documents) for documents in both] == [expected(plain, 4)] * 2


def test_a_retriever_is_opened_by_path_and_used_in_a_chain(folder: Path, plain: Retriever) -> None:
    retriever = LexpandRetriever.open(folder, pipeline="hybrid", k=3, filter="not team = finance")
    chain = retriever | RunnableLambda(found)
    assert chain.invoke(QUERY) == expected(plain, 3, "not team = finance")
    retriever.retriever.close()
    with pytest.raises(NotAnIndex):
        LexpandRetriever.open(folder / "nothing")


def test_the_content_is_the_chunk_that_was_found(chunked: Retriever) -> None:
    (document,) = LexpandRetriever(retriever=chunked).invoke(QUERY)
    (row,) = [match.row for match in chunked.rank([QUERY], 1)[0]]
    full = chunked.index.documents([row])[row].full_text
    first, end = document.metadata["span"]
    assert document.page_content == full[first:end] != full
    assert "Invoices" in document.page_content and document.metadata["team"] == "office"


def test_errors_are_raised_unchanged(plain: Retriever) -> None:
    retriever = LexpandRetriever(retriever=plain)
    with pytest.raises(DataError):
        retriever.invoke(QUERY, k=-1)
    with pytest.raises(FilterError):
        retriever.invoke(QUERY, filter="team ==")
