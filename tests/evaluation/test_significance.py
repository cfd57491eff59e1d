"""Tests, intervals and adjustments compared with SciPy, with references and in simulations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from lexpand.errors import DataError
from lexpand.evaluation import compare_means, holm
from lexpand.evaluation.significance import Comparison, randomization_test


def values(numbers: NDArray[np.float64]) -> dict[str, float]:
    return {f"q{place}": float(number) for place, number in enumerate(numbers)}


def ndcg_like(
    random: np.random.Generator, queries: int, systems: int, pairs: int
) -> NDArray[np.float64]:
    """Return values of equal systems, float64 [systems, queries, pairs].

    All systems share the difficulty of a query. Two thirds of the values are 0 or 1, and the others
    have a beta distribution. Half of the values of a query are those of the first system.
    """
    difficulty = random.beta(1, 1.5, (1, queries, pairs))
    size = (systems, queries, pairs)
    own = random.beta(4 * difficulty + 0.2, 4 * (1 - difficulty) + 0.2, size)
    whole = (random.random(size) < difficulty).astype(float)
    drawn = np.where(random.random(size) < 2 / 3, whole, own)
    return np.where(random.random(size) < 0.5, drawn[:1], drawn)


def p_values(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p value of each pair; ``before`` and ``after`` are [queries, pairs]."""
    differences = after - before
    parts = np.array_split(differences, max(1, differences.shape[1] // 500), axis=1)
    return np.concatenate([randomization_test(part) for part in parts])


def test_the_randomization_test_is_that_of_scipy() -> None:
    random = np.random.default_rng(5)
    for queries in (2, 3, 5, 8, 11, 13):
        for _ in range(4):
            before, after = ndcg_like(random, queries, 2, 1)[:, :, 0]
            expected = stats.permutation_test(
                (after, before),
                lambda x, y, axis: np.mean(x - y, axis=axis),
                permutation_type="samples",
                vectorized=True,
                n_resamples=np.inf,
            )
            found = compare_means(values(before), values(after))
            assert found.p == pytest.approx(expected.pvalue, abs=1e-12)


def test_random_signs_agree_with_all_signs() -> None:
    random = np.random.default_rng(6)
    for _ in range(5):
        differences = random.normal(0.1, 0.3, 18)
        exact = randomization_test(differences[:, None], resamples=2**18)[0]
        found = randomization_test(differences[:, None], resamples=10_000)[0]
        assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 10_000))
        assert found != exact


def test_queries_that_do_not_differ_do_not_change_an_exact_test() -> None:
    differences = np.array([0.5, 0.25, -0.125, 0.5, 0.25, 0.125, 1.0])
    more = np.concatenate([differences, np.zeros(40)])
    assert randomization_test(more[:, None]) == randomization_test(differences[:, None])


def test_few_queries_cannot_differ_significantly() -> None:
    """2 of the 2^5 combinations of signs have a sum as large in size."""
    for queries, p in ((5, 2 / 32), (6, 2 / 64)):
        after = values(np.linspace(0.3, 0.9, queries)) | {"q9": 0.0}
        found = compare_means(values(np.zeros(queries)) | {"q9": 0.0}, after)
        assert found.p == p
        assert found.is_better() == (p < 0.05)


def test_sums_that_are_equal_but_for_rounding_count_as_equal() -> None:
    """0.1 + 0.2 is not 0.3 in float64."""
    (p,) = randomization_test(np.array([[0.1], [0.2], [-0.3], [0.1], [0.2], [0.3]]))
    sums = [
        abs(np.dot(signs, [1, 2, 3, 1, 2, 3])) for signs in itertools.product([1, -1], repeat=6)
    ]
    assert p == np.mean(np.array(sums) >= 6)


def test_the_t_test_is_that_of_scipy() -> None:
    random = np.random.default_rng(7)
    for queries in (2, 10, 60):
        before, after = random.random((2, queries))
        expected = stats.ttest_rel(after, before).pvalue
        assert compare_means(values(before), values(after)).p_t == pytest.approx(expected)


def test_the_t_test_is_that_of_its_formula() -> None:
    """t = mean / (s / sqrt(n)) of the differences 0.3, 0.1, 0.2, 0.4."""
    before = dict.fromkeys("abcd", 0.1)
    after = dict(zip("abcd", (0.4, 0.2, 0.3, 0.5), strict=True))
    differences = np.array([0.3, 0.1, 0.2, 0.4])
    statistic = differences.mean() / (differences.std(ddof=1) / 2)
    found = compare_means(before, after)
    assert found.p_t == pytest.approx(2 * stats.t.sf(statistic, 3))
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.p == 2 / 16


def test_figures_of_a_comparison() -> None:
    found = compare_means({"a": 0.1, "b": 0.2, "c": 0.3}, {"c": 0.2, "b": 0.2, "a": 0.5})
    assert (found.queries, found.wins, found.losses, found.ties) == (3, 1, 1, 1)
    assert found.before == pytest.approx(0.2)
    assert found.difference == pytest.approx(0.1)
    assert found.interval[0] <= found.difference <= found.interval[1]
    assert not found.is_better()
    assert not found.is_worse()


def test_a_decision_needs_a_difference_and_a_small_p() -> None:
    better = Comparison(9, 0.1, 0.2, 0.01, 0.2, (0.0, 0.2), 0.5, 5, 1, 3)
    worse = Comparison(9, 0.2, 0.1, 0.01, 0.2, (-0.2, 0.0), -0.5, 1, 5, 3)
    assert (better.is_better(), better.is_worse(), better.is_better(0.01)) == (True, False, False)
    assert (worse.is_better(), worse.is_worse(), worse.is_worse(0.01)) == (False, True, False)


def test_equal_systems_do_not_differ() -> None:
    same = {"a": 0.5, "b": 0.25}
    found = compare_means(same, dict(same))
    assert found == Comparison(2, 0.375, 0.375, 1.0, 1.0, (0.0, 0.0), 0.0, 0, 0, 2)


@pytest.mark.parametrize("amount", [0.25, 0.1])  # 0.1: the differences are equal but for rounding
def test_a_constant_difference(amount: float) -> None:
    before = {f"q{place}": place / 7 for place in range(6)}
    found = compare_means(before, {query: value + amount for query, value in before.items()})
    assert (found.p, found.p_t, found.effect) == (2 / 64, 0.0, 0.0)
    assert found.interval == (pytest.approx(amount), pytest.approx(amount))
    assert found.is_better()


@pytest.mark.parametrize("queries", [30, 3000])
def test_the_interval_is_that_of_scipy(queries: int) -> None:
    """The interval is BCa with the same random numbers, however the work is divided."""
    before, after = ndcg_like(np.random.default_rng(8), queries, 2, 1)[:, :, 0]
    names = sorted(values(before))
    order = [int(name[1:]) for name in names]
    expected = stats.bootstrap(
        ((after - before)[order],), np.mean, n_resamples=500, random_state=np.random.default_rng(3)
    ).confidence_interval
    found = compare_means(values(before), values(after), seed=3, resamples=500)
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_an_interval_where_bca_is_undefined_is_of_percentiles() -> None:
    """All but one difference are 0, so that two resamples may have equal means."""
    found = compare_means(values(np.zeros(3)), values(np.array([0.0, 0.0, 0.3])), resamples=2)
    assert np.isfinite(found.interval).all()
    assert 0 <= found.interval[0] <= found.interval[1] <= 0.3


def test_the_interval_covers_the_difference() -> None:
    random, covered = np.random.default_rng(9), 0
    for pair in ndcg_like(random, 60, 2, 200).transpose(2, 0, 1):
        low, high = compare_means(values(pair[0]), values(pair[1]), resamples=500).interval
        covered += low <= 0 <= high
    assert covered / 200 == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("queries", [12, 60])
def test_the_order_of_queries_does_not_matter(queries: int) -> None:
    before, after = (
        values(each) for each in ndcg_like(np.random.default_rng(4), queries, 2, 1)[:, :, 0]
    )
    found = compare_means(before, after)
    assert found == compare_means(dict(reversed(before.items())), after)
    assert found == compare_means(before, dict(reversed(after.items())))
    assert found == compare_means(before, after)
    mirrored = compare_means(after, before)
    assert (mirrored.p, mirrored.p_t) == pytest.approx((found.p, found.p_t))
    if queries > 13:
        assert found != compare_means(before, after, seed=1)


def test_each_column_is_a_test_of_its_own() -> None:
    differences = np.subtract(*ndcg_like(np.random.default_rng(3), 40, 2, 30))
    differences[9:, 3] = 0  # exact among random ones
    together = randomization_test(differences)
    alone = [randomization_test(column[:, None])[0] for column in differences.T]
    assert together == pytest.approx(alone, abs=1e-12)
    pair = ndcg_like(np.random.default_rng(3), 40, 2, 1)[:, :, 0]
    names = [f"{place:03}" for place in range(40)]
    found = compare_means(*(dict(zip(names, each.tolist(), strict=True)) for each in pair))
    assert found.p == randomization_test((pair[1] - pair[0])[:, None])[0]


def test_many_queries_take_little_memory() -> None:
    """The random signs of 100,000 queries would take 8 GB at once."""
    before, after = np.random.default_rng(2).random((2, 100_000))
    (p,) = randomization_test((after - before)[:, None], resamples=200)
    assert 0 < p <= 1


def test_values_must_be_of_the_same_queries() -> None:
    with pytest.raises(
        DataError,
        match=r"a value for the same queries, got some of one alone: 1 \['b'\] of the first, "
        r"2 \['c', 'd'\] of the second; evaluate both with the same judgments",
    ):
        compare_means({"a": 1.0, "b": 0.0}, {"a": 1.0, "c": 0.0, "d": 0.0})
    with pytest.raises(DataError, match=r"9 \['0', '1', '2', '3', '4', '5', \.\.\.\] of the first"):
        compare_means(dict.fromkeys("012345678", 1.0), {})
    with pytest.raises(DataError, match="must have at least two queries, got 1"):
        compare_means({"a": 1.0}, {"a": 0.5})
    with pytest.raises(DataError, match="values must be finite, got nan for query 'b'"):
        compare_means({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": math.nan})
    with pytest.raises(DataError, match="resamples must be >= 1, got 0"):
        compare_means({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.0}, resamples=0)


def test_holm_on_hand_computed_examples() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([0.9, 0.4]) == pytest.approx([0.9, 0.8])
    assert (holm([]), holm([0.3]), holm([0.0, 1.0])) == ([], [0.3], [0.0, 1.0])
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(DataError, match="a p value must be from 0 to 1, got"):
            holm([0.5, p])


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.04, 0.05]), max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(found: list[float]) -> None:
    """A hypothesis is rejected if Bonferroni rejects each set of hypotheses that has it.

    See Marcus, Peritz and Gabriel 1976.
    """
    places = range(len(found))
    sets = [chosen for size in places for chosen in itertools.combinations(places, size + 1)]
    expected = [
        max(min(1, len(each) * min(found[i] for i in each)) for each in sets if place in each)
        for place in places
    ]
    assert holm(found) == pytest.approx(expected)


def error_rates(queries: int, pairs: int) -> dict[str, float]:
    """Return the rates of false differences between equal systems, in a seeded simulation.

    ``one``: of a single comparison; ``t``: of its t test. ``baseline`` and ``all``: of any
    comparison of five systems after `holm`, with the first system and of all ten pairs.
    """
    systems = ndcg_like(np.random.default_rng(queries), queries, 5, pairs)
    found = {
        pair: p_values(systems[pair[0]], systems[pair[1]])
        for pair in itertools.combinations(range(5), 2)
    }
    first = [p for pair, p in found.items() if pair[0] == 0]
    return {
        "one": float(np.mean(found[3, 4] < 0.05)),
        "t": float(np.mean(stats.ttest_rel(systems[4], systems[3]).pvalue < 0.05)),
        "baseline": family_rate(first),
        "all": family_rate(list(found.values())),
    }


def family_rate(p_values: list[NDArray[np.float64]]) -> float:
    return float(np.mean([min(holm(each)) < 0.05 for each in np.transpose(p_values).tolist()]))


@pytest.mark.parametrize("queries", [25, 50, 200])
def test_equal_systems_rarely_differ(queries: int) -> None:
    """The rates have a standard error of 0.5 % here; the slow test narrows them down."""
    rates = error_rates(queries, 2000)
    assert (0.0 if queries == 25 else 0.035) < rates["one"] < 0.065
    assert rates["baseline"] < 0.065
    assert rates["all"] < 0.065


@pytest.mark.slow
@pytest.mark.parametrize("queries", [25, 50, 200])
def test_error_rates_are_as_documented(queries: int) -> None:
    rates = error_rates(queries, 20_000)
    assert (0.0 if queries == 25 else 0.045) <= rates["one"] <= (0.06 if queries == 25 else 0.055)
    assert 0.045 <= rates["t"] <= 0.055
    assert rates["baseline"] <= 0.055
    assert rates["all"] <= 0.055
