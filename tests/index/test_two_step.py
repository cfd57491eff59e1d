"""Search in two steps: the second's scores to the bit, the window, and what the first leaves out."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import SPACE, TERMS, RealCollection, toy_document, toy_vectors

from lexpand import Index
from lexpand.encode import Pruning
from lexpand.errors import DataError
from lexpand.index import TwoStep

weights = st.sampled_from([0.5, 1.0, 2.0]) | st.floats(0, 10, width=32)
rows = st.dictionaries(st.integers(0, TERMS - 1), weights, max_size=TERMS)
commits = st.lists(st.lists(rows, max_size=12), max_size=4)
rules = st.builds(Pruning, top=st.none() | st.integers(1, 4), ratio=st.floats(0, 1), threshold=st.sampled_from([0, 1]))


@settings(max_examples=40)
@given(
    commits, st.lists(rows, min_size=1, max_size=4), rules, st.integers(1, 20), st.integers(0, 30), st.integers(1, 3)
)
def test_by_the_definition(commits: list, queries: list, rules: Pruning, window: int, k: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Index.create(Path(folder) / "i", SPACE) as index:
        for number, part in enumerate(commits):
            index.add([toy_document(100 * number + i) for i in range(len(part))], toy_vectors(part))
            index.commit()
        vectors = toy_vectors(queries)
        found = index.search(vectors, k, two_step=TwoStep(rules, window), threads=threads)
        first = index.search(rules.apply(vectors), max(k, window))
        whole = index.search(vectors, 10_000)
        for mine, seen, scored in zip(found, first, whole, strict=True):
            inside = {match.row for match in seen}
            assert mine == [match for match in scored if match.row in inside][:k]
        assert found == index.search(vectors, k, two_step=TwoStep(rules, window), exhaustive=True)


def test_real_texts(real: RealCollection) -> None:
    with Index.open(real.path) as index:
        one = index.search(real.queries, 10)
        two = index.search(real.queries, 10, two_step=TwoStep())
        narrow = index.search(real.queries, 10, two_step=TwoStep(Pruning(top=1), 10))
        assert index.search(real.queries, 10, two_step=TwoStep(Pruning(), 10)) == one
        missing = [
            len({match.row for match in mine} - {match.row for match in ours})
            for found in (two, narrow)
            for mine, ours in zip(one, found, strict=True)
        ]
    assert np.mean(missing[:50]) < 0.1 < 3 < np.mean(missing[50:])


def test_the_window_is_no_less_than_k(real: RealCollection) -> None:
    with Index.open(real.path) as index:
        assert index.search(real.queries, 9, two_step=TwoStep(Pruning(), 1)) == index.search(real.queries, 9)


def test_filters_groups_and_deletions(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        index.add(
            [toy_document(number) for number in range(40)], toy_vectors([{0: 2.0, 1 + n % 5: 1.0} for n in range(40)])
        )
        index.delete(["d6"])
        index.commit()
        query = toy_vectors([{0: 1.0, 2: 0.1}])
        two = TwoStep(Pruning(top=1), 7)
        # Term 0 is in all, so the window is the first seven by row; of these d1 has term 2, as d6 had.
        (found,) = index.search(query, 3, two_step=two)
        assert [match.doc_id for match in found] == ["d1", "d0", "d2"]
        (found,) = index.search(query, 3, two_step=two, filter="n > 9")
        assert [match.doc_id for match in found] == ["d11", "d16", "d10"]
        (found,) = index.search(query, 7, two_step=two, group_by="n")
        assert [match.doc_id for match in found] == ["d1", "d0", "d2", "d3", "d4", "d5", "d7"]


def test_the_effort_is_the_first_steps(real: RealCollection) -> None:
    with Index.open(real.path) as index:
        every = {(n, m.row): m.score for n, found in enumerate(index.search(real.queries, 300)) for m in found}
        two = index.search(real.queries, 20, two_step=TwoStep(Pruning(), 20), effort=0.2)
        assert all(every[n, match.row] == match.score for n, found in enumerate(two) for match in found)
        rough = index.search(real.queries, 20, effort=0.2)
        assert [{m.row for m in found} for found in two] == [{m.row for m in found} for found in rough]


@pytest.mark.parametrize("window", [0, -1, 2.5, True])
def test_windows_that_are_none(window: int) -> None:
    with pytest.raises(DataError, match="at least one document must be scored"):
        TwoStep(window=window)
