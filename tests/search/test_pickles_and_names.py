"""Pickles of encoders, retrievers and collections; lists of texts; and enums by their values."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lexpand
from lexpand import (
    Collection,
    Document,
    DocumentEncoding,
    Encoder,
    HybridRetriever,
    Pipeline,
    QueryEncoding,
    Role,
)
from lexpand.encode import Rules, VectorCache
from lexpand.encode.rules.entries import Ban, Pin
from lexpand.errors import DataError, ModelError
from lexpand.search import Reranker, RerankingRetriever, fuse
from lexpand.search.fusion import Fusion
from lexpand.search.parts import Splade, Words

PAGES = [
    Document(
        "printer",
        "Turn the printer off, wait ten seconds, and turn it on again.",
        "Printer does not print",
    ),
    Document(
        "holiday", "Ask your manager for leave two weeks before it begins.", "Vacation requests"
    ),
    Document("code", "ERR-42 means that the disk is full.", "Errors"),
]
QUERY = "when can I take a holiday?"


def unpickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def same(first: lexpand.SparseVectors, second: lexpand.SparseVectors) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("indptr", "terms", "weights")
    ) and (first.model == second.model)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return lexpand.create(tmp_path_factory.mktemp("pickles") / "kb", PAGES)


@pytest.mark.parametrize(
    "make",
    [
        lambda encoder: encoder,
        lambda encoder: encoder.without_pruning(),
        lambda encoder: encoder.encoding(DocumentEncoding(20, pruning="top=5", title_weight=0.5)),
        lambda _: Encoder.load(
            documents=DocumentEncoding(long="chunk"),
            queries=QueryEncoding(pruning="top=3"),
            rules=Rules(bans=(Ban("holiday"),), pins=(Pin("ERR-42"),)),
            threads=1,
        ),
    ],
)
def test_an_unpickled_encoder_encodes_the_same(
    encoder: Encoder, make: Callable[[Encoder], Encoder]
) -> None:
    original = make(encoder)
    copy = unpickled(original)
    assert (copy.space, copy.threads, copy.rules, copy.pruning) == (
        original.space,
        original.threads,
        original.rules,
        original.pruning,
    )
    assert same(copy.encode_documents(PAGES), original.encode_documents(PAGES))
    queries = [QUERY, "ERR-42"]
    assert same(copy.encode_queries(queries), original.encode_queries(queries))


def test_an_unpickled_encoder_keeps_its_cache(encoder: Encoder, tmp_path: Path) -> None:
    with VectorCache(tmp_path / "cache") as cache:
        copy = unpickled(encoder.with_cache(cache))
        copy.encode_documents(["a text"])
        assert len(cache) == 1


def test_another_model_in_the_folder_is_refused(encoder: Encoder) -> None:
    remake, arguments, *_ = encoder.__reduce__()
    model, *rest = arguments  # type: ignore[misc]
    with pytest.raises(ModelError, match=r"the pickled model other .*, got splade-tiny \("):
        remake(type(model)("other", "0" * 64), *rest)  # type: ignore[operator]


class Shortest(Reranker):
    batch = 8

    def score(self, query: str, texts: Any) -> Any:
        return np.array([-len(text) for text in texts], np.float32)


@pytest.mark.parametrize("name", ["hybrid", "best", "splade", "bm25"])
def test_an_unpickled_retriever_finds_the_same(kb: Collection, name: str) -> None:
    retriever = kb.retriever(name)
    for each in (retriever, retriever.reading(), RerankingRetriever(retriever, Shortest())):
        assert unpickled(each).search(QUERY) == each.search(QUERY)


def test_an_unpickled_collection_finds_the_same(kb: Collection, tmp_path: Path) -> None:
    found = kb.search(QUERY)
    assert unpickled(kb).search(QUERY) == found
    opened = lexpand.open(kb.path, "bm25", threads=1, cache=tmp_path / "cache")
    copy = unpickled(opened)
    assert (copy.path, copy.pipeline, copy._threads) == (kb.path, opened.pipeline, 1)
    assert copy.search("printer") == opened.search("printer")


def texts(*values: str | Document) -> Iterator[str | Document]:
    yield from values


@pytest.mark.parametrize(
    "call",
    [
        lambda kb, texts: kb.encoder.encode_documents(texts),
        lambda kb, texts: kb.encoder.encode_queries(texts),
        lambda kb, texts: kb.encoder.encode(texts, Role.QUERY),
        lambda kb, texts: kb.encoder.encode_long(texts),
        lambda kb, texts: kb.encoder.document_frequencies(texts),
        lambda kb, texts: kb.encoder.count_tokens(texts, Role.DOCUMENT),
        lambda kb, texts: kb.search_many(texts),
        lambda kb, texts: kb.delete(texts),
        lambda kb, texts: kb.retriever().rank(texts, 3),
        lambda kb, texts: kb.retriever("bm25").search_many(texts),
        lambda kb, texts: (kb.retriever("bm25") >> Shortest()).search_many(texts),
        lambda kb, texts: kb.index.documents_by_id(texts),
        lambda kb, texts: kb.index.search_words(texts),
        lambda kb, texts: kb.index.word_bounds(texts),
        lambda kb, texts: kb.index.inverse_word_frequencies(texts),
    ],
)
def test_a_single_text_instead_of_a_list_is_refused(
    kb: Collection, call: Callable[[Collection, object], object]
) -> None:
    with pytest.raises(DataError, match="must be a list of"):
        call(kb, "holiday")


def test_generators_of_texts_are_accepted(kb: Collection) -> None:
    encoder = kb.encoder
    assert same(encoder.encode_documents(texts(*PAGES)), encoder.encode_documents(PAGES))
    assert same(encoder.encode_queries(texts("a", "b")), encoder.encode_queries(["a", "b"]))
    assert same(encoder.encode(texts("a"), "query").vectors, encoder.encode_queries(["a"]))
    assert same(encoder.encode_long(texts(*PAGES)).vectors, encoder.encode_documents(PAGES))
    assert encoder.count_tokens(texts("a", "b"), "document")[0].tolist() == [3, 3]
    assert encoder.document_frequencies(texts("a", "a"))[1] == 2
    for name in ("hybrid", "bm25"):
        assert kb.search_many(texts(QUERY, "printer"), pipeline=name) == kb.search_many(
            [QUERY, "printer"], pipeline=name
        )
    reranked = kb.retriever() >> Shortest()
    assert reranked.search_many(texts(QUERY)) == reranked.search_many([QUERY])
    with pytest.raises(DataError, match="must be a list of texts, got the int 5"):
        encoder.encode_documents(5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="query 1 must be a string, got 5"):
        kb.search_many(["a", 5])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"documents\[0\] must be a Document, got the str 'a'"):
        encoder.encode_long(["a"])  # type: ignore[list-item]


def test_enums_are_accepted_by_their_values(kb: Collection) -> None:
    encoder = Encoder.load(
        documents=DocumentEncoding(title_weight=1.0, long="truncate", dtype="float32")
    )
    assert same(
        encoder.encode(PAGES, "document").vectors, encoder.encode(PAGES, Role.DOCUMENT).vectors
    )
    assert same(encoder.encode_queries(["a"], mode="encoder"), encoder.encode_queries(["a"]))
    assert encoder.trace("a", "query") == encoder.trace("a", Role.QUERY)
    assert encoder.reads("a", "query") == encoder.reads("a", Role.QUERY)
    assert encoder.pinned("query") == {}
    parts = [kb.retriever("splade"), kb.retriever("bm25")]
    for fusion in Fusion:
        assert HybridRetriever(parts, fusion=fusion.value).search(QUERY) == HybridRetriever(
            parts, fusion=fusion
        ).search(QUERY)
    pipeline = Pipeline((Splade(), Words()), "bound")  # type: ignore[arg-type]
    assert pipeline.fusion is Fusion.BOUND
    assert kb.search(QUERY, pipeline=pipeline)
    keys, scores = [np.array([1, 2])], [np.array([2.0, 1.0])]
    assert fuse(keys, scores, [1.0], "bound", [4.0]).scores.tolist() == [0.5, 0.25]
    assert Rules(bans=(Ban("a", "query"),)).bans[0].side.covers(Role.QUERY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda kb: kb.encoder.encode(["a"], "title"),
            "role must be one of document, query, got 'title'",
        ),
        (lambda kb: Pipeline((Splade(),), "sum"), "fusion must be one of rrf, .*, got 'sum'"),  # type: ignore[arg-type]
        (lambda kb: fuse([], [], [], "sum"), "fusion must be one of"),
        (lambda kb: Ban("a", "title"), "side must be one of query, document, both, got 'title'"),  # type: ignore[arg-type]
        (lambda kb: kb.add(["a text"], on_duplicate="drop"), "on_duplicate must be one of"),
    ],
)
def test_an_unknown_name_is_refused(
    kb: Collection, call: Callable[[Collection], object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        call(kb)
