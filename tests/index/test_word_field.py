"""The lexical field from Python: scores equal to those of bm25s, merges, damage and limits."""

from collections import Counter
from typing import Any

import bm25s
import numpy as np
import pytest
from numpy.typing import NDArray

from lexpand import Document
from lexpand._native import WordField, WordQuery, build_words, document_frequencies, merge_words
from lexpand.encode import WordAnalyzer
from lexpand.errors import CorruptIndex, DataError, VectorError
from lexpand.index.word_queries import weighted_words


def build(passages: list[list[str]]) -> WordField:
    return WordField.from_sections(dict(sections(passages)), len(passages))


def sections(passages: list[list[str]]) -> list[tuple[int, bytes]]:
    words = sorted({word for passage in passages for word in passage}, reverse=True)
    place = {word: i for i, word in enumerate(words)}
    counted = [Counter(passage) for passage in passages]
    indptr = np.cumsum([0, *map(len, counted)], dtype=np.int64)
    terms = np.array([place[word] for passage in counted for word in passage], np.uint32)
    counts = np.array([count for passage in counted for count in passage.values()], np.uint32)
    return build_words(words, indptr, terms, counts)


def query(field: WordField, words: list[str], k1: float = 1.2, b: float = 0.75) -> WordQuery:
    weights = Counter(words)
    df = document_frequencies([field], [None], list(weights))
    passages, total_length = field.totals()
    return WordQuery(
        [(word, float(weight)) for word, weight in weights.items()],
        df,
        passages=passages,
        total_length=total_length,
        k1=k1,
        b=b,
    )


def scores(
    field: WordField, words: list[str], k1: float = 1.2, b: float = 0.75
) -> NDArray[np.float64]:
    found, rows, segments, ordinals = query(field, words, k1, b).search(
        [field], [np.arange(field.passages, dtype=np.uint32)], [None], field.passages
    )
    assert np.array_equal(rows, ordinals)
    assert not segments.any()
    assert np.all(np.diff(found) <= 0)
    full = np.zeros(field.passages)
    full[rows] = found
    return full


def peer(passages: list[list[str]], k1: float = 1.2, b: float = 0.75) -> Any:
    model = bm25s.BM25(method="lucene", k1=k1, b=b, dtype="float64")
    model.index(passages, show_progress=False)
    return model


def in_vocabulary(model: Any, words: list[str]) -> list[str]:
    return [word for word in words if word in model.vocab_dict]


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0)])
def test_scores_equal_those_of_bm25s_on_random_words(k1: float, b: float) -> None:
    random = np.random.default_rng(7)
    passages = [
        [f"w{i}" for i in random.zipf(1.4, random.integers(1, 60)) if i < 500] or ["w1"]
        for _ in range(400)
    ]
    field, model = build(passages), peer(passages, k1, b)
    for _ in range(30):
        words = [f"w{i}" for i in random.integers(1, 40, random.integers(1, 8))]
        own, expected = scores(field, words, k1, b), model.get_scores(in_vocabulary(model, words))
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=0)


def test_scores_equal_those_of_bm25s_on_scifact(scifact: list[Document]) -> None:
    analyzer = WordAnalyzer()
    passages = [analyzer.analyze(f"{document.title} {document.text}") for document in scifact]
    field, model = build(passages), peer(passages)
    for document in scifact[::500]:
        words = analyzer.analyze(document.title)
        np.testing.assert_allclose(
            scores(field, words), model.get_scores(in_vocabulary(model, words)), rtol=1e-12, atol=0
        )


def test_batch_counting_builds_the_same_sections(scifact: list[Document]) -> None:
    texts = [document.text for document in scifact[:200]]
    analyzer = WordAnalyzer()
    counts = analyzer.counts(texts)
    built = build_words(counts.words, counts.indptr, counts.terms, counts.counts)
    assert built == sections([analyzer.analyze(text) for text in texts])


PASSAGES = [["a", "b", "b"], [], ["b", "zug"], ["東", "b"]]


def test_a_field_has_words_lengths_and_frequencies() -> None:
    field = build(PASSAGES)
    assert (field.passages, field.terms) == (4, 4)
    assert field.words() == ["a", "b", "zug", "東"]
    assert field.lengths().tolist() == [3, 0, 2, 2]
    assert field.passage(0) == [("a", 1), ("b", 2)]
    assert field.totals() == (4, 7)
    assert field.totals(np.array([0b1001], np.uint64)) == (2, 5)
    live = [np.array([0b1100], np.uint64)]
    assert document_frequencies([field], live, ["b", "a", "none"]).tolist() == [2, 0, 0]


def test_contributions_add_up_to_the_score() -> None:
    field = build(PASSAGES)
    parts = query(field, ["b", "a", "b", "none"]).contributions(field, 0)
    assert [(word, frequency) for word, frequency, _, _ in parts] == [("a", 1), ("b", 2)]
    assert sum(share for *_, share in parts) == scores(field, ["b", "a", "b"])[0]


def test_only_allowed_passages_are_found() -> None:
    field = build(PASSAGES)
    rows = np.array([9, 8, 7, 6], np.uint32)
    allowed = np.array([0b1100], np.uint64)
    _, found, _, ordinals = query(field, ["b"]).search([field], [rows], [allowed], 5)
    assert (found.tolist(), ordinals.tolist()) == ([6, 7], [3, 2])
    assert query(field, ["b"]).search([field], [rows], [None], 0)[0].size == 0


def test_a_merge_equals_a_field_of_the_kept_passages() -> None:
    fields = [build(PASSAGES), build([["b"], ["c"]])]
    kept = [np.array([0b1101], np.uint64), None]
    assert merge_words(fields, kept) == sections(
        [PASSAGES[0], PASSAGES[2], PASSAGES[3], ["b"], ["c"]]
    )


def test_invalid_arguments_and_damage_are_refused() -> None:
    parts = dict(sections(PASSAGES))
    with pytest.raises(CorruptIndex, match="words: section 58 has 3 items, not 4"):
        WordField.from_sections({**parts, 58: parts[58][:12]}, 4)
    with pytest.raises(VectorError, match='"a" occurs twice'):
        build_words(
            ["a", "a"], np.zeros(1, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint32)
        )
    field = build(PASSAGES)
    with pytest.raises(VectorError, match="k1 must be finite and >= 0, got -1"):
        query(field, ["a"], k1=-1.0)
    with pytest.raises(IndexError, match="passage 4 of 4"):
        field.passage(4)
    with pytest.raises(VectorError, match="source 0: 3 rows for 4 passages"):
        query(field, ["b"]).search([field], [np.zeros(3, np.uint32)], [None], 1)
    with pytest.raises(ValueError, match="1 fields, rows of 0"):
        query(field, ["b"]).search([field], [], [None], 1)
    with pytest.raises(ValueError, match="1 fields, 0 sets"):
        document_frequencies([field], [], ["a"])


@pytest.mark.parametrize(
    ("queries", "message"),
    [(5, "queries must be a list of queries, got 5"), ([5], "a query must be a string, got 5")],
)
def test_queries_of_another_type_are_refused(queries: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        weighted_words(queries, WordAnalyzer("english"))  # type: ignore[arg-type]
