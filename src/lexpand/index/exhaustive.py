"""Exhaustive search in NumPy: the reference implementation of the native search.

It scores every passage by the definition in docs/format.md. The results of the native search are
the same to the bit.
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
    """Find the best ``k`` passages of each query with a score above zero.

    Args:
        segments: each segment with the passages that may be found.
        field: the closed field.
        queries: the query vectors.
        k: the number of passages.

    Returns:
        The scores, rows, segments and ordinals of each query. Scores descend. If they are equal,
        rows and then ordinals ascend.
    """
    parts = [_SegmentField(segment, passages, field) for segment, passages in segments]
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


class _SegmentField:
    """A field of one segment, with its stored weights sorted by term, then by passage."""

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
        """Return the scores of all passages, float64 [passages]; 0 for those not allowed.

        Terms ascend, so each sum is computed in the defined order.
        """
        sums = np.zeros(len(self.rows))
        for term, weight in zip(terms, weights.astype(np.float64), strict=True):
            first, end = np.searchsorted(self._terms, [term, int(term) + 1])
            sums[self._passages[first:end]] += weight * self._impacts[first:end]
        return sums * self._scales
