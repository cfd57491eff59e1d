"""Explanations as HTML that needs nothing else: no script, no font, no image, in light and in dark.

Whatever came from a text is escaped here and nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from lexpand.explanation.explanation import Contribution, Explanation, Origin, Part, Side, Span, weights_by_span

if TYPE_CHECKING:
    from lexpand.explanation.differences import Difference
    from lexpand.explanation.missing import WhyNot

# Characters of a document that are shown; longer ones are cut, and the page says so.
_SHOWN = 20_000

# Terms of a table; the rest is one row.
_TERMS = 50

_STYLE = """
.lexpand{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;
color:#1b1f24;background:#fff;overflow-wrap:anywhere}
.lexpand h1{font-size:1.2rem}.lexpand h2{font-size:1rem;margin-top:1.5rem}
.lexpand table{border-collapse:collapse;width:100%;color:inherit}
.lexpand th,.lexpand td{text-align:left;padding:.15rem .7rem .15rem 0;background:none;color:inherit}
.lexpand .n{text-align:right;font-variant-numeric:tabular-nums}
.lexpand .bar{width:30%}.lexpand .bar div{height:.7rem;background:#2f7d5b;border-radius:2px}
.lexpand .bar .minus{background:#b3541e}
.lexpand mark{color:inherit;background:rgba(47,158,100,var(--heat));border-radius:2px}
.lexpand .note{color:#5b6670}.lexpand .text{white-space:pre-wrap;border-left:3px solid #d0d7de;padding-left:.8rem}
@media (prefers-color-scheme:dark){.lexpand{color:#e3e7eb;background:#15191e}.lexpand .note{color:#9aa5b1}
.lexpand .bar div{background:#5cc795}.lexpand .bar .minus{background:#e08a52}.lexpand .text{border-color:#3a424b}}
"""


def explanation_page(explanation: Explanation) -> str:
    """A whole page."""
    return _page(explanation.title or explanation.doc_id, explanation_fragment(explanation))


def why_not_page(answer: WhyNot) -> str:
    """A whole page."""
    return _page(f"why not {answer.missing.doc_id}", why_not_fragment(answer))


def explanation_fragment(explanation: Explanation) -> str:
    """The same for a page that is there already, such as a notebook's."""
    return f'<div class="lexpand"><style>{_STYLE}</style>{_explanation(explanation)}</div>'


def why_not_fragment(answer: WhyNot) -> str:
    """The same for a page that is there already."""
    body = [f"<h1>Why not {escape(answer.missing.doc_id)}?</h1><p>{escape(answer.verdict)}</p>"]
    if answer.losses:
        rows = [
            (loss.kind, loss.label, f"{loss.gain:+.3g}" if loss.gain else "", loss.detail) for loss in answer.losses
        ]
        body.append(f"<h2>What it lost</h2>{_table(('lost to', 'term', 'gain', 'detail'), rows)}")
    if answer.than is not None:
        rank = "not found" if answer.than_rank is None else f"rank {answer.than_rank:,}"
        body.append(f"<h2>What {escape(answer.than.doc_id)} ({rank}) has over it</h2>")
        body.append(_differences(answer.differences) if answer.differences else "")
        body += [
            f"<h2>{part.kind}: {part.difference:+.3f}</h2>{_differences(part.differences)}" for part in answer.parts
        ]
    both = [part for part in (answer.missing, answer.than) if part is not None]
    return (
        f'<div class="lexpand"><style>{_STYLE}</style>{"".join(body)}'
        f"{''.join(f'<hr>{_explanation(part)}' for part in both)}</div>"
    )


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>{escape(title)}</title></head><body>{body}</body></html>\n'
    )


def _explanation(explanation: Explanation) -> str:
    """Heading, question, contributions and text."""
    named = " ".join(filter(None, (explanation.title, explanation.doc_id)))
    body = [f"<h1>{escape(named)}: {explanation.score:.3f}</h1>"]
    body.append(f"<p>{_marked(explanation, 'query', explanation.query, 0)}</p>")
    body += [f'<p class="note">{escape(note)}</p>' for note in explanation.notes]
    body.append(_parts(explanation.parts))
    if explanation.contributions:
        body.append(_contributions(explanation.contributions))
    if explanation.unmatched:
        names = ", ".join(f"{lacking.label} {lacking.weight:.2f}" for lacking in explanation.unmatched[:_TERMS])
        body.append(f'<p class="note">in the query, not in the document: {escape(names)}</p>')
    first, end = explanation.span
    shown = explanation.text[first : min(end, first + _SHOWN)]
    body.append(f'<p class="text">{_marked(explanation, "document", shown, first)}</p>')
    if end - first > _SHOWN:
        body.append(f'<p class="note">cut here: the text has {end - first:,} characters</p>')
    return "".join(body)


def _parts(parts: Sequence[Part]) -> str:
    body = []
    for part in parts:
        place = "not ranked" if part.rank is None else f"rank {part.rank:,}"
        body.append(
            f"<h2>{part.kind}: {part.contribution:.3f}</h2><p>{place}, score {part.explanation.score:.3f}, "
            f"share {part.share:.3f} times weight {part.weight:g}</p>"
        )
        body += [f'<p class="note">{escape(note)}</p>' for note in part.explanation.notes]
        body.append(_parts(part.explanation.parts))
        body.append(_contributions(part.explanation.contributions))
    return "".join(body)


def _contributions(parts: Sequence[Contribution]) -> str:
    largest = max((part.contribution for part in parts), default=1.0)
    rows: list[tuple[str | _Bar, ...]] = [
        (f"{part.contribution:.3f}", _Bar(part.contribution / largest), part.label, *map(describe, sides))
        for part in parts[:_TERMS]
        for sides in [(part.query, part.document)]
    ]
    if rest := parts[_TERMS:]:
        total = sum(part.contribution for part in rest)
        rows.append((f"{total:.3f}", _Bar(0.0), f"{len(rest):,} more", "", ""))
    return _table(("contribution", "", "term", "query", "document"), rows)


def _differences(differences: Sequence[Difference]) -> str:
    largest = max((abs(part.difference) for part in differences), default=1.0) or 1.0
    rows = [
        (f"{part.difference:+.3f}", _Bar(part.difference / largest), part.term, part.reason)
        for part in differences[:_TERMS]
    ]
    return _table(("difference", "", "term", "why"), rows)


def describe(side: Side) -> str:
    """``0.53 input``, or ``0.21 from 'crash'`` for an expansion term."""
    if side.origin is Origin.EXPANSION:
        return f"{side.weight:.2f} from {'the whole text' if side.word is None else repr(side.word)}"
    said = {
        Origin.TEXT: "input",
        Origin.FEEDBACK: "feedback",
        Origin.RULE: "by a rule",
        Origin.UNKNOWN: "word unknown",
    }
    return f"{side.weight:.2f} {said[side.origin]}"


class _Bar(float):
    """A cell that is drawn: -1 to 1."""


def _table(head: Iterable[str], rows: Iterable[Iterable[str | _Bar]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: str | _Bar) -> str:
    if isinstance(value, _Bar):
        minus = ' class="minus"' if value < 0 else ""
        return f'<td class="bar"><div{minus} style="width:{100 * abs(value):.1f}%"></div></td>'
    return f"<td>{escape(value)}</td>"


def _marked(explanation: Explanation, side: str, text: str, start: int) -> str:
    """A text, which begins at ``start`` of the whole one, with its words marked by what they brought."""
    heat = {span: weight for span, weight in weights_by_span(explanation, side).items() if span[1] <= start + len(text)}
    names = _names(explanation, side)
    hottest, pieces, end = max(heat.values(), default=1.0) or 1.0, [], start
    for first, last in sorted(heat):
        if first < end:
            continue  # inside a word that is marked already, or before what is shown
        word = escape(text[first - start : last - start])
        title = escape(", ".join(names[first, last]))
        share = 0.15 + 0.6 * heat[first, last] / hottest
        pieces.append(escape(text[end - start : first - start]))
        pieces.append(f'<mark style="--heat:{share:.2f}" title="{title}">{word}</mark>')
        end = last
    return "".join([*pieces, escape(text[end - start :])])


def _names(explanation: Explanation, side: str) -> dict[Span, list[str]]:
    """The terms that each word gave, with their contributions."""
    names: defaultdict[Span, list[str]] = defaultdict(list)
    for part in explanation.contributions:
        for span in getattr(part, side).spans:
            names[span].append(f"{part.label} {part.contribution:.2f}")
    for inner in explanation.parts:
        for span, found in _names(inner.explanation, side).items():
            names[span] += [f"{inner.kind}: {name}" for name in found]
    return names
