"""Explanations as plain text, in tables aligned by spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lexpand.render.text import table

if TYPE_CHECKING:
    from lexpand.explanation.results import (
        Contribution,
        Difference,
        Explanation,
        Loss,
        Part,
        WhyNot,
    )

# The number of terms in a table, and of listed terms that the document lacks. A line sums up the
# others.
TERMS, _UNMATCHED = 20, 10
_LOSSES = 10

# A smaller loss by quantization, as a share of the score, is not printed.
_QUANTIZATION = 0.001


def explanation_text(explanation: Explanation, terms: int = TERMS) -> str:
    """Return the score, its parts, their strongest terms, and the terms that the document lacks."""
    return "\n".join(
        [f"{_heading(explanation)} for {explanation.query}", *_body(explanation, terms, 0)]
    )


def why_not_text(answer: WhyNot, terms: int = TERMS) -> str:
    """Return the verdict, the losses, and the terms that distinguish the two documents."""
    lines = [
        f"{_heading(answer.missing)} for {answer.missing.query}",
        answer.verdict,
        *answer.missing.notes,
    ]
    for loss in notable_losses(answer)[:_LOSSES]:
        gain = f"{loss.gain:+.3g}" if loss.gain else ""
        named = " ".join(filter(None, (loss.kind, loss.label, gain)))
        lines.append(f"lost to {named}: {loss.detail}")
    if answer.than is None:
        return "\n".join([*lines, "no other document was found"])
    place = "which is not a hit" if answer.than_rank is None else f"at rank {answer.than_rank:,}"
    lines.append(f"compared with {_heading(answer.than)}, {place}")
    lines += _difference_table(answer.differences[:terms])
    for part in answer.parts:
        scores = f"{part.than:.3f} against {part.missing:.3f}"
        terms_follow = "; its terms:" if part.differences else ""
        lines.append(f"{part.kind} {part.difference:+.3f}: {scores}{terms_follow}")
        lines += _difference_table(part.differences[:terms])
    return "\n".join(lines)


def notable_losses(answer: WhyNot) -> list[Loss]:
    """Return the losses to print: not the verdict again, and no negligible quantization."""
    least = _QUANTIZATION * answer.missing.score
    return [
        loss
        for loss in answer.losses
        if loss.detail != answer.verdict and (loss.kind != "quantization" or abs(loss.gain) > least)
    ]


def document_side(part: Contribution) -> str:
    """Return the document's side of a contribution; for BM25 with the frequency of the word."""
    if part.statistics is None:
        return part.document.described()
    times = part.statistics.frequency
    return f"{part.document.described()}, {times:,} time{'' if times == 1 else 's'}"


def part_heading(part: Part) -> str:
    """Return the contribution of a part of a hybrid, with its rank, score, share and weight."""
    place = "not ranked" if part.rank is None else f"rank {part.rank:,}"
    score, share = f"{part.explanation.score:.3f}", f"{part.share:.3f}"
    return (
        f"{part.contribution:.3f}: {place}, score {score}, weight {part.weight:g} x share {share}"
    )


def _heading(explanation: Explanation) -> str:
    named = " ".join(filter(None, (explanation.title, explanation.doc_id)))
    return f"{named} scores {explanation.score:.3f}"


def _body(explanation: Explanation, terms: int, depth: int) -> Iterator[str]:
    margin = "  " * depth
    for part in explanation.parts:
        yield f"{margin}{part.kind} {part_heading(part)}"
        yield from _body(part.explanation, terms, depth + 1)
    shown, rest = explanation.contributions[:terms], explanation.contributions[terms:]
    rows = [
        (f"{part.contribution:.3f}", part.label, part.query.described(), document_side(part))
        for part in shown
    ]
    yield from (
        margin + line for line in table(("contribution", "term", "query", "document"), rows)
    )
    if rest:
        total = sum(part.contribution for part in rest)
        yield f"{margin}{total:.3f} from {len(rest):,} more term{'' if len(rest) == 1 else 's'}"
    if explanation.unmatched:
        names = [
            f"{lacking.label} {lacking.weight:.2f}"
            for lacking in explanation.unmatched[:_UNMATCHED]
        ]
        more = len(explanation.unmatched) - _UNMATCHED
        tail = f" and {more:,} more" if more > 0 else ""
        yield f"{margin}in the query, not in the document: {', '.join(names)}{tail}"
    yield from (margin + note for note in explanation.notes)


def _difference_table(differences: Sequence[Difference]) -> list[str]:
    rows = [(f"{each.difference:+.3f}", each.term, each.reason) for each in differences]
    return table(("difference", "term", "why"), rows)
