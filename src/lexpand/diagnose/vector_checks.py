"""Checks of vectors: empty ones, hubs, extreme scales, and weight on terms without text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Vocabulary
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity
from lexpand.index import StoredBatch

# In fewer passages, the share of a term means nothing.
_FEWEST_PASSAGES = 20
# A passage is extreme if its largest weight is more than this many times the median of all. Its
# quantization steps are as many times coarser (docs/format.md).
_EXTREME = 10


class VectorChecks:
    """Checks every vector once. Memory is one number per passage and one per term.

    Args:
        vocabulary: the terms.
        special: the terms that represent no text; empty if they are unknown.
        pinned: the terms that rules gave a meaning.
        hub_share: the share of passages above which a term is a hub; None to skip this check.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        special: frozenset[int],
        pinned: frozenset[int],
        hub_share: float | None,
    ) -> None:
        self._vocabulary = vocabulary
        self._special = np.array(sorted(special - pinned), np.int64)
        self._hub_share = hub_share
        self._frequencies = np.zeros(len(vocabulary), np.int64)
        self._passages = 0
        self._empty, self._empty_ids = 0, list[str]()
        self._largest: list[NDArray[np.float32]] = []
        self._rows: list[NDArray[np.int64]] = []

    def see(self, batch: StoredBatch) -> None:
        """Read a batch."""
        vectors = batch.vectors
        lengths = np.diff(vectors.indptr)
        self._frequencies += np.bincount(vectors.terms, minlength=len(self._frequencies))
        empty = np.flatnonzero(lengths == 0)
        self._passages += len(lengths)
        self._empty += len(empty)
        self._empty_ids += [
            batch.passages[i][0].doc_id for i in empty[: EXAMPLES - len(self._empty_ids)].tolist()
        ]
        filled = lengths > 0
        self._largest.append(
            np.maximum.reduceat(vectors.weights, vectors.indptr[:-1][filled])
            if filled.any()
            else np.zeros(0, np.float32)
        )
        self._rows.append(batch.rows[filled])

    def extremes(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the rows of passages with an extreme scale, worst first, and their scales.

        A scale is a multiple of the median.
        """
        largest = np.concatenate([np.zeros(0, np.float32), *self._largest]).astype(np.float64)
        if not len(largest):
            return np.zeros(0, np.int64), largest
        times = largest / np.median(largest)
        worst = np.argsort(-times, kind="stable")[: np.count_nonzero(times > _EXTREME)]
        return np.concatenate(self._rows)[worst], times[worst]

    def findings(self) -> Iterator[Finding]:
        """Yield all findings except extreme scales, whose documents are known by row only."""
        if self._empty:
            yield Finding(
                "empty",
                Severity.ERROR,
                self._empty,
                "without any term: no vector search finds them",
                tuple(self._empty_ids),
                "check if the text is empty or in a script that the model cannot read; --pipeline "
                "hybrid finds documents by words too",
            )
        yield from self._hubs()
        yield from self._special_terms()

    def _hubs(self) -> Iterator[Finding]:
        if self._hub_share is None or self._passages < _FEWEST_PASSAGES:
            return
        shares = self._frequencies / self._passages
        hubs = np.flatnonzero(shares > self._hub_share)
        if len(hubs):
            yield Finding(
                "hubs",
                Severity.WARNING,
                len(hubs),
                f"terms in more than {self._hub_share:.0%} of the documents: they "
                "distinguish little and slow down searches",
                self._worst(hubs, shares),
                "give rare terms more weight (idf in a pipeline), or remove these with [[ban]] or "
                "limit them with [[cap]] in a rules file",
            )

    def _special_terms(self) -> Iterator[Finding]:
        shares = self._frequencies / max(1, self._passages)
        weighted = self._special[self._frequencies[self._special] > 0]
        if len(weighted):
            yield Finding(
                "special",
                Severity.WARNING,
                len(weighted),
                "terms that represent no text but have weight",
                self._worst(weighted, shares),
                "create a new index with --prune ban=special,ban=unused",
            )

    def _worst(self, terms: NDArray[np.int64], shares: NDArray[np.float64]) -> tuple[str, ...]:
        worst = terms[np.argsort(-shares[terms], kind="stable")][:EXAMPLES].tolist()
        return tuple(f"{self._vocabulary.text(term)} {shares[term]:.1%}" for term in worst)


def scale_finding(doc_ids: list[str], times: NDArray[np.float64]) -> Finding:
    """Return the finding on passages with an extreme scale.

    No weight can be clipped: each passage has its own scale, and its largest weight is 65,535
    steps.

    Args:
        doc_ids: the documents that are named, worst first.
        times: the multiple of the median for every such passage, worst first.
    """
    examples = zip(doc_ids, times.tolist(), strict=False)
    return Finding(
        "scale",
        Severity.WARNING,
        len(times),
        f"with a largest weight of more than {_EXTREME} times the median one: they outrank others, "
        "and their small weights are coarse",
        tuple(f"{doc_id} {factor:.0f} times" for doc_id, factor in examples),
        "check the text for repetition or garbage; limit the term with [[cap]] in a rules file",
    )
