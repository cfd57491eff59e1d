"""The passage of a text that shows best what it has to do with a query."""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s")
_LENGTH = 200
# Texts are looked through up to here: a snippet need not come from the tenth megabyte.
_LOOK = 100_000


def make_snippet(text: str, query: str) -> str:
    """At most about 200 characters, cut at words, that have most different words of the query; the beginning if none.

    White space is folded; ``…`` marks a cut.
    """
    text = text.strip()
    wanted = {word.lower() for word in _WORD.findall(query)}
    found = [match for match in _WORD.finditer(text, 0, _LOOK) if match.group().lower() in wanted]
    return _cut(text, *_best_window(found))


def _best_window(found: list[re.Match[str]]) -> tuple[int, int]:
    """Start and end of the window that holds most different words; the first of equals."""
    best, window, first = 0, (0, 0), 0
    inside: Counter[str] = Counter()
    for place, match in enumerate(found):
        inside[match.group().lower()] += 1
        while first < place and match.end() - found[first].start() > _LENGTH * 4 // 5:
            inside[found[first].group().lower()] -= 1
            first += 1
        different = sum(count > 0 for count in inside.values())
        if different > best:
            best, window = different, (found[first].start(), match.end())
    return window


def _cut(text: str, first: int, last: int) -> str:
    """The text around a window, which stays whole unless it is one word that is longer than a snippet."""
    # A few words before the first match, so that it is read in its place.
    start = max(0, min(first - _LENGTH // 5, len(text) - _LENGTH))
    end = min(len(text), start + _LENGTH)
    if start > 0 and (space := _SPACE.search(text, start, first)):
        start = space.end()
    if end < len(text):
        end = max((space.start() for space in _SPACE.finditer(text, max(start, last), end)), default=end)
    folded = " ".join(text[start:end].split())
    return f"{'… ' if start > 0 else ''}{folded}{' …' if end < len(text) else ''}"
