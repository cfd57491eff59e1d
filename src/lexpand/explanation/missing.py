"""Explanations of missing documents: what ranks above a document, and what the document lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lexpand.data.arguments import check_integer
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
    """Explain why a document is not found, or ranks below another one.

    This takes longer than `explain`. A document that was truncated is read to its end, and the
    ranking is extended until it has the document.

    Args:
        retriever: the retriever.
        query: the text of the query.
        missing: the id of the missing document.
        than: the id of the document above it; None for the best hit.
        k: the number of documents that the search returns, at least 1.
        filter: the filter of the search.

    Raises:
        UnknownDocument: the index has no such document.
        DataError: the retriever is of a kind that cannot be explained, or k is below 1.
        FilterError: see `Index.search`.
    """
    check_integer(k, "k", 1)
    inquiry = inquire(retriever, query, filter)
    explanation = inquiry.explanation(missing)
    if than is None:
        than = next(
            (match.doc_id for match in inquiry.best(max(2, k)) if match.doc_id != missing), None
        )
    other = None if than is None else inquiry.explanation(than)
    rank = inquiry.rank_of(missing)
    losses = (*_filtered(retriever, inquiry, missing), *inquiry.losses(missing, k))
    return WhyNot(
        k,
        explanation,
        other,
        rank,
        None if than is None else inquiry.rank_of(than),
        _verdict(explanation, rank, k, losses),
        () if other is None else differences_of(explanation, other, losses),
        () if other is None else part_differences_of(explanation, other, losses),
        losses,
    )


def _filtered(retriever: Retriever, inquiry: Inquiry, doc_id: str) -> list[Loss]:
    if inquiry.filter is None or doc_id in inquiry.searcher.matching(inquiry.filter):
        return []
    rank = inquire(retriever, inquiry.query).rank_of(doc_id)
    place = "not a hit either" if rank is None else f"at rank {rank:,}"
    detail = f"the filter excludes the document; without the filter it is {place}"
    return [Loss(LossKind.FILTER, "", "", 0.0, detail)]


def _verdict(explanation: Explanation, rank: int | None, k: int, losses: Sequence[Loss]) -> str:
    # A hybrid may find a document that one of its parts missed.
    decisive = {LossKind.FILTER} if explanation.parts else {LossKind.FILTER, LossKind.EFFORT}
    for loss in losses:
        if loss.kind in decisive:
            return loss.detail
    if rank is not None:
        among = "among" if rank <= k else "not among"
        return f"the document is at rank {rank:,}, {among} the best {k:,}"
    if explanation.parts:
        return explanation.notes[0]
    return "the document shares no term with the query"


def differences_of(
    missing: Explanation, than: Explanation, losses: Sequence[Loss] = ()
) -> tuple[Difference, ...]:
    """Return the difference of two scores by term, largest first.

    The terms' differences sum to that of the scores.
    """
    below = {part.term: part for part in missing.contributions}
    above = {part.term: part for part in than.contributions}
    lost = {loss.term: loss.kind for loss in reversed(losses) if loss.term}
    found = [_difference(below.get(term), above.get(term), lost) for term in {**above, **below}]
    return tuple(sorted(found, key=lambda difference: -abs(difference.difference)))


def _difference(
    missing: Contribution | None, than: Contribution | None, lost: Mapping[str, LossKind]
) -> Difference:
    shown = missing or than
    assert shown is not None
    scores = [side.contribution if side else 0.0 for side in (missing, than)]
    return Difference(shown.label, missing, than, scores[1] - scores[0], lost.get(shown.term))


def part_differences_of(
    missing: Explanation, than: Explanation, losses: Sequence[Loss]
) -> tuple[PartDifference, ...]:
    """Return the difference of two scores by part of a hybrid, largest first.

    The parts' differences sum to that of the scores.
    """
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
        for part, above in zip(missing.parts, than.parts, strict=True)
    ]
    return tuple(sorted(found, key=lambda part: -abs(part.difference)))
