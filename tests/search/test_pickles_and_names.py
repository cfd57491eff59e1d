"""Pickles of encoders, retrievers and collections; lists of texts; enums by their values."""

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


def again(value: Any) -> Any:
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
        lambda encoder: encoder.unpruned(),
        lambda encoder: encoder.encoding(DocumentEncoding(20, pruning="top=5", title_weight=0.5)),
        lambda _: Encoder.load(
            documents=DocumentEncoding(long="chunk"),
            queries=QueryEncoding(pruning="top=3"),
            rules=Rules(bans=(Ban("holiday"),), pins=(Pin("ERR-42"),)),
            threads=1,
        ),
    ],
)
def test_an_encoder_is_pickled(encoder: Encoder, make: Callable[[Encoder], Encoder]) -> None:
    made = make(encoder)
    copy = again(made)
    assert (copy.space, copy.threads, copy.rules, copy.pruning) == (
        made.space,
        made.threads,
        made.rules,
        made.pruning,
    )
    assert same(copy.encode_documents(PAGES), made.encode_documents(PAGES))
    assert same(copy.encode_queries([QUERY, "ERR-42"]), made.encode_queries([QUERY, "ERR-42"]))


def test_a_pickled_encoder_keeps_its_cache(encoder: Encoder, tmp_path: Path) -> None:
    with VectorCache(tmp_path / "cache") as cache:
        copy = again(encoder.with_cache(cache))
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
def test_a_retriever_is_pickled(kb: Collection, name: str) -> None:
    retriever = kb.retriever(name)
    for each in (retriever, retriever.reading(), RerankingRetriever(retriever, Shortest())):
        assert again(each).search(QUERY) == each.search(QUERY)


def test_a_collection_is_pickled(kb: Collection, tmp_path: Path) -> None:
    found = kb.search(QUERY)
    assert again(kb).search(QUERY) == found
    opened = lexpand.open(kb.path, "bm25", threads=1, cache=tmp_path / "cache")
    copy = again(opened)
    assert (copy.path, copy.pipeline, copy._threads) == (kb.path, opened.pipeline, 1)
    assert copy.search("printer") == opened.search("printer")


def texts(*given: str | Document) -> Iterator[str | Document]:
    yield from given


@pytest.mark.parametrize(
    "call",
    [
        lambda kb, given: kb.encoder.encode_documents(given),
        lambda kb, given: kb.encoder.encode_queries(given),
        lambda kb, given: kb.encoder.encode(given, Role.QUERY),
        lambda kb, given: kb.encoder.encode_long(given),
        lambda kb, given: kb.encoder.document_frequencies(given),
        lambda kb, given: kb.encoder.count_tokens(given, Role.DOCUMENT),
        lambda kb, given: kb.search_many(given),
        lambda kb, given: kb.delete(given),
        lambda kb, given: kb.retriever().rank(given, 3),
        lambda kb, given: kb.retriever("bm25").search_many(given),
        lambda kb, given: (kb.retriever("bm25") >> Shortest()).search_many(given),
        lambda kb, given: kb.index.documents_by_id(given),
        lambda kb, given: kb.index.search_words(given),
        lambda kb, given: kb.index.word_bounds(given),
        lambda kb, given: kb.index.inverse_word_frequencies(given),
    ],
)
def test_one_text_is_no_list(kb: Collection, call: Callable[[Collection, object], object]) -> None:
    with pytest.raises(DataError, match="must be a list of"):
        call(kb, "holiday")


def test_generators_of_texts(kb: Collection) -> None:
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
    with pytest.raises(DataError, match="query 1 is 5"):
        kb.search_many(["a", 5])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"documents\[0\] must be a Document, got the str 'a'"):
        encoder.encode_long(["a"])  # type: ignore[list-item]


def test_enums_by_their_values(kb: Collection) -> None:
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
    made = Pipeline((Splade(), Words()), "bound")  # type: ignore[arg-type]
    assert made.fusion is Fusion.BOUND
    assert kb.search(QUERY, pipeline=made)
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
def test_names_of_nothing(
    kb: Collection, call: Callable[[Collection], object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        call(kb)
