"""Explanations as lines and tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from lexpand.cli.output import Part, count, line, show, show_table
from lexpand.explanation import Contribution, Difference, Explanation, Origin, WhyNot
from lexpand.explanation import Part as HybridPart
from lexpand.explanation.plain import document_side, notable_losses, part_heading
from lexpand.search.snippet import Passage

_LOSSES = 10


def print_explanation(explanation: Explanation, terms: int) -> None:
    """Print the largest contributions, their sum, and query terms that the document lacks."""
    show(*_heading(explanation), " for ", (explanation.query, "bold"))
    _print_parts(explanation.parts, terms, 0)
    _print_terms(explanation, terms)


def print_why_not(answer: WhyNot, terms: int) -> None:
    """Print the verdict, the losses, and the terms that put the other document above."""
    show(*_heading(answer.missing), " for ", (answer.missing.query, "bold"))
    show(answer.verdict)
    for note in answer.missing.notes:
        show((note, "dim"))
    losses = notable_losses(answer)
    for loss in losses[:_LOSSES]:
        named = f" {loss.label}" if loss.label else ""
        gain = f" {loss.gain:+.3g}" if loss.gain else ""
        show("lost to ", (loss.kind, "bold"), named, gain, (f": {loss.detail}", "dim"))
    if rest := losses[_LOSSES:]:
        show((f"and {sum(loss.gain for loss in rest):+.3g} by {len(rest):,} more", "dim"))
    if answer.than is None:
        show("no other document was found")
        return
    place = "which is no hit" if answer.than_rank is None else f"at rank {answer.than_rank:,}"
    show("compared with ", *_heading(answer.than), f", {place}")
    if answer.differences:
        show_table(_difference_table(answer.differences[:terms]))
    for part in answer.parts:
        scores = f" {part.difference:+.3f}: {part.than:.3f} against {part.missing:.3f}"
        show((part.kind, "bold"), f"{scores}{'; its terms:' if part.differences else ''}")
        if part.differences:
            show_table(_difference_table(part.differences[:terms]))


def shortly(explanation: Explanation, terms: int) -> str:
    """Return the strongest terms in a line, each expansion term with the words behind it."""
    if explanation.parts:
        return "; ".join(
            f"{part.kind} {part.contribution:.2f}: {shortly(part.explanation, terms) or 'nothing'}"
            for part in explanation.parts
        )
    more = len(explanation.contributions) - terms
    shown = ", ".join(map(_short, explanation.contributions[:terms]))
    return f"{shown} and {more} more" if more > 0 else shown


def marked(passage: Passage) -> list[Part]:
    """Return a passage as pieces of a line, with its marks in bold."""
    pieces: list[Part] = []
    end = 0
    for first, last in passage.marks:
        pieces += [passage.text[end:first], (passage.text[max(first, end) : last], "bold")]
        end = max(end, last)
    return [*pieces, passage.text[end:]]


def _short(part: Contribution) -> str:
    words = [
        side.word or "the whole text"
        for side in (part.query, part.document)
        if side.origin is Origin.EXPANSION
    ]
    origin = f" (from {' and '.join(dict.fromkeys(words))})" if words else ""
    return f"{part.label} {part.contribution:.2f}{origin}"


def _heading(explanation: Explanation) -> tuple[Part, ...]:
    return (
        (explanation.title or explanation.doc_id, "bold"),
        " ",
        (explanation.doc_id, "dim"),
        " scores ",
        (f"{explanation.score:.3f}", "cyan"),
    )


def _print_parts(parts: Sequence[HybridPart], terms: int, indent: int) -> None:
    for part in parts:
        show((part.kind, "bold"), f" {part_heading(part)}", indent=indent)
        _print_parts(part.explanation.parts, terms, indent + 2)
        _print_terms(part.explanation, terms)


def _print_terms(explanation: Explanation, terms: int) -> None:
    shown, rest = explanation.contributions[:terms], explanation.contributions[terms:]
    if shown:
        show_table(_table(shown))
    if rest:
        show(f"{sum(part.contribution for part in rest):.3f} from {count(len(rest), 'more term')}")
    if explanation.unmatched:
        names = ", ".join(
            f"{lacking.label} {lacking.weight:.2f}" for lacking in explanation.unmatched[:10]
        )
        more = len(explanation.unmatched) - 10
        tail = f" and {more} more" if more > 0 else ""
        show((f"in the query, not in the document: {names}{tail}", "dim"))
    for note in explanation.notes:
        show((note, "dim"))


def _table(parts: Sequence[Contribution]) -> Table:
    table = Table(
        "contribution", "term", "query", "document", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for part in parts:
        cells = (
            f"{part.contribution:.3f}",
            part.label,
            part.query.described(),
            document_side(part),
        )
        table.add_row(*map(line, cells))
    return table


def _difference_table(differences: Sequence[Difference]) -> Table:
    table = Table("difference", "term", "why", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for difference in differences:
        table.add_row(
            *map(line, (f"{difference.difference:+.3f}", difference.term, difference.reason))
        )
    return table
