"""Training rows that share text with a collection, against a slow reference implementation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, Query
from lexpand.errors import DataError
from lexpand.experiments import contamination, find_contamination
from lexpand.experiments.contamination import (
    CollectionTexts,
    Hit,
    HitKind,
    search_rows,
    words_of,
)

LONG = "the quick brown fox jumps over the lazy dog and then it sleeps until noon today"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Reset the Wi-Fi, now!", ["reset", "the", "wi", "fi", "now"]),
        ("x_y 3.5 CVE-2023-1", ["x", "y", "3", "5", "cve", "2023", "1"]),
        ("Straße ÉTÉ слово 日本", ["straße", "été", "слово", "日本"]),
        (" -- _ \n", []),
    ],
)
def test_words_are_lower_cased_runs_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_run_of_words_of_a_document_is_a_hit() -> None:
    documents = [Document("other", "nothing"), Document("fox", f"He said: {LONG}.", "Animals")]
    rows = [
        ("x:1", ["nothing in common"], "animals"),
        ("x:2", ["short", f"Once,\n{LONG.upper()}? Yes."], "which fox"),
        ("x:3", [" ".join(LONG.split()[:12])], "only twelve words"),
        ("x:4", ["a passage"], " ".join(LONG.split()[2:])),
    ]
    assert find_contamination(rows, documents, []) == [
        Hit("x:2", HitKind.PASSAGE, "fox", LONG),
        Hit("x:4", HitKind.PASSAGE, "fox", " ".join(LONG.split()[2:])),
    ]


def test_the_title_belongs_to_the_document() -> None:
    half = LONG.split()
    document = Document("fox", " ".join(half[8:]), " ".join(half[:8]))
    (hit,) = find_contamination([("x:1", [LONG], "q")], [document], [])
    assert hit.words == LONG


def test_a_whole_query_is_a_hit_and_a_part_is_not() -> None:
    queries = [Query("1", "Reset WiFi?"), Query("2", "reset wifi"), Query("3", "?!")]
    rows = [
        ("x:1", ["reset wifi"], "how to reset wifi"),
        ("x:2", ["a"], "reset: wifi"),
        ("x:3", ["a"], "..."),
    ]
    assert find_contamination(rows, [], queries) == [Hit("x:2", HitKind.QUERY, "1", "reset wifi")]


def test_a_long_query_in_a_passage_is_a_hit() -> None:
    expected = [Hit("x:1", HitKind.QUERY, "7", LONG)]
    for query in ("fox", LONG):
        rows = [("x:1", [f"Note that {LONG}"], query)]
        assert find_contamination(rows, [], [Query("7", LONG)]) == expected


def test_a_row_has_one_hit_for_each_text() -> None:
    documents = [Document("a", LONG), Document("b", f"{LONG} tomorrow as well")]
    rows = [("x:1", [LONG, f"{LONG} tomorrow as well"], "q"), ("x:2", [LONG], "q")]
    assert [(hit.place, hit.shared_id) for hit in find_contamination(rows, documents, [])] == [
        ("x:1", "a"),
        ("x:1", "b"),
        ("x:2", "a"),
    ]


def test_several_collections_are_searched_in_one_pass() -> None:
    one = CollectionTexts([Document("a", LONG)], [], name="one")
    two = CollectionTexts([Document("b", LONG)], [Query("c", "wifi")], name="two")
    rows = iter([("x:1", ["wifi"], "wifi"), ("x:2", ["none"], "none"), ("x:3", [LONG], "fox")])
    found = list(search_rows(rows, [one, two]))
    assert [[(hit.collection, hit.shared_id) for hit in hits] for hits in found] == [
        [("two", "c")],
        [],
        [("one", "a"), ("two", "b")],
    ]
    assert list(search_rows([("x:1", ["wifi"], "wifi")], [])) == [[]]


def test_invalid_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="words must be >= 1, got 0"):
        find_contamination([], [], [], words=0)
    texts = [CollectionTexts([], [], words=words) for words in (2, 13)]
    with pytest.raises(DataError, match=r"must have the same length of a run, got \[2, 13\]"):
        list(search_rows([], texts))


def test_a_collision_of_hashes_is_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("x:1", ["one two three four"], "five")]
    documents = [Document("a", "six seven eight nine ten")]
    monkeypatch.setattr(contamination, "hash", lambda word: 1, raising=False)
    texts = CollectionTexts(documents, [], words=3)
    assert len(texts._hashes) == 1
    assert list(search_rows(rows, [texts])) == [[]]


def test_rows_are_searched_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "_BATCH", 3)
    documents = [Document(f"d{i}", f"alpha{i} beta gamma delta") for i in range(8)]
    rows = [(f"x:{i}", [f"say alpha{i} beta gamma"], "q") for i in range(10)]
    hits = find_contamination(rows, documents, [], words=3)
    # "beta gamma delta" is in no row, and rows 8 and 9 share nothing.
    assert [(hit.place, hit.shared_id, hit.words) for hit in hits] == [
        (f"x:{i}", f"d{i}", f"alpha{i} beta gamma") for i in range(8)
    ]


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12).map(" ".join)


@given(
    rows=st.lists(st.tuples(st.lists(words, max_size=2), words), max_size=5),
    documents=st.lists(words, max_size=4),
    queries=st.lists(words, max_size=3),
    length=st.integers(1, 4),
)
def test_rows_with_hits_are_those_of_the_reference(
    rows: list[tuple[list[str], str]], documents: list[str], queries: list[str], length: int
) -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        each = words_of(text)
        return {tuple(each[i : i + length]) for i in range(len(each) - length + 1)}

    known = set().union(*map(runs, documents + queries))
    asked = {tuple(words_of(query)) for query in queries} - {()}
    expected = [
        any(runs(text) & known for text in (query, *texts)) or tuple(words_of(query)) in asked
        for texts, query in rows
    ]
    texts = CollectionTexts(
        [Document(f"d{i}", text) for i, text in enumerate(documents)],
        [Query(f"q{i}", text) for i, text in enumerate(queries)],
        words=length,
    )
    named = [(f"x:{i}", each, query) for i, (each, query) in enumerate(rows)]
    found = list(search_rows(named, [texts]))
    assert [bool(hits) for hits in found] == expected
    assert all(
        hit.place == place for (place, *_), hits in zip(named, found, strict=True) for hit in hits
    )
    for hit in itertools.chain(*found):
        shared = hit.words.split()
        assert len(shared) >= length or tuple(shared) in asked


def test_memory_is_twelve_bytes_for_each_distinct_run() -> None:
    texts = CollectionTexts([Document("a", LONG), Document("b", LONG)], [])
    assert len(texts._hashes) == len(LONG.split()) - 12
    assert (texts._hashes.dtype, texts._places.dtype) == (np.uint64, np.uint32)
