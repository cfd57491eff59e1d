"""Self-contained HTML: no script, no font and no image, for light and dark displays.

Callers pass plain text, which is escaped here and nowhere else. Only the results of these functions
are markup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from html import escape
from typing import NamedTuple

Span = tuple[int, int]
"""Characters of a text: the first, and the end (exclusive)."""

_STYLE = """
.lexpand{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif;max-width:60rem;
margin:1rem auto;padding:0 1rem;color:#1b1f24;background:#fff;overflow-wrap:anywhere}
.lexpand h1{font-size:1.2rem}.lexpand h2{font-size:1rem;margin-top:1.5rem}
.lexpand table{border-collapse:collapse;width:100%;color:inherit}
.lexpand th,.lexpand td{text-align:left;padding:.15rem .7rem .15rem 0;background:none;color:inherit}
.lexpand .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.lexpand .bar{width:30%}.lexpand .bar div{height:.7rem;background:#2f7d5b;border-radius:2px}
.lexpand .bar .minus{background:#b3541e}
.lexpand mark{color:inherit;background:rgba(47,158,100,var(--heat));border-radius:2px}
.lexpand .note{color:#5b6670}
.lexpand figure{margin:1rem 0;overflow-x:auto}.lexpand figcaption{color:#5b6670}
.lexpand svg{width:100%;min-width:30rem;height:auto;font:12px system-ui,sans-serif}
.lexpand svg text{fill:currentColor}.lexpand svg .grid{stroke:currentColor;opacity:.15}
.lexpand svg .line{fill:none;stroke-width:2}.lexpand svg .minus{fill:#b3541e}
.lexpand .s0{fill:#2f7d5b;stroke:#2f7d5b}.lexpand .s1{fill:#b3541e;stroke:#b3541e}
.lexpand .s2{fill:#3566b8;stroke:#3566b8}.lexpand .s3{fill:#8a4fa3;stroke:#8a4fa3}
.lexpand .s4{fill:#8a7a1a;stroke:#8a7a1a}.lexpand .s5{fill:#5b6670;stroke:#5b6670}
.lexpand .wide{overflow-x:auto;overflow-wrap:normal}
@media print{.lexpand{max-width:none}.lexpand table,.lexpand figure{break-inside:avoid}}
.lexpand .text{white-space:pre-wrap;border-left:3px solid #d0d7de;padding-left:.8rem}
@media (prefers-color-scheme:dark){
.lexpand{color:#e3e7eb;background:#15191e}.lexpand .note{color:#9aa5b1}
.lexpand .bar div{background:#5cc795}.lexpand .bar .minus{background:#e08a52}
.lexpand .text{border-color:#3a424b}.lexpand figcaption{color:#9aa5b1}
.lexpand svg .minus{fill:#e08a52}
.lexpand .s0{fill:#5cc795;stroke:#5cc795}.lexpand .s1{fill:#e08a52;stroke:#e08a52}
.lexpand .s2{fill:#7fa8ef;stroke:#7fa8ef}.lexpand .s3{fill:#c792dd;stroke:#c792dd}}
"""


class Bar(float):
    """The value of a table cell that is drawn as a bar, from -1 to 1."""


class Mark(NamedTuple):
    """A marked span of a text.

    Attributes:
        heat: how strongly it is marked, >= 0, relative to the other marks.
        title: the text that appears under the pointer.
    """

    heat: float
    title: str


def page(title: str, fragment: str) -> str:
    """Return a whole page with the markup ``fragment`` as its body."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title></head><body>{fragment}</body></html>\n"
    )


def fragment(parts: Iterable[str]) -> str:
    """Join markup into a block with its style sheet, for an existing page such as a notebook."""
    return f'<div class="lexpand"><style>{_STYLE}</style>{"".join(parts)}</div>'


def heading(text: str, level: int = 2) -> str:
    """Return a heading of level 1 or 2."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """Return a paragraph in subdued type."""
    return f'<p class="note">{escape(text)}</p>'


def rule() -> str:
    """Return a horizontal rule."""
    return "<hr>"


def table(
    head: Iterable[str],
    rows: Iterable[Iterable[str | Bar]],
    numbers: Collection[int] = (),
) -> str:
    """Return a table of text and bars; the columns ``numbers`` are aligned to the right."""
    cells = "".join(f"<th{_align(i in numbers)}>{escape(name)}</th>" for i, name in enumerate(head))
    body = "".join(
        f"<tr>{''.join(_cell(cell, i in numbers) for i, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def figure(markup: str, caption: str) -> str:
    """Return markup such as an SVG element with a caption."""
    return f"<figure>{markup}<figcaption>{escape(caption)}</figcaption></figure>"


def marked(text: str, marks: Mapping[Span, Mark], *, start: int = 0, quoted: bool = False) -> str:
    """Return a paragraph with some of its words marked.

    Args:
        text: the text.
        marks: by their spans, which count from the beginning of a longer text. Of marks that
            overlap, the first counts.
        start: where ``text`` begins in that longer text. Marks outside ``text`` are left out.
        quoted: whether the text is set off as a quotation that keeps its line breaks.
    """
    shown = {span: mark for span, mark in marks.items() if span[1] <= start + len(text)}
    hottest = max((mark.heat for mark in shown.values()), default=1.0) or 1.0
    pieces, end = [], start
    for first, last in sorted(shown):
        if first < end:
            continue
        mark = shown[first, last]
        heat = f"{0.15 + 0.6 * mark.heat / hottest:.2f}"
        pieces.append(escape(text[end - start : first - start]))
        pieces.append(
            f'<mark style="--heat:{heat}" title="{escape(mark.title)}">'
            f"{escape(text[first - start : last - start])}</mark>"
        )
        end = last
    body = "".join([*pieces, escape(text[end - start :])])
    return f'<p class="text">{body}</p>' if quoted else f"<p>{body}</p>"


def _align(right: bool) -> str:
    return ' class="n"' if right else ""


def _cell(value: str | Bar, number: bool = False) -> str:
    if isinstance(value, Bar):
        minus = ' class="minus"' if value < 0 else ""
        return f'<td class="bar"><div{minus} style="width:{100 * abs(value):.1f}%"></div></td>'
    return f"<td{_align(number)}>{escape(value)}</td>"
