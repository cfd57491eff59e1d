"""The Haystack components: same hits and vectors as Lexpand, saving and loading of pipelines."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("haystack")

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner

from lexpand import Document as Page
from lexpand import DocumentEncoding, Encoder, Retriever
from lexpand.adapters.haystack import (
    LexpandRetriever,
    LexpandSparseDocumentEmbedder,
    LexpandSparseTextEmbedder,
)
from lexpand.errors import DataError, FilterError, LexpandError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the framework, in several versions
QUERY = "send the invoices by e-mail"


def found(documents: list[Document]) -> list[tuple[str, float | None]]:
    return [(document.id, document.score) for document in documents]


def expected(retriever: Retriever, k: int, filter: Any = None) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in retriever.search(QUERY, k, filter=filter)]


def test_the_hits_are_those_of_the_retriever(plain: Retriever, pages: list[Page]) -> None:
    documents = LexpandRetriever(plain).run(QUERY)["documents"]
    assert found(documents) == expected(plain, 10)
    texts = {page.doc_id: page.text for page in pages} | {"bare": "Invoices by e-mail"}
    assert {document.id: document.content for document in documents}.items() >= texts.items()
    invoice = next(document for document in documents if document.id == "invoice")
    assert invoice.meta == {"doc_id": "invoice", "title": "Billing", "team": "finance"}


def test_top_k_and_filters_of_a_run_replace_those_of_the_component(plain: Retriever) -> None:
    component = LexpandRetriever(plain, top_k=2, filters={"team": "finance"})
    assert found(component.run(QUERY)["documents"]) == expected(plain, 2, "team = finance")
    other = component.run(QUERY, filters={"title": "mine"}, top_k=1)["documents"]
    assert found(other) == expected(plain, 1, {"title": "mine"}) and len(other) == 1
    assert component.run(QUERY, top_k=0)["documents"] == []


def test_the_content_is_the_chunk_that_was_found(chunked: Retriever) -> None:
    (document,) = LexpandRetriever(chunked).run(QUERY)["documents"]
    (row,) = [match.row for match in chunked.rank([QUERY], 1)[0]]
    full = chunked.index.documents([row])[row].full_text
    first, end = document.meta["span"]
    assert document.content == full[first:end] != full
    assert "Invoices" in document.content


# A filter on a field `type`: Haystack would read a mapping with that key as one of its objects.
@pytest.mark.parametrize(
    "filters", [None, "not team = finance", {"team": "finance"}, {"type": "env_var"}]
)
def test_a_pipeline_is_saved_and_loaded(folder: Path, plain: Retriever, filters: Any) -> None:
    pipeline = Pipeline()
    pipeline.add_component(
        "retriever", LexpandRetriever(folder, "hybrid", top_k=3, filters=filters)
    )
    pipeline.add_component("joiner", DocumentJoiner(sort_by_score=False))
    pipeline.connect("retriever.documents", "joiner.documents")
    loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=["lexpand.*"])
    assert loaded.to_dict() == pipeline.to_dict()
    for each in (pipeline, loaded):
        documents = each.run({"retriever": {"query": QUERY}})["joiner"]["documents"]
        assert found(documents) == expected(plain, 3, filters)
        each.get_component("retriever").close()


def test_an_asynchronous_pipeline_returns_the_same_hits(folder: Path, plain: Retriever) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", LexpandRetriever(folder, "hybrid"))
    answer = asyncio.run(pipeline.run_async({"retriever": {"query": QUERY, "top_k": 4}}))
    assert found(answer["retriever"]["documents"]) == expected(plain, 4)
    pipeline.get_component("retriever").close()


def test_an_index_is_opened_once_and_again_after_close(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lexpand.adapters.haystack.retriever as module

    opened = []
    real = module.open_retriever
    monkeypatch.setattr(
        module,
        "open_retriever",
        lambda *args, **options: opened.append(args) or real(*args, **options),
    )
    component = LexpandRetriever(folder, "bm25")
    assert opened == []
    component.warm_up()
    component.run(QUERY)
    assert opened == [(folder, "bm25")]
    component.close()
    component.run(QUERY)
    assert len(opened) == 2
    component.close()


def test_an_open_retriever_stays_open_and_is_not_saved(plain: Retriever) -> None:
    component = LexpandRetriever(plain)
    component.close()
    assert component.run(QUERY)["documents"]
    with pytest.raises(DataError, match="pass the folder of the index"):
        component.to_dict()


def test_errors_are_raised_unchanged(plain: Retriever, folder: Path) -> None:
    with pytest.raises(FilterError):
        LexpandRetriever(plain, filters="team ==")
    with pytest.raises(DataError):
        LexpandRetriever(plain).run(QUERY, top_k=-1)
    with pytest.raises(LexpandError, match="nothing"):
        LexpandRetriever(folder / "nothing").warm_up()
    with pytest.raises(ModelError):
        LexpandSparseTextEmbedder(model="nothing").run(QUERY)


def test_the_embedders_return_the_vectors_of_the_encoder(
    encoder: Encoder, pages: list[Page]
) -> None:
    query = LexpandSparseTextEmbedder().run(QUERY)["sparse_embedding"]
    assert dict(zip(query.indices, query.values, strict=True)) == encoder.encode_queries(
        [QUERY]
    ).as_dict(0)

    inputs = [
        Document(id=page.doc_id, content=page.text, meta={"title": page.title}) for page in pages
    ]
    for fields, texts in (
        ([], [page.text for page in pages]),
        (["title"], [page.full_text for page in pages]),
    ):
        vectors = encoder.encode_documents(texts)
        embedded = LexpandSparseDocumentEmbedder(meta_fields_to_embed=fields).run(inputs)[
            "documents"
        ]
        assert [(one.id, one.content, one.meta) for one in embedded] == [
            (one.id, one.content, one.meta) for one in inputs
        ]
        for i, one in enumerate(embedded):
            found = dict(
                zip(one.sparse_embedding.indices, one.sparse_embedding.values, strict=True)
            )
            assert found == vectors.as_dict(i)
    assert all(one.sparse_embedding is None for one in inputs)


def test_documents_are_cut_at_max_tokens() -> None:
    inputs = [Document(content="Invoices are sent by e-mail on the first day of each month.")]
    (cut,) = LexpandSparseDocumentEmbedder(max_tokens=4).run(inputs)["documents"]
    first = (
        Encoder.load(documents=DocumentEncoding(max_tokens=4))
        .encode_documents([inputs[0].content])
        .as_dict(0)
    )
    assert (
        dict(zip(cut.sparse_embedding.indices, cut.sparse_embedding.values, strict=True)) == first
    )


def test_embedders_are_saved_and_loaded_with_their_settings() -> None:
    text = LexpandSparseTextEmbedder(query_pruning="top=2", threads=1)
    documents = LexpandSparseDocumentEmbedder(
        meta_fields_to_embed=["title", "page"], max_tokens=8, document_pruning="top=3"
    )
    pipeline = Pipeline()
    pipeline.add_component("text", text)
    pipeline.add_component("documents", documents)
    loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=["lexpand.*"])
    assert loaded.to_dict() == pipeline.to_dict()
    inputs = [
        Document(content="and it is sent " * 20, meta={"title": None, "page": 0}),
        Document(content=None),
    ]
    answer = loaded.run({"text": {"text": QUERY}, "documents": {"documents": inputs}})
    assert len(answer["text"]["sparse_embedding"].indices) == 2
    assert [len(one.sparse_embedding.indices) for one in answer["documents"]["documents"]] == [3, 0]
