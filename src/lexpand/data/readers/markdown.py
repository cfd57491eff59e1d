"""Markdown: its title, and the text behind its front matter."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lexpand.data.documents import JsonValue
from lexpand.data.readers.front_matter import split_front_matter

# A fence of backticks has none in its info string (CommonMark 4.5).
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")


def parse_markdown(markdown: str) -> tuple[str, str, Mapping[str, JsonValue]]:
    """Title, text and metadata of a Markdown file.

    The title is that of the front matter, or else the first heading of level 1, which stays in the
    text; it is empty if there is neither.
    """
    metadata, text = split_front_matter(markdown)
    title = metadata.get("title")
    if isinstance(title, str | int | float) and not isinstance(title, bool) and str(title).strip():
        del metadata["title"]
        return str(title).strip(), text, metadata
    return _first_heading(text), text, metadata


def _first_heading(markdown: str) -> str:
    """The first ``# heading`` outside fenced code, where ``#`` starts a comment; empty if none."""
    fence = ""
    for line in markdown.splitlines():
        mark = _FENCE.match(line)
        if fence:
            closes = (
                mark
                and mark[1][0] == fence[0]
                and len(mark[1]) >= len(fence)
                and not mark[2].strip()
            )
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        elif heading := _heading(line):
            return heading
    return ""


def _heading(line: str) -> str:
    """The words of a level 1 heading (CommonMark 4.2: with a closing ``#`` or not), else nothing."""
    if line.startswith(("    ", "\t")) or not line.lstrip(" ").startswith(("# ", "#\t")):
        return ""
    words = line.lstrip(" ")[1:].strip(" \t")
    opened = words.rstrip("#")
    return words if opened and opened[-1] not in " \t" else opened.rstrip(" \t")
