"""Fusion of several rankings of one query into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import DataError

_RANK_CONSTANT = 60.0

Shares = tuple[NDArray[np.float64], float]
"""The normalized scores of a ranking, float64 [n], best first; and that of a missing document."""


class Fusion(StrEnum):
    """The normalization that makes scores of several rankings comparable before their weighted sum.

    A document that a ranking lacks gets 0, unless stated otherwise.
    """

    RECIPROCAL_RANK = "rrf"
    """1 / (60 + rank), whatever the scores are (Cormack, Clarke and Büttcher 2009)."""

    NONE = "none"
    """The scores unchanged."""

    MAXIMUM = "max"
    """The scores divided by the largest score of the ranking."""

    MIN_MAX = "min-max"
    """The scores scaled to 0 for the smallest score of the ranking and 1 for the largest."""

    Z_SCORE = "z-score"
    """Standard deviations from the mean. A missing document gets the lowest one of the ranking."""

    BOUND = "bound"
    """The scores divided by an upper bound of the query (`PreparedQueries.bounds`).

    This is the theoretical min-max of Bruch, Gai and Ingber 2023, *An Analysis of Fusion
    Functions*, with the infimum 0. The divisor does not depend on what is found.
    """

    EXPECTED = "expected"
    """The scores divided by that of a passage with all terms (`PreparedQueries.expected`).

    For vectors this score is the sum of the query's weights times a large stored weight of a
    typical passage. For words it is the sum of their inverse document frequencies. It resembles
    `BOUND`, but needs no search for each term.
    """

    @property
    def by_query(self) -> bool:
        """Whether scores are divided by a number that depends on the query alone."""
        return self in (Fusion.BOUND, Fusion.EXPECTED)


class Fused(NamedTuple):
    """The documents of several rankings, best first.

    Attributes:
        keys: int64 [n], distinct.
        scores: float64 [n], falling. Equal scores are ordered by ascending key.
        rankings: int64 [n], the first ranking that has the document.
        places: int64 [n], the position of the document in that ranking.
    """

    keys: NDArray[np.int64]
    scores: NDArray[np.float64]
    rankings: NDArray[np.int64]
    places: NDArray[np.int64]


def parse_fusion(fusion: Fusion | str) -> Fusion:
    """Return the fusion with a name.

    Raises:
        DataError: there is no fusion of that name.
    """
    try:
        return Fusion(fusion)
    except ValueError:
        raise DataError(f"fusion must be one of {', '.join(Fusion)}, got {str(fusion)!r}") from None


def fuse(
    keys: Sequence[NDArray[np.integer]],
    scores: Sequence[NDArray[np.float64]],
    weights: Sequence[float],
    fusion: Fusion | str,
    bounds: Sequence[float] | None = None,
) -> Fused:
    """Fuse rankings of one query: all documents by the weighted sum of their normalized scores.

    Args:
        keys: the documents of each ranking as distinct integers, best first.
        scores: the scores of each ranking, falling.
        weights: the weight of each ranking.
        fusion: the normalization of scores.
        bounds: for a fusion by query, the divisor of each ranking's scores.

    Raises:
        DataError: there is no such fusion, or it needs bounds and none are given.
    """
    shares = _shares(scores, parse_fusion(fusion), bounds)
    every = np.concatenate([np.asarray(each, np.int64) for each in keys])
    distinct, first, inverse = np.unique(every, return_index=True, return_inverse=True)
    sums = np.full(
        len(distinct),
        sum(weight * missing for weight, (_, missing) in zip(weights, shares, strict=True)),
        np.float64,
    )
    starts = np.cumsum([0, *map(len, keys)])
    for place, (weight, (values, missing)) in enumerate(zip(weights, shares, strict=True)):
        # A ranking has a document at most once. Added one ranking at a time, the sums equal those
        # of the reference implementation to the bit.
        sums[inverse[starts[place] : starts[place + 1]]] += weight * (values - missing)
    best = np.lexsort((distinct, -sums))
    rankings = np.searchsorted(starts, first[best], side="right") - 1
    return Fused(distinct[best], sums[best], rankings, first[best] - starts[rankings])


def _shares(
    scores: Sequence[NDArray[np.float64]], fusion: Fusion, bounds: Sequence[float] | None
) -> list[Shares]:
    if not fusion.by_query:
        return [_SHARES[fusion](each) for each in scores]
    if bounds is None:
        raise DataError(
            f"bounds must not be None for fusion by {fusion}: pass a divisor for each ranking"
        )
    return [_divided(each, bound) for each, bound in zip(scores, bounds, strict=True)]


def _reciprocal_ranks(scores: NDArray[np.float64]) -> Shares:
    return 1 / (_RANK_CONSTANT + np.arange(1, len(scores) + 1)), 0.0


def _unchanged(scores: NDArray[np.float64]) -> Shares:
    return scores, 0.0


def _divided_by_maximum(scores: NDArray[np.float64]) -> Shares:
    return (scores / scores[0] if len(scores) and scores[0] > 0 else scores), 0.0


def _min_max(scores: NDArray[np.float64]) -> Shares:
    if not len(scores):
        return scores, 0.0
    least, span = scores[-1], scores[0] - scores[-1]
    return ((scores - least) / span if span > 0 else np.ones(len(scores))), 0.0


def _z_scores(scores: NDArray[np.float64]) -> Shares:
    if not len(scores):
        return scores, 0.0
    # The deviation of equal scores may be above 0 by rounding, so the scores are compared instead.
    differ = scores[0] > scores[-1]
    values = (scores - scores.mean()) / scores.std() if differ else np.zeros(len(scores))
    return values, float(values[-1])


def _divided(scores: NDArray[np.float64], bound: float) -> Shares:
    return (scores / bound if bound > 0 else scores), 0.0


_SHARES: dict[Fusion, Callable[[NDArray[np.float64]], Shares]] = {
    Fusion.RECIPROCAL_RANK: _reciprocal_ranks,
    Fusion.NONE: _unchanged,
    Fusion.MAXIMUM: _divided_by_maximum,
    Fusion.MIN_MAX: _min_max,
    Fusion.Z_SCORE: _z_scores,
}
