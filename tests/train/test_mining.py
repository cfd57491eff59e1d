"""Mined negatives: fair mixing, no positives of the same query, and the filter by a teacher."""

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand import Document, Encoder, Index, Run, ingest
from lexpand.errors import DataError
from lexpand.index import Matches
from lexpand.search import Retriever
from lexpand.train.mining import Mining, MiningReport, Reason, RunRetriever, mine, take_turns
from lexpand.train.rows import UNNAMED, Row, key_of


class Fixed(Retriever):
    """Rank the same texts for every query."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[tuple[str, int]] = []
        self.read: list[str] = []

    def rank(self, queries: Sequence[str], k: int, **_: object) -> Sequence[Matches]:
        self.asked += [(query, k) for query in queries]
        ids = [str(i) for i in range(len(self.texts))][:k]
        scores = -np.arange(len(ids), dtype=np.float64)
        return [Matches(ids, scores, np.zeros(len(ids), np.uint32)) for _ in queries]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        self.read += doc_ids
        return {each: Document(each, self.texts[int(each)]) for each in doc_ids}


def negatives(rows: Sequence[Row], *retrievers: Retriever, **settings: object) -> list[list[str]]:
    mined = mine(rows, retrievers, Mining(**settings))  # type: ignore[arg-type]
    return [list(row.documents[1:]) for row in mined]


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=8), max_size=4))
def test_rankings_take_turns(rankings: list[list[str]]) -> None:
    mixed = list(take_turns(rankings))
    assert sorted(mixed) == sorted(set(itertools.chain(*rankings)))
    # The reference: each ranking in turn gives its best text that was not taken.
    expected: list[str] = []
    while any(set(ranking) - set(expected) for ranking in rankings):
        for ranking in rankings:
            fresh = [text for text in ranking if text not in expected]
            expected += fresh[:1]
    assert mixed == expected


def test_negatives_alternate_between_rankings() -> None:
    found = negatives(
        [Row("q", ("pos",))], Fixed("a", "b", "c", "d"), Fixed("b", "x", "pos", "y"), negatives=5
    )
    assert found == [["a", "b", "c", "x", "d"]]


@given(st.integers(0, 2**32))
def test_a_negative_never_is_a_positive_of_the_same_query(seed: int) -> None:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices("uvwxyz", k=chance.randint(1, 4))) for _ in range(30)]
    queries = ["Q one", " q ONE ", "two", "three"]
    rows = [
        Row(chance.choice(queries), (chance.choice(texts).upper(),))
        for _ in range(chance.randint(1, 12))
    ]
    rankings = [Fixed(*chance.sample(texts, 30)) for _ in range(chance.randint(1, 3))]
    positives: dict[str, set[str]] = {}
    for row in rows:
        positives.setdefault(key_of(row.query), set()).add(row.documents[0].casefold())
    for row, found in zip(rows, negatives(rows, *rankings), strict=True):
        assert len(found) <= 8
        assert len(set(found)) == len(found)
        for text in found:
            for positive in positives[key_of(row.query)]:
                assert text not in positive
                assert positive not in text


def test_dropped_candidates_are_counted() -> None:
    rows = [Row("q", ("The  Printer",)), Row("Q ", ("Other answer",)), Row("else", ("unrelated",))]
    texts = ("the printer", "printer", "See: THE PRINTER on page 3", " ", "other answer", "xyz")
    source = Fixed(*texts)
    report = MiningReport()
    mined = list(mine(rows, [source, source], report=report))
    assert [row.documents[1:] for row in mined[:2]] == [("xyz",), ("xyz",)]
    assert mined[2].documents[1:] == tuple(text for text in texts if text != " ")
    assert report.dropped == {
        Reason.POSITIVE: 4,
        Reason.NEAR_POSITIVE: 4,
        Reason.EMPTY: 3,
        Reason.TEACHER: 0,
    }
    assert report.rows == {1: 2, 5: 1}
    assert report.mined == 7


def test_existing_negatives_are_first_and_count() -> None:
    row = Row("q", ("pos", "own", "B"), {UNNAMED: (3.0, 1.0, 2.0)}, {"id": 1})
    source = Fixed("b", "a", "own", "c", "d")
    (mined,) = mine([row], [source], Mining(negatives=4))
    assert mined.documents == ("pos", "own", "B", "a", "c")
    assert mined.scores[UNNAMED][:3] == (3.0, 1.0, 2.0)
    assert all(map(math.isnan, mined.scores[UNNAMED][3:])) and len(mined.scores[UNNAMED]) == 5
    assert mined.fields == {"id": 1}
    (again,) = mine([mined], [source], Mining(negatives=4))
    assert again.documents == mined.documents
    (full,) = mine([row], [source], Mining(negatives=1))
    assert full is row or full == row


def test_existing_negatives_can_be_replaced() -> None:
    row = Row("q", ("pos", "own"), {"t": (3.0, 1.0), "u": (4.0, 1.0)})
    (mined,) = mine([row], [Fixed("a", "own")], Mining(negatives=1, replace=True))
    assert mined.documents == ("pos", "a")
    assert mined.to_dict()["scores"] == {"t": [3.0, None], "u": [4.0, None]}


def test_depth_and_skip_bound_the_ranks() -> None:
    source = Fixed(*"abcdef")
    assert negatives([Row("q", ("pos",))], source, depth=4, skip=1) == [["b", "c", "d"]]
    assert source.asked == [("q", 4)]


def test_equal_queries_are_ranked_once_and_few_documents_are_read() -> None:
    source = Fixed(*(f"text {i}." for i in range(90)))
    rows = [Row("q", ("p1",)), Row("q", ("p2",)), Row("r", ("p3",))]
    negatives(rows, source, negatives=2)
    assert source.asked == [("q", 100), ("r", 100)]
    assert len(source.read) <= 3 * 16


def test_progress_and_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexpand.train.mining._WINDOW", 2)
    done: list[int] = []
    rows = [Row(f"q{i}", (f"p{i}",)) for i in range(5)]
    mined = list(mine(rows, [Fixed("a", "p0", "p4")], on_done=done.append))
    assert done == [2, 2, 1]
    assert [row.query for row in mined] == [row.query for row in rows]
    assert mined[4].documents == ("p4", "a", "p0")


def scorer(scores: Mapping[str, float], calls: list[tuple[str, str]]):
    def score(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
        asked = list(dict.fromkeys(pairs))
        calls.extend(asked)
        return {pair: scores[pair[1]] for pair in asked}

    return score


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, ["b", "c"]),  # an equal score is kept
        ({"negatives": 4}, ["b", "c", "d", "e"]),
        ({"margin": 1.0}, ["c", "d"]),
        ({"margin": -2.0}, ["a", "b"]),
        ({"max_ratio": 0.5}, ["d", "e"]),
        ({"max_ratio": 0.5, "margin": 9.0}, ["e"]),
    ],
)
def test_a_teacher_drops_likely_answers(settings: dict, found: list[str]) -> None:
    scores = {"pos": 10.0, "a": 12.0, "b": 10.0, "c": 9.0, "d": 2.0, "e": 1.0}
    calls: list[tuple[str, str]] = []
    report = MiningReport()
    options = Mining(**{"negatives": 2, **settings})
    rows = [Row("q", ("pos",), {UNNAMED: (1.0,)})]
    (mined,) = mine(rows, [Fixed(*"abcde")], options, score=scorer(scores, calls), report=report)
    assert list(mined.documents[1:]) == found
    assert mined.scores == {UNNAMED: tuple(scores[text] for text in mined.documents)}
    assert len(calls) == len(set(calls))
    assert report.dropped[Reason.TEACHER] == len(calls) - 1 - len(found)


def test_a_ratio_does_not_apply_to_a_positive_below_zero() -> None:
    assert Mining(max_ratio=0.5).limit(-4.0) == -4.0
    assert Mining(max_ratio=0.5).limit(4.0) == 2.0


def test_scores_of_a_teacher_join_named_ones() -> None:
    rows = [Row("q", ("pos", "own"), {"old": (5.0, 4.0)})]
    scores = {"pos": 3.0, "own": 9.0, "a": 1.0}
    calls: list[tuple[str, str]] = []
    options = Mining(negatives=2)
    (mined,) = mine(rows, [Fixed("a")], options, score=scorer(scores, calls), teacher="new")
    assert mined.to_dict()["scores"] == {"old": [5.0, 4.0, None], "new": [3.0, 9.0, 1.0]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": 0}, "negatives must be >= 1, got 0"),
        ({"depth": 0}, "depth must be >= 1, got 0"),
        ({"skip": -1}, "skip must be >= 0, got -1"),
        ({"skip": 5, "depth": 5}, r"skip must be below depth \(5\), got 5"),
        ({"margin": math.nan}, "margin must be finite, got nan"),
        ({"margin": "x"}, "margin must be a number"),
        ({"max_ratio": 0}, "max_ratio must be > 0, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Mining(**settings)


def test_mining_needs_a_retriever() -> None:
    with pytest.raises(DataError, match="needs at least one retriever"):
        list(mine([Row("q", ("p",))], []))


def test_a_run_gives_candidates(tmp_path: Path, encoder: Encoder) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        ingest(index, encoder, [Document(each, f"text {each}", "T") for each in "abc"])
        rows = [
            Row("one", ("p",), fields={"query_id": 1}),
            Row("two", ("p",), fields={"query_id": "2"}),
            Row("three", ("p",)),
        ]
        run = Run({"1": [("b", 2.0), ("gone", 1.5), ("a", 1.0)], "9": [("c", 1.0)]})
        found = negatives(rows, RunRetriever(run, rows, index))
        assert found == [["T text b", "T text a"], [], []]
        with pytest.raises(DataError, match="rows must have a query_id that is in the run"):
            RunRetriever(run, rows[2:], index)
