"""The passage of a text that shows best what it has to do with a query."""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"\w+")
_LENGTH = 200
# Texts are looked through up to here: a snippet need not come from the tenth megabyte.
_LOOK = 100_000


def make_snippet(text: str, query: str) -> str:
    """At most about 200 characters, cut at words, that have most different words of the query; the beginning if none.

    White space is folded; ``…`` marks a cut.
    """
    wanted = {word.lower() for word in _WORD.findall(query)}
    found = [match for match in _WORD.finditer(text, 0, _LOOK) if match.group().lower() in wanted]
    start = _best_start(found)
    # A few words before the first match, so that it is read in its place.
    start = max(0, start - _LENGTH // 5) if start + _LENGTH > len(text) or start > _LENGTH // 5 else 0
    return _cut(text, start)


def _best_start(found: list[re.Match[str]]) -> int:
    """Where the window begins that holds most different words; the first of equals."""
    best, best_start, first = 0, 0, 0
    inside: Counter[str] = Counter()
    for match in found:
        inside[match.group().lower()] += 1
        while match.end() - found[first].start() > _LENGTH * 4 // 5:
            inside[found[first].group().lower()] -= 1
            first += 1
        different = sum(count > 0 for count in inside.values())
        if different > best:
            best, best_start = different, found[first].start()
    return best_start


def _cut(text: str, start: int) -> str:
    end = start + _LENGTH
    passage = text[start:end]
    if start > 0:
        passage = passage.partition(" ")[2] or passage
    if end < len(text):
        passage = passage.rpartition(" ")[0] or passage
    folded = " ".join(passage.split())
    return f"{'… ' if start > 0 else ''}{folded}{' …' if end < len(text) else ''}"
