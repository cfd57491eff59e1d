"""Why not that document? What puts another one above it, and what it lost before anybody asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lexpand.errors import DataError
from lexpand.explanation.explaining import inquire
from lexpand.explanation.inquiry import Inquiry
from lexpand.explanation.results import (
    Contribution,
    Difference,
    Explanation,
    Loss,
    LossKind,
    PartDifference,
    WhyNot,
)
from lexpand.index.filters import Filter
from lexpand.search import Retriever


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

    A document that was cut is read to its end for this, and a ranking is asked for until the
    document is in it: this takes longer than `explain`.

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
        than = next(
            (match.doc_id for match in inquiry.best(max(2, k)) if match.doc_id != missing), None
        )
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
    return [
        Loss(LossKind.FILTER, "", "", 0.0, f"the filter excludes the document; without it {stands}")
    ]


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


def differences_of(
    missing: Explanation, than: Explanation, losses: Sequence[Loss] = ()
) -> tuple[Difference, ...]:
    """The terms that two scores are made of, those that differ most first; they add up to the scores' difference."""
    mine = {part.term: part for part in missing.contributions}
    others = {part.term: part for part in than.contributions}
    lost = {loss.term: loss.kind for loss in reversed(losses) if loss.term}
    found = [_difference(mine.get(term), others.get(term), lost) for term in {**others, **mine}]
    return tuple(sorted(found, key=lambda difference: -abs(difference.difference)))


def _difference(
    mine: Contribution | None, other: Contribution | None, lost: Mapping[str, LossKind]
) -> Difference:
    shown = mine or other
    assert shown is not None
    difference = (other.contribution if other else 0.0) - (mine.contribution if mine else 0.0)
    return Difference(shown.label, mine, other, difference, lost.get(shown.term))


def part_differences_of(
    mine: Explanation, other: Explanation, losses: Sequence[Loss]
) -> tuple[PartDifference, ...]:
    """The parts of a hybrid, those that differ most first; they add up to the scores' difference."""
    found = [
        PartDifference(
            part.kind,
            part.contribution,
            above.contribution,
            above.contribution - part.contribution,
            differences_of(
                part.explanation, above.explanation, losses if part.kind == "splade" else ()
            ),
        )
        for part, above in zip(mine.parts, other.parts, strict=True)
    ]
    return tuple(sorted(found, key=lambda part: -abs(part.difference)))
