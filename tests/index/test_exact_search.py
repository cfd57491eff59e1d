"""Native search, compared to the bit with the reference implementation in NumPy."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import (
    SPACE,
    TERMS,
    RealCollection,
    add_toys,
    random_vectors,
    same_to_the_bit,
    space_of,
    toy_document,
    toy_vectors,
)

from lexpand import Index, SparseVectors
from lexpand.errors import ContractMismatch, DataError, VectorError

# A few distinct weights make ties, arbitrary weights make bounds that are rounded, and extreme
# weights test the limits of float32.
weights = (
    st.sampled_from([0.5, 1.0, 2.0])
    | st.floats(0, 10, width=32)
    | st.sampled_from([0.0, 1e-45, 3e38])
)
rows = st.dictionaries(st.integers(0, TERMS - 1), weights, max_size=TERMS)
commits = st.lists(st.lists(rows, max_size=12), max_size=4)


@settings(max_examples=40)
@given(commits, st.lists(rows, min_size=1, max_size=5), st.integers(0, 60), st.integers(1, 4))
def test_native_search_equals_exhaustive_search(
    commits: list[list[dict[int, float]]], queries: list[dict[int, float]], k: int, threads: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, Index.create(Path(folder) / "i", SPACE) as index:
        count = 0
        for part in commits:
            index.add([toy_document(count + i) for i in range(len(part))], toy_vectors(part))
            index.commit()
            count += len(part)
        found = same_to_the_bit(index, toy_vectors(queries), k, threads)
        assert len(found) == len(queries)
        for hits in found:
            assert len(hits) <= min(k, count)
            assert [(-hit.score, hit.row) for hit in hits] == sorted(
                (-hit.score, hit.row) for hit in hits
            )
            assert all(hit.score > 0 and hit.doc_id == f"d{hit.row}" for hit in hits)


@settings(max_examples=20)
@given(
    st.lists(st.lists(st.sampled_from([1.0, 2.0]), max_size=30), min_size=2, max_size=3),
    st.integers(1, 12),
)
def test_ties_are_in_order_of_insertion(commits: list[list[float]], k: int) -> None:
    """With one term and two weights, the expected result is a stable sort."""
    with tempfile.TemporaryDirectory() as folder, Index.create(Path(folder) / "i", SPACE) as index:
        count = 0
        for part in commits:
            numbers = range(count, count + len(part))
            index.add(
                [toy_document(n) for n in numbers], toy_vectors([{3: weight} for weight in part])
            )
            index.commit()
            count += len(part)
        (found,) = same_to_the_bit(index, toy_vectors([{3: 1.0}]), k)
        flat = [weight for part in commits for weight in part]
        expected = sorted(range(count), key=lambda row: (-flat[row], row))[:k]
        assert [hit.row for hit in found] == expected
        assert [hit.score for hit in found] == pytest.approx(
            [flat[row] for row in expected], rel=1e-6
        )


@pytest.mark.parametrize("k", [1, 10, 100, 1000])
@pytest.mark.parametrize("threads", [1, 3])
def test_native_search_equals_exhaustive_search_on_real_texts(
    real: RealCollection, k: int, threads: int
) -> None:
    with Index.open(real.path) as index:
        assert index.info().segments == 3
        found = same_to_the_bit(index, real.queries, k, threads)
    assert max(map(len, found)) == min(k, 300)


def test_scores_equal_those_of_the_encoder_up_to_quantization(real: RealCollection) -> None:
    queries, vectors = (part.to_dense().astype(np.float64) for part in (real.queries, real.vectors))
    expected = queries @ vectors.T
    # A stored weight differs by at most a scale, and a scale is the largest weight / 65535.
    allowed = np.outer(queries.sum(axis=1), vectors.max(axis=1)) / 65_000
    place = {document.doc_id: i for i, document in enumerate(real.documents)}
    with Index.open(real.path) as index:
        found = index.search(real.queries, 1000)
    for query, hits in enumerate(found):
        assert len(hits) == np.count_nonzero(expected[query] > 0)
        for hit in hits:
            at = query, place[hit.doc_id]
            assert abs(hit.score - expected[at]) <= allowed[at]


def test_segments_of_several_blocks_are_searched_exactly(tmp_path: Path) -> None:
    """There is a segment of two blocks (of 2^16 passages) and a small one."""
    random = np.random.default_rng(1)
    n = (1 << 16) + 500
    with Index.create(tmp_path / "i", SPACE) as index:
        index.add([toy_document(i, "") for i in range(n)], random_vectors(random, n, TERMS, 4))
        index.commit()
        index.add([toy_document(n + i, "") for i in range(9)], random_vectors(random, 9, TERMS, 4))
        index.commit()
        queries = random_vectors(random, 3, TERMS, TERMS)
        for k in (70, n + 100):
            found = same_to_the_bit(index, queries, k, threads=2)
        assert max(hit.row for hits in found for hit in hits) > 1 << 16


def test_terms_of_more_than_two_bytes_are_searched_exactly(tmp_path: Path) -> None:
    random, terms = np.random.default_rng(2), (1 << 16) + 1000
    with Index.create(tmp_path / "i", space_of(terms)) as index:
        for start in (0, 40):
            vectors = random_vectors(random, 40, terms, 500)
            index.add([toy_document(start + i) for i in range(40)], vectors)
            index.commit()
        last = SparseVectors.from_rows([{terms - 1: 2.0, 1 << 16: 1.0}], terms)
        index.add([toy_document(80)], last)
        index.commit()
        # The first query has more terms than a search by bounds allows (2^13).
        long = SparseVectors(
            [0, 10_000],
            np.sort(random.choice(terms, 10_000, replace=False)),
            random.random(10_000),
            terms,
        )
        queries = SparseVectors.concatenate([long, random_vectors(random, 2, terms, 2000), last])
        for k in (5, 200):
            assert same_to_the_bit(index, queries, k, threads=2)[-1][0].doc_id == "d80"


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        assert same_to_the_bit(index, toy_vectors([{1: 1.0}, {}]), 10) == [[], []]
        assert index.search(toy_vectors([]), 10) == []


def test_documents_without_terms_are_not_found(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        index.add([toy_document(0), toy_document(1)], toy_vectors([{}, {5: 1.0}]))
        index.commit()
        (found,) = same_to_the_bit(index, toy_vectors([{5: 1.0, 6: 2.0}]), 10)
        assert [hit.doc_id for hit in found] == ["d1"]
        assert index.vector("d0").weights.tolist() == []


def test_invalid_searches_are_refused(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        add_toys(index, 1)
        index.commit()
        with pytest.raises(DataError, match="k must be >= 0, got -1"):
            index.search(toy_vectors([{1: 1.0}]), -1)
        with pytest.raises(VectorError, match=f"over the {TERMS} terms of .*, got 17 terms"):
            index.search(toy_vectors([{1: 1.0}], 17))
        other = space_of(TERMS, "other", "1").model
        with pytest.raises(
            ContractMismatch, match=r"toy \(000000000000\), not of other \(111111111111\)"
        ):
            index.search(SparseVectors([0, 1], [1], [1.0], TERMS, other))
        assert index.search(toy_vectors([{0: 1.0}]), 0) == [[]]
