"""Several retrievers of one index as one."""

from __future__ import annotations

from collections.abc import Sequence

from lexpand.errors import DataError
from lexpand.index import Match
from lexpand.index.filters import Filter
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion, fuse
from lexpand.search.notes import Noted, notes_of
from lexpand.search.retriever import Retriever
from lexpand.search.sparse import SparseRetriever
from lexpand.search.words import WordRetriever

DEPTH = 1_000
"""Documents that each part ranks."""


class HybridRetriever(Retriever):
    """Ranks by the weighted sum of what its parts say.

    Args:
        parts: retrievers of one index; each one's ``weight`` is its share.
        fusion: how their scores are made comparable.
        depth: documents that each part ranks for a query, or ``k`` if that is more.
        feedback: the best documents of the sum add to the queries of its `SparseRetriever` parts, and with
            ``feedback.words`` to those of its `WordRetriever` parts, which then rank again; None for once.

    Raises:
        DataError: there are no parts, or they are of several indexes, or the depth is below 1.
    """

    def __init__(
        self,
        parts: Sequence[Retriever],
        *,
        fusion: Fusion | str = Fusion.Z_SCORE,
        depth: int = DEPTH,
        feedback: Feedback | None = None,
    ) -> None:
        if not parts or any(part.index is not parts[0].index for part in parts):
            raise DataError(f"a hybrid of {len(parts)} retrievers: it must have some, all of one open index")
        if depth < 1:
            raise DataError(f"a depth of {depth}: each part must rank at least one document")
        super().__init__(parts[0].index)
        self.parts = list(parts)
        try:
            self.fusion = Fusion(fusion)
        except ValueError:
            raise DataError(f"no fusion {str(fusion)!r}: give one of {', '.join(Fusion)}") from None
        self.depth = depth
        self.feedback = feedback

    @property
    def is_plain(self) -> bool:
        """Whether it is a sum as ``+`` makes it, so that a further part joins the others."""
        return (self.weight, self.fusion, self.depth, self.feedback) == (1.0, Fusion.Z_SCORE, DEPTH, None)

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Sequence[Match]]:
        """See `Retriever.rank`. A group's document is the best one of those that its parts found."""
        if k < 0:
            raise DataError(f"k is {k}: at least 0")
        if self.fusion is Fusion.BOUND and self.feedback is not None:
            raise DataError("fusion by bounds and feedback: feedback changes the query, and its bound is not known")
        depth = max(k, self.depth)
        bounds = [part.bounds(queries) for part in self.parts] if self.fusion is Fusion.BOUND and k else None
        found = [part.rank(queries, depth, filter=filter, threads=threads) for part in self.parts]
        fused = self._fused(found, bounds)
        if self.feedback is not None and k:
            relevant = [standing(matches[: self.feedback.documents]) for matches in fused]
            for place, part in enumerate(self.parts):
                again = learning_part(part, self.feedback)
                if again is not None:
                    found[place] = again.rank(queries, depth, filter=filter, threads=threads, relevant=relevant)
            fused = self._fused(found, bounds)
        if group_by is not None:
            fused = [self.index.best_of_groups(matches, group_by) for matches in fused]
        notes = ([note for ranking in rankings for note in notes_of(ranking)] for rankings in zip(*found, strict=True))
        return [Noted(matches[:k], said) for matches, said in zip(fused, notes, strict=True)]

    def _fused(
        self, found: Sequence[Sequence[Sequence[Match]]], bounds: Sequence[Sequence[float]] | None
    ) -> Sequence[Sequence[Match]]:
        weights = [part.weight for part in self.parts]
        if bounds is None:
            return [fuse(rankings, weights, self.fusion) for rankings in zip(*found, strict=True)]
        both = zip(zip(*found, strict=True), zip(*bounds, strict=True), strict=True)
        return [fuse(rankings, weights, self.fusion, largest) for rankings, largest in both]


def learning_part(part: Retriever, feedback: Feedback) -> SparseRetriever | WordRetriever | None:
    """A part that ranks again, with feedback; None for one that does not."""
    if isinstance(part, SparseRetriever) or (isinstance(part, WordRetriever) and feedback.words):
        return part.with_feedback(feedback)
    return None


def standing(matches: Sequence[Match]) -> list[Match]:
    """With 1 / rank as their scores: those of a sum may be negative, or say little of how far they lie apart."""
    return [match._replace(score=1 / rank) for rank, match in enumerate(matches, 1)]
