"""Search by its definition, in NumPy: slow, simple, and to the bit what the native search gives.

docs/format.md defines the score. Every passage is scored; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import SparseVectors
from lexpand.index.sets import Set, as_mask


def search(
    segments: Sequence[tuple[_native.Segment, Set]], field: int, queries: SparseVectors, k: int
) -> list[tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]]:
    """Scores, rows, segments and ordinals of the best ``k`` of each query.

    Scores descend; where they are equal, rows and then ordinals ascend.

    Beside each segment stand the passages that may be found. Scores above zero only.
    """
    parts = [_Part(segment, passages, field) for segment, passages in segments]
    rows = np.concatenate([np.zeros(0, np.uint32), *(part.rows for part in parts)])
    owners = np.repeat(np.arange(len(parts), dtype=np.uint32), [len(part.rows) for part in parts])
    ordinals = np.concatenate(
        [np.zeros(0, np.uint32), *(np.arange(len(part.rows), dtype=np.uint32) for part in parts)]
    )
    found = []
    for i in range(len(queries)):
        scores = np.concatenate([np.zeros(0), *(part.scores(*queries.row(i)) for part in parts)])
        order = np.lexsort((ordinals, rows, -scores))[:k]
        order = order[scores[order] > 0]
        found.append((scores[order], rows[order], owners[order], ordinals[order]))
    return found


class _Part:
    """One segment's field, its stored weights sorted by term; within a term, by passage."""

    def __init__(self, segment: _native.Segment, passages: Set, field: int) -> None:
        starts, terms, impacts, scales = segment.forward(field)
        order = np.argsort(terms, kind="stable")
        self.rows = segment.rows()
        self._scales = scales.astype(np.float64) * as_mask(passages, segment.passages)
        self._terms = terms[order]
        self._impacts = impacts[order].astype(np.float64)
        self._passages = np.repeat(np.arange(segment.passages), np.diff(starts).astype(np.int64))[
            order
        ]

    def scores(
        self, terms: NDArray[np.uint32], weights: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Scores of all passages, float64 [passages]; 0 for those that may not be found.

        Terms ascend, so each passage's sum grows in the order defined.
        """
        sums = np.zeros(len(self.rows))
        for term, weight in zip(terms, weights.astype(np.float64), strict=True):
            first, end = np.searchsorted(self._terms, [term, int(term) + 1])
            sums[self._passages[first:end]] += weight * self._impacts[first:end]
        return sums * self._scales
