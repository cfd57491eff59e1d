"""Largest weights and score bounds, compared with an exhaustive computation."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import SPACE, TERMS, toy_document, toy_vectors

from lexpand import Document, Index, SparseVectors
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError, IndexStateError, VectorError
from lexpand.index import BM25

rows = st.dictionaries(st.integers(0, TERMS - 1), st.floats(0, 10, width=32), max_size=TERMS)


def stored(index: Index) -> np.ndarray:
    """Return the stored weights of all live documents, [documents, terms]."""
    dense = np.zeros((len(index), TERMS))
    for place, doc_id in enumerate(index.doc_ids()):
        vector = index.vector(doc_id)
        dense[place, vector.terms] = vector.weights
    return dense


@settings(max_examples=30)
@given(st.lists(st.lists(rows, max_size=6), max_size=3), st.sets(st.integers(0, 5)))
def test_largest_weights_equal_those_of_all_vectors(
    commits: list[list[dict[int, float]]], deleted: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder, Index.create(Path(folder) / "i", SPACE) as index:
        every = np.arange(TERMS, dtype=np.uint32)
        assert index.largest_weights(every).tolist() == [0.0] * TERMS
        for number, part in enumerate(commits):
            index.add([toy_document(6 * number + i) for i in range(len(part))], toy_vectors(part))
            index.commit()
            assert (
                index.largest_weights(every).tolist()
                == stored(index).max(axis=0, initial=0).tolist()
            )
        index.delete([f"d{number}" for number in deleted])
        index.commit()
        expected = stored(index).max(axis=0, initial=0)
        twice = np.array([3, 1, 3], np.uint32)
        assert index.largest_weights(twice).tolist() == expected[twice].tolist()
        assert index.largest_weights(every[:0]).shape == (0,)


def test_a_term_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index, pytest.raises(VectorError):
        index.largest_weights(np.array([TERMS], np.uint32))


def test_word_bounds_are_the_scores_without_saturation(tmp_path: Path) -> None:
    texts = ["heart attack", "heart heart valve", "printer " * 50, "the heart of the printer"]
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    queries = ["heart printer", "heart heart", "nowhere", "", "the", "valve nowhere"]
    with Index.create(tmp_path / "i", SPACE, words=WordAnalyzer("english")) as index:
        index.add(documents, SparseVectors.empty(len(texts), TERMS))
        index.commit()
        idf = {
            word: np.log1p((4 - df + 0.5) / (df + 0.5))
            for word, df in (("heart", 3), ("printer", 2), ("valve", 1))
        }
        bounds = index.word_bounds(queries)
        expected = [idf["heart"] + idf["printer"], 2 * idf["heart"], 0, 0, 0, idf["valve"]]
        assert bounds == pytest.approx(expected)
        # With k1 = 0, repetitions do not count, and the best score equals the bound.
        for found, bound in zip(
            index.search_words(queries, 9, bm25=BM25(k1=0)), bounds, strict=True
        ):
            assert max([0.0, *found.scores]) == pytest.approx(bound if found else 0)
        with pytest.raises(DataError, match="got the string"):
            index.word_bounds("heart")
    with (
        Index.create(tmp_path / "j", SPACE) as index,
        pytest.raises(IndexStateError, match="has no BM25 field"),
    ):
        index.word_bounds(["heart"])
