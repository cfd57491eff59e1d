"""Explanations as HTML."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from lexpand.explanation.plain import notable_losses
from lexpand.render import html
from lexpand.render.html import Bar, Mark, Span

if TYPE_CHECKING:
    from lexpand.explanation.results import Contribution, Difference, Explanation, Part, WhyNot

# Characters of a document that are shown. A longer one is cut, and the page says so.
_SHOWN = 20_000

# Terms in a table. One more row sums up the others.
_TERMS = 50


def explanation_page(explanation: Explanation) -> str:
    """Return a whole page."""
    return html.page(explanation.title or explanation.doc_id, explanation_fragment(explanation))


def why_not_page(answer: WhyNot) -> str:
    """Return a whole page."""
    return html.page(f"why not {answer.missing.doc_id}", why_not_fragment(answer))


def explanation_fragment(explanation: Explanation) -> str:
    """Return a block for a page that exists, such as a notebook."""
    return html.fragment(_explanation(explanation))


def why_not_fragment(answer: WhyNot) -> str:
    """Return a block for a page that exists, such as a notebook."""
    body = [html.heading(f"Why not {answer.missing.doc_id}?", 1), html.paragraph(answer.verdict)]
    if losses := notable_losses(answer):
        rows = [
            (loss.kind, loss.label, f"{loss.gain:+.3g}" if loss.gain else "", loss.detail)
            for loss in losses
        ]
        body += [
            html.heading("What it lost"),
            html.table(("lost to", "term", "gain", "detail"), rows),
        ]
    if answer.than is not None:
        rank = "not found" if answer.than_rank is None else f"rank {answer.than_rank:,}"
        body.append(html.heading(f"What {answer.than.doc_id} ({rank}) has over it"))
        if answer.differences:
            body.append(_differences(answer.differences))
        for part in answer.parts:
            body.append(html.heading(f"{part.kind}: {part.difference:+.3f}"))
            if part.differences:
                body.append(_differences(part.differences))
    for explanation in (answer.missing, answer.than):
        if explanation is not None:
            body += [html.rule(), *_explanation(explanation)]
    return html.fragment(body)


def _explanation(explanation: Explanation) -> list[str]:
    """Heading, query, contributions and text."""
    named = " ".join(filter(None, (explanation.title, explanation.doc_id)))
    body = [html.heading(f"{named}: {explanation.score:.3f}", 1)]
    body.append(html.marked(explanation.query, _marks(explanation, "query")))
    body += map(html.note, explanation.notes)
    body += _parts(explanation.parts)
    if explanation.contributions:
        body.append(_contributions(explanation.contributions))
    if explanation.unmatched:
        names = ", ".join(
            f"{lacking.label} {lacking.weight:.2f}" for lacking in explanation.unmatched[:_TERMS]
        )
        body.append(html.note(f"in the query, not in the document: {names}"))
    first, end = explanation.span
    shown = explanation.text[first : min(end, first + _SHOWN)]
    body.append(html.marked(shown, _marks(explanation, "document"), start=first, quoted=True))
    if end - first > _SHOWN:
        body.append(html.note(f"cut here: the text has {end - first:,} characters"))
    return body


def _parts(parts: Sequence[Part]) -> list[str]:
    body = []
    for part in parts:
        place = "not ranked" if part.rank is None else f"rank {part.rank:,}"
        share = f"weight {part.weight:g} x share {part.share:.3f}"
        body.append(html.heading(f"{part.kind}: {part.contribution:.3f}"))
        body.append(html.paragraph(f"{place}, score {part.explanation.score:.3f}, {share}"))
        body += map(html.note, part.explanation.notes)
        body += _parts(part.explanation.parts)
        if part.explanation.contributions:
            body.append(_contributions(part.explanation.contributions))
    return body


def _contributions(parts: Sequence[Contribution]) -> str:
    largest = max((part.contribution for part in parts), default=1.0)
    rows: list[tuple[str | Bar, ...]] = [
        (
            f"{part.contribution:.3f}",
            Bar(part.contribution / largest),
            part.label,
            part.query.described(),
            part.document.described(),
        )
        for part in parts[:_TERMS]
    ]
    if rest := parts[_TERMS:]:
        total = sum(part.contribution for part in rest)
        rows.append((f"{total:.3f}", Bar(0.0), f"{len(rest):,} more", "", ""))
    return html.table(("contribution", "", "term", "query", "document"), rows)


def _differences(differences: Sequence[Difference]) -> str:
    largest = max((abs(part.difference) for part in differences), default=1.0) or 1.0
    rows = [
        (f"{part.difference:+.3f}", Bar(part.difference / largest), part.term, part.reason)
        for part in differences[:_TERMS]
    ]
    return html.table(("difference", "", "term", "why"), rows)


def _marks(explanation: Explanation, side: Literal["query", "document"]) -> dict[Span, Mark]:
    """Mark each word by what it contributed; its title lists the terms that it produced."""
    names = _names(explanation, side)
    weights = explanation.word_weights(side)
    return {span: Mark(weight, ", ".join(names[span])) for span, weight in weights.items()}


def _names(explanation: Explanation, side: str) -> dict[Span, list[str]]:
    """The terms that each word produced, with their contributions."""
    names: defaultdict[Span, list[str]] = defaultdict(list)
    for part in explanation.contributions:
        for span in getattr(part, side).spans:
            names[span].append(f"{part.label} {part.contribution:.2f}")
    for inner in explanation.parts:
        for span, found in _names(inner.explanation, side).items():
            names[span] += [f"{inner.kind}: {name}" for name in found]
    return names
