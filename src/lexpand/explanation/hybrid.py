"""What does each part of a hybrid say of a document, and what does fusion make of it?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexpand.explanation.inquiry import Inquiry
from lexpand.explanation.results import Explanation, Loss, Part
from lexpand.index import Match, Matches
from lexpand.index.filters import Filter
from lexpand.search import HybridRetriever, fuse
from lexpand.search.hybrid import HybridAsked


class HybridInquiry(Inquiry):
    """A question to a `HybridRetriever`, as its ``depth`` documents of each part answer it.

    See `Inquiry` for the other arguments.

    Args:
        parts: the inquiry of each part.
    """

    kind = "hybrid"

    def __init__(
        self,
        retriever: HybridRetriever,
        asked: HybridAsked,
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
        """See `Inquiry.best`; as a search for at most ``depth`` documents ranks them."""
        return self._fused[:k]

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`; among the documents that the parts ranked."""
        return _rank(doc_id, self._fused)

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`."""
        explained = [part.explanation(doc_id) for part in self._parts]
        # No document has this row: one that no part ranks gets what fusion gives such a one.
        alone = next(
            (match for match in self._fused if match.doc_id == doc_id), Match(doc_id, 0.0, -1)
        )
        first = explained[0]
        return Explanation(
            self.query,
            doc_id,
            first.title,
            first.text,
            alone.span or first.span,
            self._share(range(len(explained)), self._weights, alone),
            (),
            (),
            tuple(
                self._part(place, explanation, alone) for place, explanation in enumerate(explained)
            ),
            ()
            if self.rank_of(doc_id)
            else (f"no part has the document among its best {self._depth:,}",),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """See `Inquiry.losses`: those of all parts, each of which ranks ``depth`` documents."""
        del k
        return tuple(loss for part in self._parts for loss in part.losses(doc_id, self._depth))

    def _part(self, place: int, explanation: Explanation, alone: Match) -> Part:
        ranking, weight = self._rankings[place], self._weights[place]
        share = self._share([place], [1.0], alone)
        rank = _rank(alone.doc_id, ranking)
        return Part(self._parts[place].kind, weight, rank, share, weight * share, explanation)

    def _share(self, places: Sequence[int], weights: Sequence[float], alone: Match) -> float:
        """What fusion of some parts gives a document, ranked or not: in a ranking of its own, of weight 0, it is."""
        rankings, bounds = [self._rankings[i] for i in places], [self._bounds[i] for i in places]
        keys = [*(each.rows.astype(np.int64) for each in rankings), np.array([alone.row], np.int64)]
        scores = [*(each.scores for each in rankings), np.zeros(1)]
        fused = fuse(keys, scores, [*weights, 0.0], self._fusion, [*bounds, 1.0])
        return float(fused.scores[fused.keys == alone.row][0])


def _rank(doc_id: str, matches: Sequence[Match]) -> int | None:
    return next((rank for rank, match in enumerate(matches, 1) if match.doc_id == doc_id), None)
