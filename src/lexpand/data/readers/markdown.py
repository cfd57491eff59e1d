"""Read the title, text and front matter of Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lexpand.data.documents import JsonValue
from lexpand.data.readers.front_matter import split_front_matter

# The info string of a backtick fence must not contain backticks (CommonMark 4.5).
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")


def parse_markdown(markdown: str) -> tuple[str, str, Mapping[str, JsonValue]]:
    """Return the title, text and metadata of a Markdown file.

    The title is that of the front matter, or else the first level 1 heading, which stays in the
    text. Without them it is empty.
    """
    metadata, text = split_front_matter(markdown)
    title = metadata.get("title")
    if isinstance(title, str | int | float) and not isinstance(title, bool) and str(title).strip():
        del metadata["title"]
        return str(title).strip(), text, metadata
    return _first_heading(text), text, metadata


def _first_heading(markdown: str) -> str:
    """Return the first ``# heading`` outside fenced code; empty if there is none."""
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
    """Return the text of a level 1 heading without closing ``#`` (CommonMark 4.2), or empty."""
    if line.startswith(("    ", "\t")) or not line.lstrip(" ").startswith(("# ", "#\t")):
        return ""
    words = line.lstrip(" ")[1:].strip(" \t")
    opened = words.rstrip("#")
    return words if opened and opened[-1] not in " \t" else opened.rstrip(" \t")
