"""reStructuredText: the title of a file."""

from __future__ import annotations

import re

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+")


def rst_title(text: str) -> str:
    """The first section title: a line with a line of punctuation under it; empty if there is none.

    The line under it must be at least as long as the title, as docutils requires. A title that has
    a line above as well may be indented.
    """
    above, title = "", ""
    for line in text.splitlines():
        stripped = line.rstrip()
        if _is_title(above, title, stripped):
            return title.strip()
        above, title = title, stripped
    return ""


def _is_title(above: str, title: str, under: str) -> bool:
    if not title or not _ADORNMENT.fullmatch(under) or len(under) < len(title.strip()):
        return False
    if _ADORNMENT.fullmatch(title) or title.startswith(".. "):
        return False
    overlined = above == under
    return overlined if title[0].isspace() else not above or overlined
