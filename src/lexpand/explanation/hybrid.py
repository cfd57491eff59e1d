"""Explanations of hybrids: the score of each part, and their fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexpand.explanation.inquiry import Inquiry
from lexpand.explanation.results import Explanation, Loss, Part
from lexpand.index import Match, Matches
from lexpand.index.filters import Filter
from lexpand.search import HybridRetriever, fuse
from lexpand.search.hybrid import PreparedHybrid


class HybridInquiry(Inquiry):
    """The inquiry of a `HybridRetriever`, over the best ``depth`` documents of each part.

    See `Inquiry` for the other arguments.

    Args:
        parts: the inquiry of each part.
    """

    kind = "hybrid"

    def __init__(
        self,
        retriever: HybridRetriever,
        asked: PreparedHybrid,
        filter: Filter | None,
        parts: Sequence[Inquiry],
    ) -> None:
        super().__init__(retriever, asked, filter)
        self._weights = asked.weights_of(0)
        self._fusion, self._depth = retriever.fusion, retriever.depth
        self._bounds = [part.scales(self._fusion)[0] for part in asked.parts]
        self._parts = parts
        found = asked.ranked(self._depth, filter=filter)
        self._rankings: list[Matches] = [self.searcher.named(each[0]) for each in found]
        self._fused: Matches = self.searcher.named(asked.fused(found)[0])

    def best(self, k: int) -> Sequence[Match]:
        """See `Inquiry.best`; the ranking of a search for at most ``depth`` documents."""
        return self._fused[:k]

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`; the rank among the documents that the parts ranked."""
        return _rank(doc_id, self._fused)

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`."""
        explained = [part.explanation(doc_id) for part in self._parts]
        # No document has row -1, so fusion treats this one as missing from every ranking.
        match = next(
            (match for match in self._fused if match.doc_id == doc_id), Match(doc_id, 0.0, -1)
        )
        first = explained[0]
        parts = [self._part(i, explanation, match) for i, explanation in enumerate(explained)]
        return Explanation(
            self.query,
            doc_id,
            first.title,
            first.text,
            match.span or first.span,
            self._share(range(len(explained)), self._weights, match),
            (),
            (),
            tuple(parts),
            () if self.rank_of(doc_id) else (_not_found(len(explained), self._depth),),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """See `Inquiry.losses`; those of all parts, each for its best ``depth`` documents."""
        del k
        return tuple(loss for part in self._parts for loss in part.losses(doc_id, self._depth))

    def _part(self, number: int, explanation: Explanation, match: Match) -> Part:
        ranking, weight = self._rankings[number], self._weights[number]
        share = self._share([number], [1.0], match)
        rank = _rank(match.doc_id, ranking)
        return Part(self._parts[number].kind, weight, rank, share, weight * share, explanation)

    def _share(self, numbers: Sequence[int], weights: Sequence[float], match: Match) -> float:
        """Return the fused score of a document over some parts.

        The document is added as a ranking of its own with weight 0, so that it is fused even if no
        part ranks it.
        """
        rankings, bounds = [self._rankings[i] for i in numbers], [self._bounds[i] for i in numbers]
        keys = [*(each.rows.astype(np.int64) for each in rankings), np.array([match.row], np.int64)]
        scores = [*(each.scores for each in rankings), np.zeros(1)]
        fused = fuse(keys, scores, [*weights, 0.0], self._fusion, [*bounds, 1.0])
        return float(fused.scores[fused.keys == match.row][0])


def _not_found(retrievers: int, depth: int) -> str:
    if retrievers == 1:
        return f"the retriever did not find the document among its best {depth:,}"
    which = "neither retriever" if retrievers == 2 else f"none of the {retrievers} retrievers"
    return f"{which} found the document among its best {depth:,}"


def _rank(doc_id: str, matches: Sequence[Match]) -> int | None:
    return next((rank for rank, match in enumerate(matches, 1) if match.doc_id == doc_id), None)
