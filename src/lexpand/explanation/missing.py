"""Why not that document? What puts another one above it, and what it lost before anybody asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lexpand.errors import DataError
from lexpand.explanation.differences import Difference, PartDifference, differences_of, part_differences_of
from lexpand.explanation.explanation import Explanation
from lexpand.explanation.inquiry import Inquiry
from lexpand.explanation.losses import Loss, LossKind
from lexpand.explanation.registry import inquire
from lexpand.index.filters import Filter
from lexpand.search import Retriever


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a document does not stand where another one does.

    Attributes:
        k: how many documents were asked for.
        missing: the score of the document that is asked about.
        than: the score of the other one; None where nothing else was found.
        missing_rank, than_rank: their places, from 1, in an exact search of all that the filter lets through (of a
            hybrid, of all that its parts rank); None where the document is no hit.
        verdict: the answer in one sentence.
        differences: the terms by the size of their difference; empty for a hybrid.
        parts: of a hybrid, by the size of their difference.
        losses: what the missing document lost by pruning, truncation, quantisation, effort or a filter, if the query
            asks for it; the largest first.
    """

    k: int
    missing: Explanation
    than: Explanation | None
    missing_rank: int | None
    than_rank: int | None
    verdict: str
    differences: tuple[Difference, ...]
    parts: tuple[PartDifference, ...]
    losses: tuple[Loss, ...]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; see `Explanation.to_dict`."""
        return {
            "k": self.k,
            "missing": self.missing.to_dict(),
            "than": self.than and self.than.to_dict(),
            "missing_rank": self.missing_rank,
            "than_rank": self.than_rank,
            "verdict": self.verdict,
            "differences": [difference.to_dict() for difference in self.differences],
            "parts": [
                {**asdict(part), "differences": [difference.to_dict() for difference in part.differences]}
                for part in self.parts
            ],
            "losses": [asdict(loss) for loss in self.losses],
        }

    def __str__(self) -> str:
        from lexpand.explanation.plain import why_not_text

        return why_not_text(self)

    def to_html(self) -> str:
        """A page of HTML that needs nothing else."""
        from lexpand.explanation.page import why_not_page

        return why_not_page(self)

    def _repr_html_(self) -> str:
        from lexpand.explanation.page import why_not_fragment

        return why_not_fragment(self)


def why_not(
    retriever: Retriever,
    query: str,
    missing: str,
    than: str | None = None,
    *,
    k: int = 10,
    filter: Filter | None = None,
) -> WhyNot:
    """Explain why a document is not found, or stands below another one.

    A document that was cut is read to its end for this, and a ranking is asked for until the document is in it: this
    takes longer than `explain`.

    Args:
        retriever: who was asked.
        query: the question.
        missing: the id of the document that is asked about.
        than: that of the one above it; None for the best hit.
        k: how many documents were asked for, at least 1.
        filter: that of the search.

    Raises:
        UnknownDocument: the index has no such document.
        DataError: the retriever is of a kind that cannot be explained, or k is below 1.
        FilterError: see `Index.search`.
    """
    if k < 1:
        raise DataError(f"k is {k}: at least 1")
    inquiry = inquire(retriever, query, filter)
    mine = inquiry.explanation(missing)
    if than is None:
        than = next((match.doc_id for match in inquiry.best(max(2, k)) if match.doc_id != missing), None)
    other = None if than is None else inquiry.explanation(than)
    rank = inquiry.rank_of(missing)
    losses = (*_filtered(retriever, inquiry, missing), *inquiry.losses(missing, k))
    return WhyNot(
        k,
        mine,
        other,
        rank,
        None if than is None else inquiry.rank_of(than),
        _verdict(mine, rank, k, losses),
        () if other is None else differences_of(mine, other, losses),
        () if other is None else part_differences_of(mine, other, losses),
        losses,
    )


def _filtered(retriever: Retriever, inquiry: Inquiry, doc_id: str) -> list[Loss]:
    if inquiry.filter is None or doc_id in inquiry.searcher.matching(inquiry.filter):
        return []
    rank = inquire(retriever, inquiry.query).rank_of(doc_id)
    stands = "it is no hit either" if rank is None else f"it stands at rank {rank:,}"
    return [Loss(LossKind.FILTER, "", "", 0.0, f"the filter excludes the document; without it {stands}")]


def _verdict(mine: Explanation, rank: int | None, k: int, losses: Sequence[Loss]) -> str:
    # What a part of a hybrid missed, the hybrid may have.
    decisive = {LossKind.FILTER} if mine.parts else {LossKind.FILTER, LossKind.EFFORT}
    for loss in losses:
        if loss.kind in decisive:
            return loss.detail
    if rank is not None:
        return f"the document stands at rank {rank:,}, {'among' if rank <= k else 'not among'} the best {k:,}"
    if mine.parts:
        return mine.notes[0]
    return "the document shares no term with the query"
