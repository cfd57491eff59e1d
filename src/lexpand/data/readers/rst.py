"""Find the title of reStructuredText."""

from __future__ import annotations

import re

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+")


def rst_title(text: str) -> str:
    """Return the first section title, a line underlined with punctuation; empty without one.

    The underline must be at least as long as the title, as docutils requires. A title that also has
    an overline may be indented.
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
