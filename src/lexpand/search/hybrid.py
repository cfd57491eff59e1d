"""Several retrievers of one index as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lexpand.errors import DataError
from lexpand.index import Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.asked import Asked, Span
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion, fuse, parse_fusion
from lexpand.search.retriever import LocalRetriever, Retriever, Weighted

DEPTH = 500
"""Documents that each part ranks."""

# From this share of identifiers on, a query is one for them.
_MOSTLY = 0.5


class HybridAsked(Asked):
    """Queries of a `HybridRetriever`.

    Attributes:
        parts: the same queries as each part of the hybrid puts them.
        weights: of each part.
    """

    def __init__(
        self,
        searcher: Searcher,
        queries: Sequence[str],
        parts: Sequence[Asked],
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
        """See `Asked.passages`. A group's document is the best one of those that the parts found."""
        _check(k, threads)
        depth = max(k, self._depth)
        fused = self.fused(self.ranked(depth, filter=filter, threads=threads))
        if self._feedback is not None and k:
            learned = self.learned(self._relevant(fused, self._feedback), self._feedback)
            fused = learned.fused(learned.ranked(depth, filter=filter, threads=threads))
        if group_by is not None:
            fused = [
                passages.at(self.searcher.first_of_groups(passages.rows, group_by))
                for passages in fused
            ]
        return [passages.at(slice(0, k)) for passages in fused]

    def weights_of(self, place: int) -> list[float]:
        """The weight of each part for the query at a place; factors change their ratio, not their sum."""
        weights = [
            weight * factors[place]
            for weight, factors in zip(self.weights, self._factors, strict=True)
        ]
        scale = sum(self.weights) / sum(weights)
        return [weight * scale for weight in weights]

    def _relevant(
        self, fused: Sequence[RankedPassages], feedback: Feedback
    ) -> list[RankedPassages]:
        """What each query learns from: its best passages; nothing for a query that asks for identifiers.

        The documents around the one that has the identifier are of others, and their terms would
        only hide it.
        """
        counts = [0 if share > _MOSTLY else feedback.documents for share in self.identifiers()]
        return [standing(passages, count) for passages, count in zip(fused, counts, strict=True)]

    def identifiers(self) -> Sequence[float]:
        """See `Asked.identifiers`."""
        found: list[float] = np.max([part.identifiers() for part in self.parts], axis=0).tolist()
        return found

    def ranked(
        self, depth: int, *, filter: Filter | None = None, threads: int = 1
    ) -> list[Sequence[RankedPassages]]:
        """What each part finds for each query."""
        return [part.passages(depth, filter=filter, threads=threads) for part in self.parts]

    def fused(self, found: Sequence[Sequence[RankedPassages]]) -> list[RankedPassages]:
        """The sums of what the parts found, of each query."""
        scales = [part.scales(self._fusion) for part in self.parts]
        return [
            fused_passages(rankings, self.weights_of(i), self._fusion, [each[i] for each in scales])
            for i, rankings in enumerate(zip(*found, strict=True))
        ]

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> HybridAsked:
        """The queries as they are searched for at last, what feedback adds to the parts included."""
        if self._feedback is None:
            return self
        fused = self.fused(self.ranked(self._depth, filter=filter, threads=threads))
        return self.learned(self._relevant(fused, self._feedback), self._feedback)

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> HybridAsked:
        """See `Asked.learned`: of every part."""
        parts = [part.learned(relevant, feedback) for part in self.parts]
        return HybridAsked(
            self.searcher, self.queries, parts, self.weights, self._fusion, self._depth, None
        )

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `Asked.terms`: each part's by its share of the sum, as far as fusion is of scores."""
        terms: list[dict[str, float]] = [{} for _ in range(len(passages))]
        for part, weight in zip(self.parts, self.weights_of(place), strict=True):
            bound = part.scales(self._fusion)[place] if self._fusion.by_query else 0.0
            for mine, found in zip(
                terms, part.terms(place, passages, most and 2 * most), strict=True
            ):
                whole = bound or sum(found.values()) or 1.0
                for term, share in found.items():
                    mine[term] = mine.get(term, 0.0) + weight * share / whole
        return terms

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `Asked.spans`: by the first part's scores."""
        return self.parts[0].spans(place, doc_id)

    def bounds(self) -> Sequence[float]:
        """See `Asked.bounds`: shares of scores that are divided by their bounds are at most 1."""
        if self._fusion is not Fusion.BOUND:
            raise DataError(
                f"a hybrid by {self._fusion} has no largest score: fusion by bounds is for vectors and words"
            )
        return self._largest()

    def expected(self) -> Sequence[float]:
        """See `Asked.expected`: the sum of the weights."""
        if not self._fusion.by_query:
            raise DataError(
                f"a hybrid by {self._fusion} has no expected score: nest hybrids by bound or expected"
            )
        return self._largest()

    def _largest(self) -> Sequence[float]:
        return [sum(self.weights_of(place)) for place in range(len(self))]

    def notes(self) -> Sequence[tuple[Any, ...]]:
        """See `Asked.notes`: those of all parts."""
        return [
            sum(notes, ()) for notes in zip(*(part.notes() for part in self.parts), strict=True)
        ]


class HybridRetriever(LocalRetriever):
    """Ranks by the weighted sum of what its parts say.

    Args:
        parts: retrievers of one index, each weighted (`Weighted`) or with the weight 1.
        fusion: how their scores are made comparable.
        depth: documents that each part ranks for a query, or ``k`` if that is more.
        feedback: the best documents of the sum add to the queries of its `SparseRetriever` parts,
            and with ``feedback.words`` to those of its `WordRetriever` parts, which then rank
            again; None for once.

    Attributes:
        parts: the retrievers with their weights.
        local: the retrievers alone.

    Raises:
        DataError: there are no parts, or they are of several indexes, the depth is below 1, or
            fusion by bounds meets feedback, which changes the query.
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
                f"the parts of a hybrid must be retrievers of one open index, got {len(parts)} parts of "
                f"{len(indexes)} indexes; `first + second` sums up any retrievers"
            )
        super().__init__(self.local[0].index)
        self.fusion = parse_fusion(fusion)
        self.depth = check_depth(depth)
        self.feedback = feedback
        if self.fusion is Fusion.BOUND and feedback is not None:
            raise DataError(
                "fusion by bounds and feedback: feedback changes the query, and its bound is not known"
            )

    @property
    def is_plain(self) -> bool:
        """Whether it is a sum as ``+`` makes it, so that a further part joins the others."""
        return (self.fusion, self.depth, self.feedback) == (Fusion.Z_SCORE, DEPTH, None)

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> HybridAsked:
        """See `LocalRetriever.ask`."""
        asked = [part.ask(searcher, queries) for part in self.local]
        weights = [part.weight for part in self.parts]
        return HybridAsked(
            searcher, queries, asked, weights, self.fusion, self.depth, self.feedback
        )


def check_depth(depth: int) -> int:
    """The documents that each part ranks.

    Raises:
        DataError: it is below 1, or no integer.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise DataError(f"depth must be an integer of at least 1, got {depth!r}")
    return depth


def fused_passages(
    rankings: Sequence[RankedPassages],
    weights: Sequence[float],
    fusion: Fusion,
    bounds: Sequence[float] | None,
) -> RankedPassages:
    """The passages of several rankings of one query by their fused scores; each document by the first ranking's passage."""
    rows, scores = (
        [passages.rows for passages in rankings],
        [passages.scores for passages in rankings],
    )
    fused = fuse(rows, scores, weights, fusion, bounds)
    starts = np.cumsum([0, *map(len, rankings)])
    chosen = RankedPassages.concatenate(rankings).at(starts[fused.rankings] + fused.places)
    return RankedPassages(fused.scores, chosen.rows, chosen.segments, chosen.ordinals)


def standing(passages: RankedPassages, count: int) -> RankedPassages:
    """The first passages with 1 / rank as their scores: those of a sum may be negative, or say little of distances."""
    first = passages.at(slice(0, count))
    return RankedPassages(
        1 / np.arange(1.0, len(first) + 1), first.rows, first.segments, first.ordinals
    )


def _check(k: int, threads: int) -> None:
    if k < 0 or threads < 1:
        raise DataError(f"k must be at least 0 and threads at least 1, got {k} and {threads}")
