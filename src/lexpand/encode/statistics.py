"""Statistics of an encoding run: vector sizes, frequent terms, truncated and empty texts."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import SparseVectors, Vocabulary

_LISTED_IDS = 5
_HUB_TERMS = 10


class EncodingStatistics:
    """Counts over the batches of an encoding run.

    It takes 4 bytes for each vector and 8 bytes for each term of the vocabulary.

    Args:
        vocabulary: the vocabulary of the model.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lengths: list[NDArray[np.uint32]] = []
        self._frequencies = np.zeros(len(vocabulary), np.int64)
        self._tokens = self._lost = self._truncated = self._empty = 0
        self._empty_ids: list[str] = []
        self._most_cut: list[tuple[int, str]] = []

    @property
    def documents(self) -> int:
        """The number of vectors."""
        return sum(map(len, self._lengths))

    def add(
        self,
        doc_ids: Sequence[str],
        vectors: SparseVectors,
        tokens: NDArray[np.uint32],
        tokens_lost: NDArray[np.uint32],
    ) -> None:
        """Add a batch, one row for each document."""
        lengths = np.diff(vectors.indptr)
        self._lengths.append(lengths.astype(np.uint32))
        self._frequencies += np.bincount(vectors.terms, minlength=len(self._frequencies))
        self._tokens += int(tokens.sum())
        self._lost += int(tokens_lost.sum())
        cut, empty = np.flatnonzero(tokens_lost).tolist(), np.flatnonzero(lengths == 0).tolist()
        self._truncated += len(cut)
        self._empty += len(empty)
        self._empty_ids += [doc_ids[i] for i in empty[: _LISTED_IDS - len(self._empty_ids)]]
        candidates = self._most_cut + [(int(tokens_lost[i]), doc_ids[i]) for i in cut]
        self._most_cut = heapq.nsmallest(
            _LISTED_IDS, candidates, key=lambda pair: (-pair[0], pair[1])
        )

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return the statistics as JSON values.

        Args:
            seconds: the duration of the run.

        Returns:
            These keys:

            * ``documents``, ``seconds``, ``documents_per_second``, ``terms_per_second``;
            * ``nnz``: the number of terms of a vector (``mean``, ``p50``, ``p90``, ``p99``,
              ``max``);
            * ``hub_terms``: the most frequent terms, with the share of documents that have them;
            * ``empty``, ``empty_ids``: the number of empty vectors, and the first few document ids;
            * ``tokens``, ``tokens_lost``: the number of tokens, and of those that were not read;
            * ``truncated``, ``most_cut``: the number of truncated documents, and those that lost
              most, as pairs of tokens lost and document id.
        """
        lengths = np.concatenate(self._lengths) if self._lengths else np.zeros(0, np.uint32)
        documents, terms = self.documents, int(lengths.sum())
        nnz = {"mean": round(terms / documents, 2) if documents else 0.0}
        nnz |= {
            f"p{q}": int(np.percentile(lengths, q, method="lower")) if documents else 0
            for q in (50, 90, 99)
        }
        hubs = np.argsort(-self._frequencies, kind="stable")[:_HUB_TERMS]
        shares = {
            self._vocabulary.term(int(term)): int(self._frequencies[term]) / max(1, documents)
            for term in hubs
        }
        return {
            "documents": documents,
            "seconds": round(seconds, 3),
            "documents_per_second": round(documents / seconds, 1) if seconds else 0.0,
            "terms_per_second": round(terms / seconds) if seconds else 0,
            "nnz": nnz | {"max": int(lengths.max(initial=0))},
            "hub_terms": {term: round(share, 4) for term, share in shares.items() if share},
            "empty": self._empty,
            "empty_ids": self._empty_ids,
            "tokens": self._tokens,
            "tokens_lost": self._lost,
            "truncated": self._truncated,
            "most_cut": self._most_cut,
        }
