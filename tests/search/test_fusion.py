"""Rankings become one as the page says, for each kind of fusion."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.errors import DataError
from lexpand.index import Match
from lexpand.search import Fusion, fuse

scores = st.dictionaries(st.integers(0, 9), st.floats(0.01, 50, allow_nan=False), max_size=8)


def ranked(found: dict[int, float]) -> list[Match]:
    order = sorted(found, key=lambda row: (-found[row], row))
    return [Match(f"d{row}", found[row], row) for row in order]


def share(found: dict[int, float], row: int, fusion: Fusion) -> float:
    """By the table of docs/pipelines.md, in plain Python."""
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
        return (found[row] - values[-1]) / (values[0] - values[-1]) if values[0] > values[-1] else 1.0
    return found[row] / values[0] if fusion is Fusion.MAXIMUM else found[row]


@given(st.lists(scores, min_size=1, max_size=3), st.sampled_from(Fusion), st.data())
def test_sums_are_those_of_the_table(parts: list[dict[int, float]], fusion: Fusion, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 2), min_size=len(parts), max_size=len(parts)))
    bounds = data.draw(st.lists(st.floats(50, 99), min_size=len(parts), max_size=len(parts)))
    found = fuse([ranked(part) for part in parts], weights, fusion, bounds)
    expected = {
        row: sum(
            weight * (part.get(row, 0) / bound if fusion is Fusion.BOUND else share(part, row, fusion))
            for weight, part, bound in zip(weights, parts, bounds, strict=True)
        )
        for row in set().union(*parts)
    }
    assert {match.row for match in found} == expected.keys()
    for match in found:
        assert match.doc_id == f"d{match.row}"
        assert math.isclose(match.score, expected[match.row], rel_tol=1e-6, abs_tol=1e-5)
    assert [(-match.score, match.row) for match in found] == sorted((-match.score, match.row) for match in found)


def test_equal_sums_are_in_the_order_of_adding() -> None:
    one, other = [Match("b", 2.0, 1), Match("a", 1.0, 0)], [Match("a", 2.0, 0), Match("b", 1.0, 1)]
    assert [match.doc_id for match in fuse([one, other], [1, 1], Fusion.RECIPROCAL_RANK)] == ["a", "b"]


@pytest.mark.parametrize("fusion", Fusion)
def test_nothing_found_by_anybody(fusion: Fusion) -> None:
    assert fuse([[], []], [1, 1], fusion, [0.0, 0.0]) == []


def test_a_bound_that_is_not_given() -> None:
    with pytest.raises(DataError, match="needs a bound for each ranking"):
        fuse([[], []], [1, 1], Fusion.BOUND)


def test_the_span_is_that_of_the_first_that_has_the_document() -> None:
    (found,) = fuse([[Match("a", 2.0, 0, (0, 5))], [Match("a", 1.0, 0, (7, 9))]], [1, 1], Fusion.NONE)
    assert found == Match("a", 3.0, 0, (0, 5))
