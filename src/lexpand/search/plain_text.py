"""Markdown as plain text, for display: without its marks.

The marks are those of headings, emphasis, links, code and tables.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

# The number of characters whose marks are removed; `snippet` has the same limit.
_LIMIT = 100_000

_MARKS = re.compile(r"[#*_`~|\[>=-]")
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[^`\n]*")
_CODE = re.compile(r"(?P<a>(?<!`)(`+)(?!`))[^`\n]+(?P<b>(?<!`)\2(?!`))")
# A line of marks alone: the underline of a heading, a table separator or a horizontal rule.
_RULE = re.compile(r"(?=.*[-=*_]{3}|[ \t]*([-*_])([ \t]+\1){2})[ \t|:=*_-]+")
_LINE_MARKS = re.compile(r"(?P<a>[ \t]{0,3}(?:>[ \t]?)*(?:#{1,6}[ \t]+)?)")
_CLOSING = re.compile(r"(?P<a>[ \t]+#+[ \t]*)$")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*")
_INLINE = (
    re.compile(
        r"(?P<a>!?\[)[^\[\]\n]*"
        r"(?P<b>\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"\n]*\")?\)|\]\[[^\[\]\n]*\])"
    ),
    re.compile(r"(?P<a>(?<![\w*\\])(\*{1,3})(?=[^\s*]))[^*\n]*(?P<b>(?<=[^\s*])\2(?![\w*]))"),
    re.compile(r"(?P<a>(?<![\w\\])_(?=[^\s_]))[^_\n]*(?P<b>(?<=[^\s_])_(?!\w))"),
    re.compile(r"(?P<a>(?<![\w\\])__(?=[^\s_]))[^_\n]*\s[^_\n]*(?P<b>(?<=[^\s_])__(?!\w))"),
    re.compile(r"(?P<a>~~(?=[^\s~]))[^~\n]*(?P<b>(?<=[^\s~])~~)"),
)


class PlainText(NamedTuple):
    """A text without its Markdown marks.

    Attributes:
        text: the remaining text.
        removed: the removed spans, as first and end characters of the original text, ascending.
    """

    text: str
    removed: tuple[tuple[int, int], ...] = ()

    def place(self, place: int) -> int:
        """Return the position in ``text`` of a character of the original text.

        For a removed character, it is the position of the next remaining one.
        """
        before = bisect_right(self.removed, (place, place))
        shift = sum(end - first for first, end in self.removed[:before])
        if before and place < self.removed[before - 1][1]:
            shift -= self.removed[before - 1][1] - place
        return place - shift


def without_marks(text: str) -> PlainText:
    """Return a Markdown text without its marks; the bars between table cells become spaces."""
    head = text[:_LIMIT]
    if not _MARKS.search(head):
        return PlainText(text)
    bars, removed = set[int](), list[tuple[int, int]]()
    for first, end in _edits(head):
        if end - first == 1 and head[first] == "|":
            bars.add(first)
        elif first < end:
            removed.append((first, end))
    merged = _merged(removed)
    letters = (
        "".join(" " if place in bars else letter for place, letter in enumerate(head))
        if bars
        else head
    )
    pieces, last = [], 0
    for first, end in merged:
        pieces.append(letters[last:first])
        last = end
    return PlainText("".join([*pieces, letters[last:], text[_LIMIT:]]), tuple(merged))


def _edits(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans to remove. A single ``|`` becomes a space."""
    fence, start = "", 0
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        found = _FENCE.fullmatch(body)
        if found and (not fence or found[1].startswith(fence)):
            fence = "" if fence else found[1]
            yield start, start + len(body)
        elif not fence:
            for first, end in _edits_of_line(body):
                yield start + first, start + end
        start += len(line)


def _edits_of_line(line: str) -> Iterator[tuple[int, int]]:
    if not _MARKS.search(line):
        return
    if _RULE.fullmatch(line):
        yield 0, len(line)
        return
    if found := _LINE_MARKS.match(line):
        if found[0].strip():
            yield found.span("a")
        if found[0].rstrip().endswith("#") and (closing := _CLOSING.search(line, found.end())):
            yield closing.span("a")
    code = [found.span() for found in _CODE.finditer(line)]
    for found in _CODE.finditer(line):
        yield from (found.span("a"), found.span("b"))
    for pattern in _INLINE:
        for found in pattern.finditer(line):
            yield from (
                span for span in (found.span("a"), found.span("b")) if not _within(span, code)
            )
    if _ROW.fullmatch(line):
        bars = ((place, place + 1) for place, letter in enumerate(line) if letter == "|")
        yield from (span for span in bars if not _within(span, code))


def _within(span: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    return any(first <= span[0] and span[1] <= end for first, end in spans)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    return merged
