"""Exact scores of the best documents, and recall against them.

An exact score is the float64 sum of products of the float32 weights. A hit counts if its exact
score is at least the k-th best score times (1 - 1e-6). Ties therefore count, whichever of them a
system returns.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from retrieval.vectors import Vectors

TOLERANCE = 1e-6
DEPTH = 1_000
_SLICE = 100_000

Candidates = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Scores above zero, best first, and their rows."""


@dataclass(frozen=True)
class Truth:
    """For each query, the documents whose exact score reaches the ``DEPTH``-th best, with ties."""

    candidates: Sequence[Candidates]

    def recall(self, query: int, rows: Sequence[int], k: int) -> float:
        """Return the share of the ``k`` best documents that is in the first ``k`` of ``rows``.

        If fewer than ``k`` documents score above zero, the share is of those. If none does, it is
        1. ``k`` must be at most the depth of the candidates.
        """
        scores, known = self.candidates[query]
        count = min(k, len(scores))
        if not count:
            return 1.0
        good = known[: np.count_nonzero(scores >= scores[count - 1] * (1 - TOLERANCE))]
        return min(count, len(np.intersect1d(rows[:k], good))) / count

    @classmethod
    def of(cls, documents: Vectors, queries: Vectors, count: int, depth: int = DEPTH) -> Truth:
        """Score every document for the first ``count`` queries, a slice of documents at a time."""
        vectors = queries.singles()[:count]
        best: list[Candidates] = [(np.zeros(0), np.zeros(0, np.int64))] * len(vectors)
        for first, (indptr, terms, weights) in documents.slices(_SLICE):
            shape = (len(indptr) - 1, documents.vocabulary_size)
            columns = sp.csr_array(
                (weights.astype(np.float64), terms.astype(np.int32), indptr), shape=shape
            ).tocsc()
            for i, (query_terms, query_weights) in enumerate(vectors):
                scores = _scores(columns, query_terms, query_weights)
                found = np.flatnonzero(scores > 0)
                best[i] = _merged(best[i], (scores[found], found + first), depth)
        return cls(best)

    def save(self, path: Path) -> None:
        """Write the candidates to one npz file."""
        starts = np.cumsum([0, *(len(scores) for scores, _ in self.candidates)])
        scores, rows = (np.concatenate([found[i] for found in self.candidates]) for i in (0, 1))
        np.savez(path, starts=starts, scores=scores, rows=rows)

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read a file that `save` wrote."""
        with np.load(path) as file:
            starts, scores, rows = file["starts"], file["scores"], file["rows"]
        return cls([(scores[a:b], rows[a:b]) for a, b in itertools.pairwise(starts.tolist())])


def _scores(
    columns: sp.csc_array, terms: NDArray[np.uint32], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    scores = np.zeros(columns.shape[0])
    for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
        postings = slice(columns.indptr[term], columns.indptr[term + 1])
        scores[columns.indices[postings]] += weight * columns.data[postings]
    return scores


def _merged(some: Candidates, others: Candidates, depth: int) -> Candidates:
    scores = np.concatenate([some[0], others[0]])
    rows = np.concatenate([some[1], others[1]])
    if len(scores) > depth:
        least = np.partition(scores, -depth)[-depth] * (1 - TOLERANCE)
        scores, rows = scores[scores >= least], rows[scores >= least]
    order = np.lexsort((rows, -scores))
    return scores[order], rows[order]
