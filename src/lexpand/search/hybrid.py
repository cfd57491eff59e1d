"""A hybrid: the weighted sum of several retrievers of one index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lexpand.errors import DataError
from lexpand.index import Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion, fuse, parse_fusion
from lexpand.search.prepared import PreparedQueries, Span
from lexpand.search.retriever import LocalRetriever, Retriever, Weighted, check_ranking

DEPTH = 500
"""The number of documents that each part ranks."""

# A query with a larger share of identifiers is a query for identifiers.
_IDENTIFIER_SHARE = 0.5


class PreparedHybrid(PreparedQueries):
    """Prepared queries of a `HybridRetriever`.

    Attributes:
        parts: the same queries as each part prepared them.
        weights: the weight of each part.
    """

    def __init__(
        self,
        searcher: Searcher,
        queries: Sequence[str],
        parts: Sequence[PreparedQueries],
        weights: Sequence[float],
        fusion: Fusion,
        depth: int,
        feedback: Feedback | None,
    ) -> None:
        super().__init__(searcher, queries)
        self.parts = list(parts)
        self.weights = list(weights)
        self._factors = [part.factors() for part in parts]
        self._fusion = fusion
        self._depth = depth
        self._feedback = feedback

    def passages(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> Sequence[RankedPassages]:
        """See `PreparedQueries.passages`. Each group keeps its best fused document."""
        check_ranking(k, threads)
        depth = max(k, self._depth)
        found = self.ranked(depth, filter=filter, threads=threads)
        fused = (
            self.refined(found, depth, filter=filter, threads=threads) if k else self.fused(found)
        )
        if group_by is not None:
            fused = [
                passages.at(self.searcher.first_of_groups(passages.rows, group_by))
                for passages in fused
            ]
        return [passages.at(slice(0, k)) for passages in fused]

    def weights_of(self, place: int) -> list[float]:
        """Return the weights of the parts for the query at position ``place``.

        Factors change the ratio of the weights, not their sum.
        """
        weights = [
            weight * factors[place]
            for weight, factors in zip(self.weights, self._factors, strict=True)
        ]
        scale = sum(self.weights) / sum(weights)
        return [weight * scale for weight in weights]

    def _relevant(
        self, fused: Sequence[RankedPassages], feedback: Feedback
    ) -> list[RankedPassages]:
        """Return the best passages of each query, for feedback; none for a query for identifiers.

        The other documents near an exact identifier are about other identifiers. Their terms would
        hide the document that has it.
        """
        counts = [
            0 if share > _IDENTIFIER_SHARE else feedback.documents for share in self.identifiers()
        ]
        return [
            best_by_reciprocal_rank(passages, count)
            for passages, count in zip(fused, counts, strict=True)
        ]

    def identifiers(self) -> Sequence[float]:
        """See `PreparedQueries.identifiers`."""
        found: list[float] = np.max([part.identifiers() for part in self.parts], axis=0).tolist()
        return found

    def ranked(
        self, depth: int, *, filter: Filter | None = None, threads: int = 1
    ) -> list[Sequence[RankedPassages]]:
        """Return the passages that each part finds for each query."""
        return [part.passages(depth, filter=filter, threads=threads) for part in self.parts]

    def fused(self, found: Sequence[Sequence[RankedPassages]]) -> list[RankedPassages]:
        """Return the fused passages of each query."""
        scales = [part.scales(self._fusion) for part in self.parts]
        return [
            fused_passages(rankings, self.weights_of(i), self._fusion, [each[i] for each in scales])
            for i, rankings in enumerate(zip(*found, strict=True))
        ]

    def refined(
        self,
        found: Sequence[Sequence[RankedPassages]],
        depth: int,
        *,
        filter: Filter | None = None,
        threads: int = 1,
    ) -> list[RankedPassages]:
        """Return the fused passages of each query; with feedback, those of a second search.

        Args:
            found: the passages that each part found for each query; see `ranked`.
            depth: the number of passages that each part ranks in the second search.
            filter: see `passages`.
            threads: see `passages`.
        """
        fused = self.fused(found)
        if self._feedback is None:
            return fused
        learned = self.learned(self._relevant(fused, self._feedback), self._feedback)
        return learned.fused(learned.ranked(depth, filter=filter, threads=threads))

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> PreparedHybrid:
        """Return the final queries, with the terms that feedback adds to each part."""
        if self._feedback is None:
            return self
        fused = self.fused(self.ranked(self._depth, filter=filter, threads=threads))
        return self.learned(self._relevant(fused, self._feedback), self._feedback)

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> PreparedHybrid:
        """See `PreparedQueries.learned`; every part learns."""
        parts = [part.learned(relevant, feedback) for part in self.parts]
        return PreparedHybrid(
            self.searcher, self.queries, parts, self.weights, self._fusion, self._depth, None
        )

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `PreparedQueries.terms`; the terms of each part are scaled by the weight of the part.

        If the fusion divides scores by a number of the query, the scaled terms sum to the score.
        """
        terms: list[dict[str, float]] = [{} for _ in range(len(passages))]
        for part, weight in zip(self.parts, self.weights_of(place), strict=True):
            bound = part.scales(self._fusion)[place] if self._fusion.by_query else 0.0
            part_terms = part.terms(place, passages, most and 2 * most)
            for total, shares in zip(terms, part_terms, strict=True):
                divisor = bound or sum(shares.values()) or 1.0
                for term, share in shares.items():
                    total[term] = total.get(term, 0.0) + weight * share / divisor
        return terms

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `PreparedQueries.spans`; the scores are those of the first part."""
        return self.parts[0].spans(place, doc_id)

    def bounds(self) -> Sequence[float]:
        """See `PreparedQueries.bounds`; a score divided by its bound is at most 1."""
        if self._fusion is not Fusion.BOUND:
            raise DataError(
                f"a hybrid by {self._fusion} has no largest score, which fusion by bound needs: "
                "nest hybrids by bound"
            )
        return self._largest()

    def expected(self) -> Sequence[float]:
        """See `PreparedQueries.expected`; the sum of the weights."""
        if not self._fusion.by_query:
            raise DataError(
                f"a hybrid by {self._fusion} has no expected score, which fusion by expected "
                "needs: nest hybrids by bound or expected"
            )
        return self._largest()

    def _largest(self) -> Sequence[float]:
        return [sum(self.weights_of(place)) for place in range(len(self))]

    def notes(self) -> Sequence[tuple[Any, ...]]:
        """See `PreparedQueries.notes`; the notes of all parts."""
        return [
            sum(notes, ()) for notes in zip(*(part.notes() for part in self.parts), strict=True)
        ]


class HybridRetriever(LocalRetriever):
    """A retriever that ranks by the weighted sum of the normalized scores of its parts.

    Args:
        parts: retrievers of one index, each weighted (`Weighted`) or with weight 1.
        fusion: the normalization that makes scores comparable.
        depth: the number of documents that each part ranks for a query, or ``k`` if that is more.
        feedback: expand the queries by the best documents of the sum and rank again. It expands the
            queries of `SparseRetriever` parts, and with ``feedback.words`` those of `WordRetriever`
            parts. None to search once.

    Attributes:
        parts: the retrievers with their weights.
        local: the retrievers without weights.

    Raises:
        DataError: there are no parts, the parts are of several indexes, the depth is below 1, or
            the fusion is ``bound`` and feedback is set, which changes the query.
    """

    def __init__(
        self,
        parts: Sequence[Retriever | Weighted],
        *,
        fusion: Fusion | str = Fusion.Z_SCORE,
        depth: int = DEPTH,
        feedback: Feedback | None = None,
    ) -> None:
        self.parts = [part if isinstance(part, Weighted) else Weighted(part) for part in parts]
        self.local = [
            part.retriever for part in self.parts if isinstance(part.retriever, LocalRetriever)
        ]
        indexes = {id(part.index) for part in self.local}
        if len(self.local) != len(self.parts) or len(indexes) != 1:
            raise DataError(
                "the parts of a hybrid must be retrievers of one open index, got "
                f"{len(parts)} parts of {len(indexes)} indexes: "
                "`first + second` adds any retrievers"
            )
        super().__init__(self.local[0].index)
        self.fusion = parse_fusion(fusion)
        self.depth = check_depth(depth)
        self.feedback = feedback
        if self.fusion is Fusion.BOUND and feedback is not None:
            raise DataError(
                "fusion must not be bound with feedback: feedback changes the query, so its bound "
                "is unknown"
            )

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain sum as ``+`` makes it, to which ``+`` can add parts."""
        return (self.fusion, self.depth, self.feedback) == (Fusion.Z_SCORE, DEPTH, None)

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> PreparedHybrid:
        """See `LocalRetriever.ask`."""
        prepared = [part.ask(searcher, queries) for part in self.local]
        weights = [part.weight for part in self.parts]
        return PreparedHybrid(
            searcher, queries, prepared, weights, self.fusion, self.depth, self.feedback
        )


def check_depth(depth: int) -> int:
    """Return a valid depth: the number of documents that each part ranks.

    Raises:
        DataError: the depth is below 1 or not an integer.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise DataError(f"depth must be an integer >= 1, got {depth!r}")
    return depth


def fused_passages(
    rankings: Sequence[RankedPassages],
    weights: Sequence[float],
    fusion: Fusion,
    bounds: Sequence[float] | None,
) -> RankedPassages:
    """Return the passages of several rankings of one query by their fused scores, best first.

    A document found by several rankings has the passage of the first.
    """
    rows = [passages.rows for passages in rankings]
    scores = [passages.scores for passages in rankings]
    fused = fuse(rows, scores, weights, fusion, bounds)
    starts = np.cumsum([0, *map(len, rankings)])
    chosen = RankedPassages.concatenate(rankings).at(starts[fused.rankings] + fused.places)
    return RankedPassages(fused.scores, chosen.rows, chosen.segments, chosen.ordinals)


def best_by_reciprocal_rank(passages: RankedPassages, count: int) -> RankedPassages:
    """Return the best ``count`` passages with 1 / rank as their scores.

    The scores of a sum may be negative, and their differences mean little.
    """
    first = passages.at(slice(0, count))
    return RankedPassages(
        1 / np.arange(1.0, len(first) + 1), first.rows, first.segments, first.ordinals
    )
