"""Fusion by dictionaries, one document at a time: the slow reference implementation."""

from collections.abc import Sequence

import numpy as np

from lexpand.index import Match
from lexpand.search import Fusion


def fuse_matches(
    rankings: Sequence[Sequence[Match]],
    weights: Sequence[float],
    fusion: Fusion,
    bounds: Sequence[float] | None = None,
) -> list[Match]:
    """Return all documents by the weighted sum of their normalized scores, best first.

    Equal sums are ordered by row. The span is that of the first ranking that has the document.
    """
    largest = [1.0] * len(rankings) if bounds is None else bounds
    scores = [np.array([match.score for match in ranking]) for ranking in rankings]
    shares = [_shares(each, fusion, bound) for each, bound in zip(scores, largest, strict=True)]
    base = sum(weight * missing for weight, (_, missing) in zip(weights, shares, strict=True))
    sums: dict[int, float] = {}
    matches: dict[int, Match] = {}
    for ranking, weight, (values, missing) in zip(rankings, weights, shares, strict=True):
        for match, value in zip(ranking, (weight * (values - missing)).tolist(), strict=True):
            sums[match.row] = sums.get(match.row, base) + value
            matches.setdefault(match.row, match)
    best = sorted(sums, key=lambda row: (-sums[row], row))
    return [matches[row]._replace(score=sums[row]) for row in best]


def _shares(scores: np.ndarray, fusion: Fusion, bound: float) -> tuple[np.ndarray, float]:
    """Return the normalized scores of a ranking, and that of a document that the ranking lacks."""
    if not len(scores):
        return scores, 0.0
    if fusion is Fusion.RECIPROCAL_RANK:
        return 1 / (60.0 + np.arange(1, len(scores) + 1)), 0.0
    if fusion is Fusion.MAXIMUM:
        return (scores / scores[0] if scores[0] > 0 else scores), 0.0
    if fusion is Fusion.MIN_MAX:
        span = scores[0] - scores[-1]
        return ((scores - scores[-1]) / span if span > 0 else np.ones(len(scores))), 0.0
    if fusion is Fusion.Z_SCORE:
        differ = scores[0] > scores[-1]
        values = (scores - scores.mean()) / scores.std() if differ else np.zeros(len(scores))
        return values, float(values[-1])
    if fusion in (Fusion.BOUND, Fusion.EXPECTED):
        return (scores / bound if bound > 0 else scores), 0.0
    return scores, 0.0
