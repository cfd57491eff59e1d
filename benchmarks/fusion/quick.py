"""`lexpand.search.fuse` in arrays, for thousands of ways: the same numbers, and only the best hundred as objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexpand.index import Match, Matches
from lexpand.search import Fusion, fuse
from lexpand.search.fusion import _SHARES, _of_bound

_KEPT = 100


def fuse_all(
    rankings: Sequence[Sequence[Matches]],
    weights: Sequence[float],
    fusion: Fusion,
    bounds: Sequence[Sequence[float]] | None = None,
) -> list[list[Match]]:
    """Of each query the best hundred of several rankings; the first queries are checked against `fuse`."""
    queries = list(zip(*rankings, strict=True))
    largest = list(zip(*bounds, strict=True)) if bounds is not None else [None] * len(queries)
    found = [_fuse(query, weights, fusion, bound) for query, bound in zip(queries, largest, strict=True)]
    for query, bound, matches in list(zip(queries, largest, found, strict=True))[:2]:
        assert matches == fuse(query, weights, fusion, bound)[:_KEPT]
    return found


def _fuse(
    rankings: Sequence[Matches], weights: Sequence[float], fusion: Fusion, bounds: Sequence[float] | None
) -> list[Match]:
    scores = [np.asarray(ranking.scores, np.float64) for ranking in rankings]
    if fusion is Fusion.BOUND and bounds is not None:
        shares = [_of_bound(each, bound) for each, bound in zip(scores, bounds, strict=True)]
    else:
        shares = [_SHARES[fusion](each) for each in scores]
    rows, first = np.unique(np.concatenate([ranking.rows for ranking in rankings]), return_index=True)
    doc_ids = [doc_id for ranking in rankings for doc_id in ranking.doc_ids]
    sums = np.full(len(rows), sum(weight * missing for weight, (_, missing) in zip(weights, shares, strict=True)))
    for ranking, weight, (values, missing) in zip(rankings, weights, shares, strict=True):
        sums[np.searchsorted(rows, ranking.rows)] += weight * (values - missing)
    best = np.lexsort((rows, -sums))[:_KEPT]
    return [Match(doc_ids[first[place]], float(sums[place]), int(rows[place])) for place in best.tolist()]
