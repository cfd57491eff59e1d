"""Fusion as docs/pipelines.md defines it, and equal to the reference implementation to the bit."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from fusion_reference import fuse_matches
from hypothesis import given
from hypothesis import strategies as st

from lexpand.errors import DataError
from lexpand.index import Match
from lexpand.search import Fused, Fusion, fuse

scores = st.dictionaries(st.integers(0, 9), st.floats(0.01, 50, allow_nan=False), max_size=8)
# Few values, so that scores and sums are often equal. Sums of hybrids may be below 0.
tied = st.sampled_from([-1.5, 0.0, 0.1, 0.25, 1.0, 1.0 + 1e-16, 3.0]) | st.floats(
    -5, 50, allow_nan=False
)
rankings_with_ties = st.lists(
    st.dictionaries(st.integers(0, 12), tied, max_size=10), min_size=1, max_size=4
)


def ranked(found: dict[int, float]) -> list[Match]:
    order = sorted(found, key=lambda row: (-found[row], row))
    return [Match(f"d{row}", found[row], row) for row in order]


def fused(
    rankings: Sequence[Sequence[Match]],
    weights: Sequence[float],
    fusion: Fusion,
    bounds: Sequence[float] | None = None,
    dtype: type = np.uint32,
) -> Fused:
    keys = [np.array([match.row for match in ranking], dtype) for ranking in rankings]
    values = [np.array([match.score for match in ranking], np.float64) for ranking in rankings]
    return fuse(keys, values, weights, fusion, bounds)


def as_matches(found: Fused, rankings: Sequence[Sequence[Match]]) -> list[Match]:
    """Return the fused documents, as their positions in the rankings name them."""
    rows = zip(found.rankings.tolist(), found.places.tolist(), found.scores.tolist(), strict=True)
    return [rankings[ranking][place]._replace(score=score) for ranking, place, score in rows]


def share(found: dict[int, float], row: int, fusion: Fusion) -> float:
    """Return a normalized score by the table of docs/pipelines.md, in plain Python."""
    values = sorted(found.values(), reverse=True)
    if fusion is Fusion.RECIPROCAL_RANK:
        return 1 / (61 + [match.row for match in ranked(found)].index(row)) if row in found else 0.0
    if fusion is Fusion.Z_SCORE:
        deviation = statistics.pstdev(values) if values else 0.0
        if deviation == 0:
            return 0.0
        return (found.get(row, values[-1]) - statistics.fmean(values)) / deviation
    if row not in found:
        return 0.0
    if fusion is Fusion.MIN_MAX:
        return (
            (found[row] - values[-1]) / (values[0] - values[-1]) if values[0] > values[-1] else 1.0
        )
    return found[row] / values[0] if fusion is Fusion.MAXIMUM else found[row]


@given(st.lists(scores, min_size=1, max_size=3), st.sampled_from(Fusion), st.data())
def test_sums_follow_the_table_of_the_docs(
    parts: list[dict[int, float]], fusion: Fusion, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 2), min_size=len(parts), max_size=len(parts)))
    bounds = data.draw(st.lists(st.floats(50, 99), min_size=len(parts), max_size=len(parts)))
    rankings = [ranked(part) for part in parts]
    found = fused(rankings, weights, fusion, bounds)
    expected = {
        row: sum(
            weight
            * (
                part.get(row, 0) / bound
                if fusion in (Fusion.BOUND, Fusion.EXPECTED)
                else share(part, row, fusion)
            )
            for weight, part, bound in zip(weights, parts, bounds, strict=True)
        )
        for row in set().union(*parts)
    }
    assert set(found.keys.tolist()) == expected.keys()
    assert [match.row for match in as_matches(found, rankings)] == found.keys.tolist()
    for row, score in zip(found.keys.tolist(), found.scores.tolist(), strict=True):
        assert math.isclose(score, expected[row], rel_tol=1e-6, abs_tol=1e-5)
    order = list(zip((-found.scores).tolist(), found.keys.tolist(), strict=True))
    assert order == sorted(order)


@given(
    rankings_with_ties, st.sampled_from(Fusion), st.sampled_from([np.uint32, np.int64]), st.data()
)
def test_fusion_equals_the_reference_to_the_bit(
    parts: list[dict[int, float]], fusion: Fusion, dtype: type, data: st.DataObject
) -> None:
    several = {"min_size": len(parts), "max_size": len(parts)}
    weights = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 2), **several))
    bounds = data.draw(st.lists(st.sampled_from([0.0, 1.0, 50.0]), **several))
    # Each ranking has spans of its own, so that the span of a document shows its ranking.
    rankings = [
        [match._replace(span=(place, match.row)) for match in ranked(part)]
        for place, part in enumerate(parts)
    ]
    found = fused(rankings, weights, fusion, bounds, dtype)
    expected = fuse_matches(rankings, weights, fusion, bounds)
    assert as_matches(found, rankings) == expected
    assert found.keys.tolist() == [match.row for match in expected]
    assert [each.dtype for each in found] == [np.int64, np.float64, np.int64, np.int64]


def test_equal_sums_are_in_the_order_of_insertion() -> None:
    one, other = [Match("b", 2.0, 1), Match("a", 1.0, 0)], [Match("a", 2.0, 0), Match("b", 1.0, 1)]
    found = fused([one, other], [1, 1], Fusion.RECIPROCAL_RANK)
    assert [match.doc_id for match in as_matches(found, [one, other])] == ["a", "b"]
    assert len(set(found.scores.tolist())) == 1


@pytest.mark.parametrize("fusion", Fusion)
def test_empty_rankings_fuse_to_nothing(fusion: Fusion) -> None:
    assert [len(each) for each in fused([[], []], [1, 1], fusion, [0.0, 0.0])] == [0, 0, 0, 0]


@pytest.mark.parametrize("fusion", Fusion)
def test_an_empty_ranking_adds_nothing(fusion: Fusion) -> None:
    rankings = [[], [Match("a", 2.0, 4), Match("b", 1.0, 3)]]
    found = fused(rankings, [1, 1], fusion, [1.0, 2.0])
    assert (found.keys.tolist(), found.rankings.tolist(), found.places.tolist()) == (
        [4, 3],
        [1, 1],
        [0, 1],
    )
    assert as_matches(found, rankings) == fuse_matches(rankings, [1, 1], fusion, [1.0, 2.0])


def test_fusion_by_bound_needs_bounds() -> None:
    message = "bounds must not be None for fusion by bound: pass a divisor for each ranking"
    with pytest.raises(DataError, match=message):
        fused([[], []], [1, 1], Fusion.BOUND)


def test_the_span_comes_from_the_first_ranking_with_the_document() -> None:
    rankings = [[Match("a", 2.0, 0, (0, 5))], [Match("a", 1.0, 0, (7, 9))]]
    assert as_matches(fused(rankings, [1, 1], Fusion.NONE), rankings) == [
        Match("a", 3.0, 0, (0, 5))
    ]
