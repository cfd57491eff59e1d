"""Search by its definition, in NumPy: slow, simple, and to the bit what the native search gives.

docs/format.md defines the score. Every unit is scored; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import SparseVectors


def search(
    segments: Sequence[_native.Segment], field: int, queries: SparseVectors, k: int
) -> list[list[tuple[float, int]]]:
    """The best ``k`` (score, row) of each query: score descending, then row ascending; scores above zero only."""
    parts = [_Part(segment, field) for segment in segments]
    found = []
    for i in range(len(queries)):
        terms, weights = queries.row(i)
        scores = np.concatenate([np.zeros(0), *(part.scores(terms, weights) for part in parts)])
        rows = np.concatenate([np.zeros(0, np.uint32), *(part.rows for part in parts)])
        order = np.lexsort((rows, -scores))[:k]
        found.append([(float(scores[j]), int(rows[j])) for j in order if scores[j] > 0])
    return found


class _Part:
    """One segment's field, its stored weights sorted by term; within a term, by unit."""

    def __init__(self, segment: _native.Segment, field: int) -> None:
        starts, terms, impacts, scales = segment.forward(field)
        order = np.argsort(terms, kind="stable")
        self.rows = segment.rows()
        self._scales = scales.astype(np.float64)
        self._terms = terms[order]
        self._impacts = impacts[order].astype(np.float64)
        self._units = np.repeat(np.arange(segment.units), np.diff(starts).astype(np.int64))[order]

    def scores(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of all units, float64 [units]. Terms ascend, so each unit's sum grows in the order defined."""
        sums = np.zeros(len(self.rows))
        for term, weight in zip(terms, weights.astype(np.float64), strict=True):
            first, end = np.searchsorted(self._terms, [term, int(term) + 1])
            sums[self._units[first:end]] += weight * self._impacts[first:end]
        return sums * self._scales
