"""Reports: headings, paragraphs, tables and plots that become HTML, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lexpand.render import html
from lexpand.render.html import Bar
from lexpand.render.plots import Plot

Cell = str | Bar


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a part of the report."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; a note is set in subdued type."""

    text: str
    note: bool = False


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table.

    Attributes:
        head: the names of the columns.
        rows: texts and bars. Markdown leaves out columns of bars.
        numbers: the columns with numbers, aligned to the right.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()


Block = Heading | Paragraph | TableOf | Plot


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes:
        title: the title.
        blocks: its content in order.
        data: the same facts as JSON.
    """

    title: str
    blocks: Sequence[Block]
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_html(self) -> str:
        """Return a self-contained page, for light and dark displays, phones and printers."""
        return html.page(self.title, self.to_fragment())

    def to_fragment(self) -> str:
        """Return a block for an existing page, such as a notebook."""
        return html.fragment([html.heading(self.title, 1), *map(_html, self.blocks)])

    def to_markdown(self) -> str:
        """Return the report as Markdown. Plots become tables of their values."""
        return "\n\n".join([f"# {_escape(self.title)}", *map(_markdown, self.blocks)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        return {"title": self.title, **self.data}

    def _repr_html_(self) -> str:
        return self.to_fragment()


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return html.heading(block.text)
    if isinstance(block, Paragraph):
        return html.note(block.text) if block.note else html.paragraph(block.text)
    if isinstance(block, TableOf):
        return html.table(block.head, block.rows, block.numbers)
    return html.figure(block.to_svg(), block.title)


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {_escape(block.text)}"
    if isinstance(block, Paragraph):
        return _escape(block.text)
    if isinstance(block, TableOf):
        return _table(block)
    return f"**{_escape(block.title)}**\n\n{_table(TableOf(*block.to_table()))}"


def _table(table: TableOf) -> str:
    bars = {i for row in table.rows for i, cell in enumerate(row) if isinstance(cell, Bar)}
    kept = [i for i in range(len(table.head)) if i not in bars]
    lines = [
        [table.head[i] for i in kept],
        ["---:" if i in table.numbers else "---" for i in kept],
        *([str(row[i]) for i in kept] for row in table.rows),
    ]
    head, rule, *rows = lines
    shown = [map(_escape, head), rule, *(map(_escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in shown)


def _escape(text: str) -> str:
    """Escape what Markdown would read as markup, and put the text on one line."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
