"""Extract the visible text of HTML with the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "iframe"})
# fmt: off
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details",
    "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
    "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "nav", "ol", "option", "p",
    "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})
# fmt: on
_SPACE = re.compile(r"[ \t\r\n\f]+")


def parse_html(html: str) -> tuple[str, str]:
    """Return the title and the text of a page.

    The title is the first nonempty ``<title>``, or else the first nonempty ``<h1>``, which stays in
    the text. Without them it is empty. Scripts, styles and other invisible parts are left out. A
    block element starts and ends a line. White space is kept only in ``<pre>``.
    """
    page = _Page()
    page.feed(html)
    page.close()
    lines = "".join(page.pieces).split("\n")
    text = "\n".join(line.rstrip() for line in lines if line.strip())
    titles = (
        _SPACE.sub(" ", title).strip() for title in [*page.titles["title"], *page.titles["h1"]]
    )
    return next(filter(None, titles), ""), text


class _Page(HTMLParser):
    """A parser that collects the text and the titles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.titles: dict[str, list[str]] = {"title": [], "h1": []}
        self._skipped, self._depth = "", 0
        self._inside: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a skipped element or a line."""
        if self._skipped:
            self._depth += tag == self._skipped
        elif tag in _SKIPPED:
            self._skipped, self._depth = tag, 1
        else:
            self._mark(tag, True)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a line; ``<p/>`` is ``<p>`` in HTML, but ``<svg/>`` is empty and hides nothing."""
        if not self._skipped and tag not in _SKIPPED:
            self._mark(tag, True)

    def handle_endtag(self, tag: str) -> None:
        """End a skipped element or a line."""
        if self._skipped:
            self._depth -= tag == self._skipped
            self._skipped = self._skipped if self._depth else ""
        else:
            self._mark(tag, False)

    def handle_data(self, data: str) -> None:
        """Add visible text."""
        if self._skipped:
            return
        for tag in self._inside & self.titles.keys():
            self.titles[tag][-1] += data
        if "title" not in self._inside:
            self._append(data if "pre" in self._inside else _SPACE.sub(" ", data))

    def _mark(self, tag: str, begins: bool) -> None:
        if tag in ("title", "h1", "pre"):
            (self._inside.add if begins else self._inside.discard)(tag)
        if begins and tag in self.titles:
            self.titles[tag].append("")
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def _append(self, piece: str) -> None:
        """Add a piece of text, with at most one space between words."""
        if piece.startswith(" ") and (not self.pieces or self.pieces[-1].endswith((" ", "\n"))):
            piece = piece if "pre" in self._inside else piece[1:]
        if piece:
            self.pieces.append(piece)
