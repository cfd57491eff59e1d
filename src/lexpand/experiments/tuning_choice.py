"""Choose a pipeline by its gains on judged queries, and test the choice.

Gains are values of a measure minus those of the default, float64 [pipelines, queries]. The first
pipeline is the default, whose gains are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The standard errors that are subtracted from the gain of a pipeline, and the share of one by which
# a faster kind may be worse. docs/benchmarks.md has the figures of other values.
_DISCOUNT, _MARGIN = 1.0, 0.25

# Combinations of signs that are tested at once.
_BLOCK = 250


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that chooses a pipeline.

    A pipeline counts by its mean gain minus one standard error, so thin evidence stays near the
    default. The best of each kind compete, and the fastest kind wins whose best is at most a
    quarter of a standard error below the best of all. Equal pipelines: the first wins.

    Attributes:
        kinds: int64 [pipelines], the kind of each pipeline; kinds ascend from fast to slow.
    """

    kinds: NDArray[np.int64]

    def choose(self, gains: Array) -> int:
        """Return the position of the chosen pipeline."""
        return int(self.choices(gains, np.ones((gains.shape[1], 1)))[0])

    def choices(self, gains: Array, signs: Array) -> NDArray[np.int64]:
        """Return the position that is chosen if the signs of the gains of queries are flipped.

        Args:
            gains: float64 [pipelines, queries].
            signs: 1 or -1, float64 [queries, combinations].

        Returns:
            int64 [combinations].
        """
        means, errors = _moments(gains, signs)
        scores = np.round(means - _DISCOUNT * errors, 9)  # equal scores differ by rounding
        columns = np.arange(signs.shape[1])
        best = np.array(
            [
                members[scores[members].argmax(axis=0)]
                for members in (
                    np.flatnonzero(self.kinds == kind) for kind in np.unique(self.kinds)
                )
            ]
        )
        reached = scores[best, columns]
        top = best[reached.argmax(axis=0), columns]
        least = scores[top, columns] - _MARGIN * errors[top, columns]
        chosen: NDArray[np.int64] = best[(reached >= least).argmax(axis=0), columns]
        return chosen


def make_folds(queries: int, folds: int, repeats: int, seed: int) -> list[NDArray[np.int64]]:
    """Return random folds of equal size: for each repeat int64 [queries], the fold of a query."""
    random = np.random.default_rng(seed)
    return [random.permutation(queries) % folds for _ in range(repeats)]


def held_out_gains(
    rule: Rule, gains: Array, folds: Sequence[NDArray[np.int64]], signs: Array | None = None
) -> Array:
    """Return the gain of each query by the pipeline that the other folds choose.

    Over several divisions into folds, the mean is returned.

    Args:
        rule: the rule that chooses.
        gains: float64 [pipelines, queries].
        folds: see `make_folds`.
        signs: see `Rule.choices`; None for the gains as they are.

    Returns:
        float64 [combinations, queries]; one combination without ``signs``.
    """
    flips = np.ones((gains.shape[1], 1)) if signs is None else signs
    found = np.zeros((flips.shape[1], gains.shape[1]))
    for fold in folds:
        for each in np.unique(fold):
            others, left = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
            chosen = rule.choices(gains[:, others], flips[others])
            found[:, left] += gains[np.ix_(chosen, left)] * flips[left].T
    return found / len(folds)


def p_of_procedure(
    rule: Rule, gains: Array, folds: Sequence[NDArray[np.int64]], *, seed: int, rounds: int
) -> float:
    """Test the choice with all of its steps by randomization, one-sided.

    The null hypothesis is that no pipeline differs from the default: then the sign of all gains of
    a query is random. Each round flips signs and repeats the whole cross-validated choice. p is the
    share of rounds, the observed one included, whose held-out gains have at least the observed t
    statistic. A plain test of the held-out gains would claim too much, because folds that choose
    the same pipeline are not independent.

    Args:
        rule: the rule that chooses.
        gains: float64 [pipelines, queries].
        folds: see `make_folds`.
        seed: of the signs.
        rounds: the number of combinations of signs.
    """
    random = np.random.default_rng(seed)
    observed = _t_statistics(held_out_gains(rule, gains, folds))[0]
    extreme = 0
    for start in range(0, rounds, _BLOCK):
        size = gains.shape[1], min(_BLOCK, rounds - start)
        signs = random.integers(0, 2, size).astype(np.float64) * 2 - 1
        found = _t_statistics(held_out_gains(rule, gains, folds, signs))
        extreme += int((found >= observed - 1e-9).sum())
    return (1 + extreme) / (1 + rounds)


def _moments(gains: Array, signs: Array) -> tuple[Array, Array]:
    """Return means and standard errors of flipped gains, float64 [pipelines, combinations]."""
    queries = gains.shape[1]
    means = gains @ signs / queries
    squares = (gains**2).sum(axis=1)[:, None]
    rests = squares - queries * means**2
    rests[rests < 1e-12 * squares] = 0  # by rounding
    return means, np.sqrt(rests / max(1, queries - 1) / queries)


def _t_statistics(values: Array) -> Array:
    """Return the t statistic of each row; 0 for a row of zeros."""
    means, spreads = values.mean(axis=1), values.std(axis=1, ddof=1)
    errors = np.maximum(spreads / np.sqrt(values.shape[1]), 1e-12)
    found: Array = means / errors
    return found
