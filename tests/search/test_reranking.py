"""A reranker over the best documents of a retriever: order, scores, what is read, budgets and failures."""

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
    """Prefers short texts; notes what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.calls.append((query, list(texts)))
        return np.array([-len(text) for text in texts], np.float32)


class Saying(Reranker):
    """Scores by a function."""

    def __init__(self, say: Callable[[str, Sequence[str]], object]) -> None:
        self.score = say  # type: ignore[method-assign,assignment]

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray: ...


@pytest.fixture
def words(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[WordRetriever]:
    with Index.create(tmp_path / "pages.index", encoder.space, words=WordAnalyzer(None)) as index:
        ingest(index, encoder, pages)
        yield WordRetriever(index)


@pytest.fixture
def first(words: WordRetriever, encoder: Encoder) -> SparseRetriever:
    """Finds all five pages for QUERY."""
    return SparseRetriever(words.index, encoder)


def full_texts(index: Index, doc_ids: Sequence[str]) -> list[str]:
    return [index.document(doc_id).full_text for doc_id in doc_ids]


def test_the_rerankers_order_and_scores(first: SparseRetriever) -> None:
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


def test_the_rest_stays_below_in_its_order(first: SparseRetriever) -> None:
    (found,) = first.rank([QUERY], 100)
    reranking = RerankingRetriever(
        first, Saying(lambda query, texts: np.arange(len(texts)) - 7.5), depth=2
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


def test_equal_scores_keep_the_first_order(first: SparseRetriever) -> None:
    (found,) = first.rank([QUERY], 100)
    (ranked,) = (first >> Saying(lambda query, texts: np.ones(len(texts)))).rank([QUERY], 100)
    assert [match.row for match in ranked] == [match.row for match in found]


def test_fewer_hits_than_the_depth_still_come_from_the_depth(first: SparseRetriever) -> None:
    reranker = ByLength()
    hits = (first >> reranker).search(QUERY, 1)
    ((_, texts),) = reranker.calls
    assert len(texts) == 5
    assert hits[0].score == -min(map(len, texts))


def test_a_sum_is_reranked_as_a_whole(first: SparseRetriever, words: WordRetriever) -> None:
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


def test_filters_groups_and_deletions_are_the_firsts(first: SparseRetriever) -> None:
    reranking = first >> ByLength()
    assert [hit.doc_id for hit in reranking.search(QUERY, filter="team = finance")] == ["invoice"]
    (grouped,) = reranking.rank([QUERY], 9, group_by="team")
    (expected,) = first.rank([QUERY], 9, group_by="team")
    assert {match.row for match in grouped} == {match.row for match in expected}
    first.index.delete(["printer"])
    first.index.commit()
    assert "printer" not in [hit.doc_id for hit in reranking.search(QUERY)]


def test_of_a_chunked_document_the_chunk_is_read(tmp_path: Path) -> None:
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


def test_no_hits_wanted(first: SparseRetriever) -> None:
    reranker = ByLength()
    assert (first >> reranker).rank([QUERY], 0) == [[]]
    assert reranker.calls == []
    with pytest.raises(DataError, match="k must be >= 0, got -1"):
        (first >> reranker).rank([QUERY], -1)


@pytest.mark.parametrize("depth", [0, -3, 2.5, True])
def test_depths_that_are_none(first: Retriever, depth: int) -> None:
    with pytest.raises(DataError, match="at least one document must be reranked"):
        RerankingRetriever(first, ByLength(), depth=depth)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf"), True, "5"])
def test_budgets_that_are_none(first: Retriever, budget: float) -> None:
    with pytest.raises(DataError, match="finite and above 0"):
        RerankingRetriever(first, ByLength(), budget_ms=budget)


class Clocked(ByLength):
    """Takes 30 ms a call by a clock of its own."""

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


def fail(query: str, texts: Sequence[str]) -> np.ndarray:
    if "month" in query:
        raise RuntimeError("out of memory")
    return np.array([-len(text) for text in texts], np.float32)


def test_a_failure_keeps_the_first_ranking_of_its_query(first: SparseRetriever) -> None:
    queries = [QUERY, "the printer", QUERY]
    found = first.rank(queries, 4)
    reranking = first >> Saying(fail)
    with pytest.warns(
        LexpandWarning, match=r"2 queries keep their first ranking.*RuntimeError: out of memory"
    ) as said:
        ranked = reranking.rank(queries, 4)
    assert len(said) == 1
    assert ranked[0] == found[0] == ranked[2]
    assert ranked[0].notes == (Note(Reason.FAILURE, 0, 5, "RuntimeError: out of memory"),)
    assert ranked[1].notes == ()
    assert ranked[1] == (first >> ByLength()).rank(["the printer"], 4)[0]
    with pytest.warns(LexpandWarning, match="a query keeps its first ranking"):
        hits = reranking.search(QUERY, 4)
    assert hits == first.search(QUERY, 4)
    assert hits.notes == ranked[0].notes


@pytest.mark.parametrize(
    ("scores", "said"),
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
def test_scores_that_are_none_are_a_failure(
    first: SparseRetriever, scores: Callable, said: str
) -> None:
    with pytest.warns(LexpandWarning, match=said):
        assert (first >> Saying(scores)).rank([QUERY], 9) == first.rank([QUERY], 9)


def test_a_failure_after_some_batches_keeps_the_first_ranking(first: SparseRetriever) -> None:
    class Late(ByLength):
        batch = 2

        def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
            found = super().score(query, texts)
            return found if len(self.calls) < 2 else found * np.nan

    with pytest.warns(LexpandWarning, match="2 of 2 scores are not finite"):
        ranked = RerankingRetriever(first, Late(), budget_ms=1e6).rank([QUERY], 9)
    assert ranked == first.rank([QUERY], 9)


def test_a_ctrl_c_is_no_failure(first: SparseRetriever) -> None:
    def interrupted(query: str, texts: Sequence[str]) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        (first >> Saying(interrupted)).search(QUERY)


def test_notes_go_through_further_steps(first: SparseRetriever, words: WordRetriever) -> None:
    failing = first >> Saying(fail)
    with warnings.catch_warnings(action="ignore"):
        (again,) = (failing >> ByLength()).rank([QUERY], 3)
        (summed,) = (failing + words).rank([QUERY], 3)
    assert [note.reason for note in again.notes] == [Reason.FAILURE]
    assert [note.reason for note in summed.notes] == [Reason.FAILURE]
    assert words.rank([QUERY], 3)[0].notes == ()
