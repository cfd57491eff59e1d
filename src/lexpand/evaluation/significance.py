"""Test whether a difference between two systems is more than chance."""

from __future__ import annotations

import math
import reprlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from lexpand.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

# The numbers that a test holds at once: 32 MB of float64.
_CELLS = 2**22

# Sums of the same numbers in another order may differ by this share of the sum of their sizes.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same queries.

    Attributes:
        queries: the number of queries.
        before, after: the means of the systems.
        p: of the paired randomization test, two-sided. It decides `is_better` and `is_worse`.
        p_t: of the paired t test, two-sided.
        interval: the 95 % bootstrap confidence interval of the difference of the means.
        effect: the mean of the differences divided by their standard deviation (Cohen's d_z); 0 if
            all differences are equal.
        wins, losses, ties: the queries that are better, worse or equal with the second system.
    """

    queries: int
    before: float
    after: float
    p: float
    p_t: float
    interval: tuple[float, float]
    effect: float
    wins: int
    losses: int
    ties: int

    @property
    def difference(self) -> float:
        """The mean of the second system minus that of the first."""
        return self.after - self.before

    def is_better(self, level: float = 0.05) -> bool:
        """Return whether the second system is significantly better."""
        return self.difference > 0 and self.p < level

    def is_worse(self, level: float = 0.05) -> bool:
        """Return whether the second system is significantly worse."""
        return self.difference < 0 and self.p < level


def compare_means(
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    seed: int = 0,
    resamples: int = 10_000,
) -> Comparison:
    """Compare two systems by a paired randomization test, a paired t test and a bootstrap.

    The randomization test (Fisher 1935) flips the signs of the differences of queries; see
    `randomization_test`. If fewer than six queries differ, its p is never below 0.05. Smucker et
    al. 2007, *A comparison of statistical significance tests for information retrieval evaluation*,
    find little practical difference between this test, the t test and the bootstrap.

    The t test has p = 1 if all queries are equal, and p = 0 if all differ by the same amount. The
    interval is BCa (Efron 1987), or of percentiles where BCa is undefined. The result does not
    depend on the order of the queries.

    Args:
        before: a measure of the first system by query_id.
        after: the same of the second system, of the same queries.
        seed: the seed of the random numbers.
        resamples: the number of random combinations of signs, and of bootstrap samples.

    Raises:
        DataError: the queries differ, there are fewer than two, or a value is not finite.
    """
    import numpy as np

    if resamples < 1:
        raise DataError(f"resamples must be >= 1, got {resamples}")
    queries = _same_queries(before, after)
    one, other = (np.array([each[query] for query in queries], float) for each in (before, after))
    differences = other - one
    mean, spread = float(differences.mean()), _spread(differences)
    (p,) = randomization_test(differences[:, None], seed=seed, resamples=resamples)
    return Comparison(
        queries=len(queries),
        before=float(one.mean()),
        after=float(other.mean()),
        p=p,
        p_t=_t_test(one, other) if spread else float(mean == 0),
        interval=_interval(differences, seed, resamples) if spread else (mean, mean),
        effect=mean / spread if spread else 0.0,
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number (Holm 1979), in the order given.

    The i-th smallest of m values, from 0, is multiplied by m - i. It is at least as large as the
    one before, and at most 1. Rejecting the adjusted values below a level keeps the probability of
    any false rejection below that level, whatever the dependence between the tests.

    Args:
        p_values: the p values, from 0 to 1.

    Raises:
        DataError: a value is not from 0 to 1.
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise DataError(f"a p value must be from 0 to 1, got {p}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def randomization_test(
    differences: Array, *, seed: int = 0, resamples: int = 10_000
) -> list[float]:
    """Test whether means of paired differences are 0, by flips of their signs, two-sided.

    A flip does not change a difference of 0, so n other differences have 2^n combinations of signs.
    If these are at most ``resamples``, p is exact: the share of combinations whose sum is at least
    as large in size as the observed one. Otherwise p is (1 + c) / (1 + ``resamples``), where c
    counts such sums among random combinations (Phipson and Smyth 2010).

    Args:
        differences: float64 [queries, comparisons]. Each column is tested alone, with the same
            random signs.
        seed: the seed of the random signs.
        resamples: the number of random combinations.

    Returns:
        The p value of each column.
    """
    import numpy as np

    p_values = np.empty(differences.shape[1])
    exact = np.count_nonzero(differences, axis=0) <= math.log2(resamples)
    for place in np.flatnonzero(exact):
        column = differences[differences[:, place] != 0, place]
        p_values[place] = _extreme(_every_flip(len(column)), column[:, None])[0] / 2 ** len(column)
    if not exact.all():
        others, flips = differences[:, ~exact], _random_flips(len(differences), seed, resamples)
        extreme = sum((_extreme(each, others) for each in flips), np.zeros(others.shape[1]))
        p_values[~exact] = (1 + extreme) / (1 + resamples)
    return [float(p) for p in p_values]


def _extreme(flips: Array, differences: Array) -> NDArray[np.int64]:
    """Count the sums after flips that are at least as large in size as those before.

    Args:
        flips: float64 [combinations, queries]; 1 where a sign is flipped, else 0.
        differences: float64 [queries, comparisons].

    Returns:
        int64 [comparisons].
    """
    import numpy as np

    sums = differences.sum(axis=0)
    least = np.abs(sums) - _ROUNDING * np.abs(differences).sum(axis=0)
    found: NDArray[np.int64] = (np.abs(sums - 2 * (flips @ differences)) >= least).sum(axis=0)
    return found


def _every_flip(count: int) -> Array:
    """Return float64 [2^count, count]: all combinations of 0 and 1."""
    import numpy as np

    return (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.float64)


def _random_flips(queries: int, seed: int, resamples: int) -> Iterator[Array]:
    """Yield random combinations of 0 and 1, float64 [combinations, queries], in blocks."""
    import numpy as np

    random, block = np.random.default_rng(seed), max(1, _CELLS // queries)
    for start in range(0, resamples, block):
        size = min(block, resamples - start), -(-queries // 8)
        bits = random.integers(0, 256, size, np.uint8)
        yield np.unpackbits(bits, axis=1, count=queries).astype(np.float64)


def _t_test(before: Array, after: Array) -> float:
    from scipy.stats import ttest_rel

    return float(ttest_rel(after, before).pvalue)


def _interval(differences: Array, seed: int, resamples: int) -> tuple[float, float]:
    """Return the 95 % bootstrap confidence interval of the mean."""
    import numpy as np
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (differences,),
            np.mean,
            n_resamples=resamples,
            batch=max(1, _CELLS // len(differences)),
            method="BCa",
            random_state=np.random.default_rng(seed),
        )
    low, high = found.confidence_interval
    if not math.isfinite(low + high):
        low, high = np.percentile(found.bootstrap_distribution, (2.5, 97.5))
    return float(low), float(high)


def _spread(values: Array) -> float:
    """Return the standard deviation of a sample, 0 if the values are equal but for rounding."""
    import numpy as np

    equal = np.ptp(values) <= _ROUNDING * np.abs(values).max()
    return 0.0 if equal else float(values.std(ddof=1))


def _same_queries(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Return the queries in order, so that random numbers do not depend on that of the mappings."""
    only = [before.keys() - after.keys(), after.keys() - before.keys()]
    if any(only):
        first, second = (f"{len(each):,} {reprlib.repr(sorted(each))}" for each in only)
        raise DataError(
            "both systems must have a value for the same queries, got some of one alone: "
            f"{first} of the first, {second} of the second; evaluate both with the same judgments"
        )
    if len(before) < 2:
        raise DataError(f"a comparison must have at least two queries, got {len(before)}")
    for query, value in chain(before.items(), after.items()):
        if not math.isfinite(value):
            raise DataError(f"values must be finite, got {value} for query {query!r}")
    return sorted(before)
