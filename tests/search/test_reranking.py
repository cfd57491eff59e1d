"""A reranker over the best documents: order, scores, inputs, budgets and failures."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    HybridRetriever,
    Index,
    Query,
    SparseRetriever,
    WordRetriever,
    ingest,
)
from lexpand.data import LongDocuments
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError, LexpandWarning
from lexpand.search import Note, Reason, Reranker, RerankingRetriever, Retriever, Weighted

QUERY = "the month, the printer, an account, leave, a crash"


class ByLength(Reranker):
    """A reranker that prefers short texts and records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.calls.append((query, list(texts)))
        return np.array([-len(text) for text in texts], np.float32)


class ByFunction(Reranker):
    """A reranker that scores by a function."""

    def __init__(self, function: Callable[[str, Sequence[str]], object]) -> None:
        self.score = function  # type: ignore[method-assign,assignment]

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray: ...


@pytest.fixture
def words(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[WordRetriever]:
    with Index.create(tmp_path / "pages.index", encoder.space, words=WordAnalyzer(None)) as index:
        ingest(index, encoder, pages)
        yield WordRetriever(index)


@pytest.fixture
def first(words: WordRetriever, encoder: Encoder) -> SparseRetriever:
    """A retriever that finds all five pages for QUERY."""
    return SparseRetriever(words.index, encoder)


def full_texts(index: Index, doc_ids: Sequence[str]) -> list[str]:
    return [index.document(doc_id).full_text for doc_id in doc_ids]


def test_documents_have_the_order_and_scores_of_the_reranker(first: SparseRetriever) -> None:
    (found,) = first.rank([QUERY], 100)
    assert len(found) == 5
    reranker = ByLength()
    (ranked,) = (first >> reranker).rank([QUERY], 100)
    texts = full_texts(first.index, [match.doc_id for match in found])
    assert reranker.calls == [(QUERY, texts)]
    lengths = {match.doc_id: len(text) for match, text in zip(found, texts, strict=True)}
    assert [match.doc_id for match in ranked] == sorted(lengths, key=lengths.__getitem__)
    assert [match.score for match in ranked] == [-lengths[match.doc_id] for match in ranked]
    assert ranked.notes == ()


def test_the_other_documents_follow_in_their_order(first: SparseRetriever) -> None:
    (found,) = first.rank([QUERY], 100)
    reranking = RerankingRetriever(
        first, ByFunction(lambda query, texts: np.arange(len(texts)) - 7.5), depth=2
    )
    (ranked,) = reranking.rank([QUERY], 100)
    assert [match.row for match in ranked] == [found[i].row for i in (1, 0, *range(2, len(found)))]
    assert [match.score for match in ranked][:4] == [-6.5, -7.5, -8.0, pytest.approx(-7.5 - 2 / 3)]
    scores = [match.score for match in ranked]
    assert scores == sorted(set(scores), reverse=True)
    run = reranking.run([Query("q", QUERY)], 100)
    assert [document.doc_id for document in run.rankings["q"]] == [match.doc_id for match in ranked]
    for k in range(6):
        assert reranking.rank([QUERY], k) == [ranked[:k]]


def test_equal_scores_keep_the_order_of_the_first_ranking(first: SparseRetriever) -> None:
    (found,) = first.rank([QUERY], 100)
    (ranked,) = (first >> ByFunction(lambda query, texts: np.ones(len(texts)))).rank([QUERY], 100)
    assert [match.row for match in ranked] == [match.row for match in found]


def test_a_small_k_still_reranks_the_whole_depth(first: SparseRetriever) -> None:
    reranker = ByLength()
    hits = (first >> reranker).search(QUERY, 1)
    ((_, texts),) = reranker.calls
    assert len(texts) == 5
    assert hits[0].score == -min(map(len, texts))


def test_the_operators_rerank_a_sum(first: SparseRetriever, words: WordRetriever) -> None:
    reranking = 0.5 * first + words >> ByLength()
    assert isinstance(reranking.first, HybridRetriever)
    assert [part.weight for part in reranking.first.parts] == [0.5, 1.0]
    assert (reranking.depth, reranking.budget_ms) == (100, None)
    assert 0.5 * reranking == Weighted(reranking, 0.5)
    twice = reranking >> ByLength()
    assert isinstance(twice.first, RerankingRetriever)
    assert twice.rank([QUERY], 5) == reranking.rank([QUERY], 5)
    with pytest.raises(TypeError):
        first >> first  # type: ignore[operator]


def test_filters_groups_and_deletions_apply_to_the_first_retriever(first: SparseRetriever) -> None:
    reranking = first >> ByLength()
    assert [hit.doc_id for hit in reranking.search(QUERY, filter="team = finance")] == ["invoice"]
    (grouped,) = reranking.rank([QUERY], 9, group_by="team")
    (expected,) = first.rank([QUERY], 9, group_by="team")
    assert {match.row for match in grouped} == {match.row for match in expected}
    first.index.delete(["printer"])
    first.index.commit()
    assert "printer" not in [hit.doc_id for hit in reranking.search(QUERY)]


def test_the_reranker_reads_the_chunk_that_was_found(tmp_path: Path) -> None:
    short = Encoder.load(documents=DocumentEncoding(max_tokens=16, long=LongDocuments("chunk")))
    text = "Invoices are sent on the first day. " * 6 + "Then the printer prints nothing at all."
    with Index.create(tmp_path / "chunks.index", short.space) as index:
        ingest(index, short, [Document("long", text, "A title")])
        first, reranker = SparseRetriever(index, short), ByLength()
        (found,) = first.rank(["printer"], 1)
        assert found[0].span is not None and found[0].span[0] > 0
        (first >> reranker).search("printer")
        full = index.document("long").full_text
        assert reranker.calls == [("printer", [full[slice(*found[0].span)]])]


@pytest.mark.parametrize("query", ["", " \t\n", "\0"])
def test_a_query_that_finds_nothing_is_not_scored(first: SparseRetriever, query: str) -> None:
    reranker = ByLength()
    assert (first >> reranker).rank([query, query], 5) == [[], []]
    assert reranker.calls == []


@pytest.mark.parametrize(
    "query", ["the of and", "☃☃☃", "the printer does not print " * 2000, "не печатает принтер"]
)
def test_unusual_queries_are_scored_like_others(first: SparseRetriever, query: str) -> None:
    (found,) = first.rank([query], 5)
    (ranked,) = (first >> ByLength()).rank([query], 5)
    assert sorted(match.row for match in ranked) == sorted(match.row for match in found)


def test_nothing_is_scored_for_k_0(first: SparseRetriever) -> None:
    reranker = ByLength()
    assert (first >> reranker).rank([QUERY], 0) == [[]]
    assert reranker.calls == []
    with pytest.raises(DataError, match="k must be >= 0, got -1"):
        (first >> reranker).rank([QUERY], -1)


@pytest.mark.parametrize("depth", [0, -3, 2.5, True])
def test_an_invalid_depth_is_refused(first: Retriever, depth: int) -> None:
    with pytest.raises(DataError, match="depth of reranking must be an integer >= 1, got"):
        RerankingRetriever(first, ByLength(), depth=depth)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf"), True, "5"])
def test_an_invalid_budget_is_refused(first: Retriever, budget: float) -> None:
    with pytest.raises(DataError, match="budget_ms must be finite and > 0, got"):
        RerankingRetriever(first, ByLength(), budget_ms=budget)


class Clocked(ByLength):
    """A reranker that takes 30 ms per call by its own clock."""

    batch = 2

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.now += 0.030
        return super().score(query, texts)


@pytest.mark.parametrize(
    ("budget", "done"), [(1, 2), (30, 2), (31, 4), (60, 4), (61, 5), (1000, 5)]
)
def test_a_budget_ends_reranking_between_batches(
    first: SparseRetriever, budget: float, done: int
) -> None:
    (found,) = first.rank([QUERY], 100)
    reranker = Clocked()
    reranking = RerankingRetriever(first, reranker, budget_ms=budget, clock=lambda: reranker.now)
    for ranked in reranking.rank([QUERY] * 2, 100):
        assert {match.row for match in ranked[:done]} == {match.row for match in found[:done]}
        assert [match.score for match in ranked[:done]] == sorted(
            (m.score for m in ranked[:done]), reverse=True
        )
        assert [match.row for match in ranked[done:]] == [match.row for match in found[done:]]
        note = Note(Reason.BUDGET, done, 5, f"budget of {budget} ms")
        assert ranked.notes == (() if done == 5 else (note,))
    assert (
        str(Note(Reason.BUDGET, 37, 100, "budget of 50 ms"))
        == "reranked 37 of 100: budget of 50 ms"
    )


def test_the_first_batch_is_scored_even_if_the_time_is_up(first: SparseRetriever) -> None:
    ticks = iter(range(99))
    reranking = RerankingRetriever(first, Clocked(), budget_ms=1, clock=lambda: float(next(ticks)))
    (ranked,) = reranking.rank([QUERY], 100)
    assert [note.done for note in ranked.notes] == [2]


def fail_for_month(query: str, texts: Sequence[str]) -> np.ndarray:
    if "month" in query:
        raise RuntimeError("out of memory")
    return np.array([-len(text) for text in texts], np.float32)


def test_a_failure_keeps_the_first_ranking_of_its_query(first: SparseRetriever) -> None:
    queries = [QUERY, "the printer", QUERY]
    found = first.rank(queries, 4)
    reranking = first >> ByFunction(fail_for_month)
    with pytest.warns(
        LexpandWarning, match=r"2 queries keep their first ranking.*RuntimeError: out of memory"
    ) as warned:
        ranked = reranking.rank(queries, 4)
    assert len(warned) == 1
    assert ranked[0] == found[0] == ranked[2]
    assert ranked[0].notes == (Note(Reason.FAILURE, 0, 5, "RuntimeError: out of memory"),)
    assert ranked[1].notes == ()
    assert ranked[1] == (first >> ByLength()).rank(["the printer"], 4)[0]
    with pytest.warns(LexpandWarning, match="a query keeps its first ranking"):
        hits = reranking.search(QUERY, 4)
    assert hits == first.search(QUERY, 4)
    assert hits.notes == ranked[0].notes


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (
            lambda query, texts: np.where(np.arange(len(texts)) == 1, np.nan, 1.0),
            "1 of 5 scores are not finite",
        ),
        (lambda query, texts: np.full(len(texts), -np.inf), "5 of 5 scores are not finite"),
        (lambda query, texts: np.ones(len(texts) - 1), r"shape \(4,\) for 5 texts"),
        (lambda query, texts: np.ones((len(texts), 1)), r"shape \(5, 1\) for 5 texts"),
        (lambda query, texts: None, "not finite|shape"),
        (lambda query, texts: ["good"] * len(texts), "could not convert"),
    ],
)
def test_invalid_scores_are_a_failure(
    first: SparseRetriever, scores: Callable, message: str
) -> None:
    with pytest.warns(LexpandWarning, match=message):
        assert (first >> ByFunction(scores)).rank([QUERY], 9) == first.rank([QUERY], 9)


def test_a_failure_after_some_batches_keeps_the_first_ranking(first: SparseRetriever) -> None:
    class Late(ByLength):
        batch = 2

        def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
            found = super().score(query, texts)
            return found if len(self.calls) < 2 else found * np.nan

    with pytest.warns(LexpandWarning, match="2 of 2 scores are not finite"):
        ranked = RerankingRetriever(first, Late(), budget_ms=1e6).rank([QUERY], 9)
    assert ranked == first.rank([QUERY], 9)


def test_a_keyboard_interrupt_is_not_a_failure(first: SparseRetriever) -> None:
    def interrupted(query: str, texts: Sequence[str]) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        (first >> ByFunction(interrupted)).search(QUERY)


def test_further_steps_keep_the_notes(first: SparseRetriever, words: WordRetriever) -> None:
    failing = first >> ByFunction(fail_for_month)
    with warnings.catch_warnings(action="ignore"):
        (again,) = (failing >> ByLength()).rank([QUERY], 3)
        (summed,) = (failing + words).rank([QUERY], 3)
    assert [note.reason for note in again.notes] == [Reason.FAILURE]
    assert [note.reason for note in summed.notes] == [Reason.FAILURE]
    assert words.rank([QUERY], 3)[0].notes == ()
