"""Several rankings of one query become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import DataError

_RANK_CONSTANT = 60.0

Shares = tuple[NDArray[np.float64], float]
"""What each document of a ranking gets, float64 [n], best first; and what one gets that the ranking lacks."""


class Fusion(StrEnum):
    """How the scores of several rankings are made comparable before their weighted sum."""

    RECIPROCAL_RANK = "rrf"
    """1 / (60 + rank), whatever the scores are; 0 for a document not found (Cormack, Clarke and Büttcher 2009)."""

    NONE = "none"
    """The scores as they are; 0 for a document not found."""

    MAXIMUM = "max"
    """Divided by the largest of the ranking; 0 for a document not found."""

    MIN_MAX = "min-max"
    """From 0, the smallest of the ranking, to 1, the largest; 0 for a document not found."""

    Z_SCORE = "z-score"
    """In standard deviations from the ranking's mean; the ranking's least for a document not found."""

    BOUND = "bound"
    """Divided by the largest score that the query could reach, whatever is found (`Asked.bounds`); 0 for a document
    not found. Theoretical min-max of Bruch, Gai and Ingber 2023, *An Analysis of Fusion Functions*, with the infimum 0.
    """

    EXPECTED = "expected"
    """Divided by the score that a passage would have which has all terms of the query (`Asked.expected`); 0 for a
    document not found. For vectors that is the sum of the query's weights times a large stored weight of a typical
    passage, for words the sum of their inverse document frequencies. As `BOUND`, without a search for every term.
    """

    @property
    def by_query(self) -> bool:
        """Whether scores are divided by a number that the query has, whatever is found."""
        return self in (Fusion.BOUND, Fusion.EXPECTED)


class Fused(NamedTuple):
    """The documents of several rankings, best first.

    Attributes:
        keys: int64 [n], distinct.
        scores: float64 [n], falling; equal ones by ascending key.
        rankings: int64 [n], the first ranking that has the document.
        places: int64 [n], its place in that ranking.
    """

    keys: NDArray[np.int64]
    scores: NDArray[np.float64]
    rankings: NDArray[np.int64]
    places: NDArray[np.int64]


def parse_fusion(fusion: Fusion | str) -> Fusion:
    """A fusion by its name.

    Raises:
        DataError: there is none of this name.
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
    """All documents of the rankings of one query by the weighted sum of their shares.

    Args:
        keys: of each ranking its documents, as distinct integers, best first.
        scores: of each ranking, those of its documents, falling.
        weights: of each ranking.
        fusion: what a ranking gives its documents.
        bounds: for fusions by query, of each ranking what its scores are divided by.

    Raises:
        DataError: the bounds that the fusion needs are not given, or there is no such fusion.
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
        # One ranking after the other, each document at most once in each: the sums are those of a
        # loop, to the bit.
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
            f"fusion by {fusion} needs a number for each ranking to divide its scores by"
        )
    return [_of_bound(each, bound) for each, bound in zip(scores, bounds, strict=True)]


def _reciprocal_ranks(scores: NDArray[np.float64]) -> Shares:
    return 1 / (_RANK_CONSTANT + np.arange(1, len(scores) + 1)), 0.0


def _plain(scores: NDArray[np.float64]) -> Shares:
    return scores, 0.0


def _of_maximum(scores: NDArray[np.float64]) -> Shares:
    return (scores / scores[0] if len(scores) and scores[0] > 0 else scores), 0.0


def _min_max(scores: NDArray[np.float64]) -> Shares:
    if not len(scores):
        return scores, 0.0
    least, span = scores[-1], scores[0] - scores[-1]
    return ((scores - least) / span if span > 0 else np.ones(len(scores))), 0.0


def _z_scores(scores: NDArray[np.float64]) -> Shares:
    if not len(scores):
        return scores, 0.0
    # Not by the deviation: that of equal scores may be above 0 by rounding.
    differ = scores[0] > scores[-1]
    values = (scores - scores.mean()) / scores.std() if differ else np.zeros(len(scores))
    return values, float(values[-1])


def _of_bound(scores: NDArray[np.float64], bound: float) -> Shares:
    return (scores / bound if bound > 0 else scores), 0.0


_SHARES: dict[Fusion, Callable[[NDArray[np.float64]], Shares]] = {
    Fusion.RECIPROCAL_RANK: _reciprocal_ranks,
    Fusion.NONE: _plain,
    Fusion.MAXIMUM: _of_maximum,
    Fusion.MIN_MAX: _min_max,
    Fusion.Z_SCORE: _z_scores,
}
