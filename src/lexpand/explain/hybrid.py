"""What does each part of a hybrid say of a document, and what does fusion make of it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lexpand.explain.explanation import Explanation, Part
from lexpand.explain.inquiry import Inquiry
from lexpand.explain.losses import Loss
from lexpand.explain.vectors import VectorInquiry
from lexpand.explain.words import WordInquiry
from lexpand.index import Match
from lexpand.index.filters import Filter
from lexpand.search import Fusion, HybridRetriever, Retriever, SparseRetriever, fuse
from lexpand.search.hybrid import learning_part, standing

Inquire = Callable[[Retriever, str, "Filter | None"], Inquiry]
"""The inquiry of any retriever."""


class HybridInquiry(Inquiry):
    """A question to a `HybridRetriever`, as its ``depth`` documents of each part answer it.

    Args:
        retriever: who was asked.
        query: the question.
        filter: which documents could be found.
        inquire: makes the inquiries of the parts.
    """

    kind = "hybrid"

    def __init__(self, retriever: HybridRetriever, query: str, filter: Filter | None, inquire: Inquire) -> None:
        super().__init__(retriever, query, filter)
        self._weights = [part.weight for part in retriever.parts]
        self._fusion, self._depth = retriever.fusion, retriever.depth
        # Asked for where they count: finding a query's bound searches once for each of its terms.
        bounded = self._fusion is Fusion.BOUND
        self._bounds = [part.bounds([query])[0] if bounded else 1.0 for part in retriever.parts]
        self._parts = [inquire(part, query, filter) for part in retriever.parts]
        self._rank_parts()
        feedback = retriever.feedback
        if feedback is not None:
            relevant = standing(self._fused[: feedback.documents])
            for place, part in enumerate(retriever.parts):
                again = learning_part(part, feedback)
                if isinstance(again, SparseRetriever):
                    self._parts[place] = VectorInquiry(again, query, filter, relevant)
                elif again is not None:
                    self._parts[place] = WordInquiry(again, query, filter, relevant)
            self._rank_parts()

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
        alone = next((match for match in self._fused if match.doc_id == doc_id), Match(doc_id, 0.0, -1))
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
            tuple(self._part(place, explanation, alone) for place, explanation in enumerate(explained)),
            () if self.rank_of(doc_id) else (f"no part has the document among its best {self._depth:,}",),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """See `Inquiry.losses`: those of all parts, each of which ranks ``depth`` documents."""
        del k
        return tuple(loss for part in self._parts for loss in part.losses(doc_id, self._depth))

    def _rank_parts(self) -> None:
        self._rankings = [part.best(self._depth) for part in self._parts]
        self._fused = fuse(self._rankings, self._weights, self._fusion, self._bounds)

    def _part(self, place: int, explanation: Explanation, alone: Match) -> Part:
        ranking, weight = self._rankings[place], self._weights[place]
        share = self._share([place], [1.0], alone)
        rank = _rank(alone.doc_id, ranking)
        return Part(self._parts[place].kind, weight, rank, share, weight * share, explanation)

    def _share(self, places: Sequence[int], weights: Sequence[float], alone: Match) -> float:
        """What fusion of some parts gives a document, ranked or not: in a ranking of its own, of weight 0, it is."""
        rankings, bounds = [self._rankings[i] for i in places], [self._bounds[i] for i in places]
        fused = fuse([*rankings, [alone]], [*weights, 0.0], self._fusion, [*bounds, 1.0])
        return next(match.score for match in fused if match.row == alone.row)


def _rank(doc_id: str, matches: Sequence[Match]) -> int | None:
    return next((rank for rank, match in enumerate(matches, 1) if match.doc_id == doc_id), None)
