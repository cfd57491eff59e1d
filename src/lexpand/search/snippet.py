"""Snippets: the passage of a text that shows best how it relates to a query."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lexpand.search.plain_text import without_marks

_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s")
_LENGTH = 200
# The matched words fit into this part of a snippet. The rest is their context.
_WINDOW = _LENGTH * 4 // 5
# The number of characters that are searched. A snippet need not come from the tenth megabyte.
_LIMIT = 100_000


class Passage(NamedTuple):
    """A passage of a text.

    Attributes:
        text: the passage with folded white space and ``…`` at a cut.
        marks: the first and end characters of the marked words in ``text``, ascending.
    """

    text: str
    marks: tuple[tuple[int, int], ...]


def make_snippet(text: str, query: str) -> str:
    """Return at most about 200 characters with the most distinct words of the query.

    If the text has none of them, the snippet is the beginning. It is cut at words, ``…`` marks a
    cut, and white space is folded.
    """
    text = text.strip()
    return _cut(text, *(_window_of(text, query) or (0, 0)))


def shown_snippet(text: str, query: str) -> str:
    """Return the `make_snippet` of a Markdown text without its marks."""
    return make_snippet(without_marks(text).text, query)


def shown_passage(text: str, query: str, spans: Sequence[tuple[int, int, float]]) -> Passage:
    """Return the passage of `shown_snippet` with marked words.

    If the text has no word of the query, it is the passage with the most weight.

    Args:
        text: the text, which may be Markdown.
        query: the text of the query.
        spans: see `make_passage`.
    """
    plain = without_marks(text)
    stripped = plain.text.strip()
    before = len(plain.text) - len(plain.text.lstrip())
    moved = [
        (plain.place(first) - before, plain.place(end) - before, weight)
        for first, end, weight in spans
    ]
    return make_passage(
        stripped, [span for span in moved if span[0] >= 0], _window_of(stripped, query)
    )


def _window_of(text: str, query: str) -> tuple[int, int] | None:
    """Return start and end of the window with the most distinct words of the query, or None."""
    words = frozenset(word.lower() for word in _WORD.findall(query))
    if not words:
        return None
    found = [
        match
        for match in _pattern_of(words).finditer(text, 0, _LIMIT)
        if match.group().lower() in words
    ]
    return _best_window(found) if found else None


@lru_cache(maxsize=64)
def _pattern_of(words: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern of whole words in any case. It is 100x faster than comparing every word."""
    if not all(map(str.isascii, words)):
        return _WORD  # `re` ignores case otherwise than `str.lower` outside ASCII
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(words)))})(?!\w)", re.IGNORECASE)


def make_passage(
    text: str, spans: Sequence[tuple[int, int, float]], window: tuple[int, int] | None = None
) -> Passage:
    """Return at most about 200 characters that hold the most weight, cut at words.

    If nothing has a weight, the passage is the beginning.

    Args:
        text: the text.
        spans: words of the text, each with its first character, its end and its weight.
        window: start and end of a window that the passage must hold, instead of the most weight.
    """
    spans = sorted(span for span in spans if span[0] < span[1] <= len(text))
    start, end = _cut_around(text, *(window or _heaviest_window(spans)))
    prefix = "… " if text[:start].strip() else ""
    folded, places = _fold(text, start, end)
    marks = [
        (len(prefix) + places[first - start], len(prefix) + places[last - 1 - start] + 1)
        for first, last, _ in spans
        if start <= first and last <= end
    ]
    return Passage(
        f"{prefix}{folded}{' …' if text[end:].strip() else ''}", tuple(dict.fromkeys(marks))
    )


def _heaviest_window(spans: Sequence[tuple[int, int, float]]) -> tuple[int, int]:
    """Return start and end of the window that holds the most weight; the first of equals."""
    best, window, first, inside = 0.0, (0, 0), 0, 0.0
    for place, (_, end, weight) in enumerate(spans):
        inside += weight
        while first < place and end - spans[first][0] > _WINDOW:
            inside -= spans[first][2]
            first += 1
        if inside > best:
            best, window = inside, (spans[first][0], end)
    return window


def _fold(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """Return a passage with folded white space, and the new position of each of its characters."""
    folded: list[str] = []
    places = []
    for letter in text[start:end]:
        if not letter.isspace():
            folded.append(letter)
        elif folded and folded[-1] != " ":
            folded.append(" ")
        places.append(max(0, len(folded) - 1))
    return "".join(folded).rstrip(), places


def _best_window(found: list[re.Match[str]]) -> tuple[int, int]:
    """Return start and end of the window with the most distinct words; the first of equals."""
    best, window, first, different = 0, (0, 0), 0, 0
    inside: Counter[str] = Counter()
    words = [match.group().lower() for match in found]
    for place, match in enumerate(found):
        different += inside[words[place]] == 0
        inside[words[place]] += 1
        while first < place and match.end() - found[first].start() > _WINDOW:
            inside[words[first]] -= 1
            different -= inside[words[first]] == 0
            first += 1
        if different > best:
            best, window = different, (found[first].start(), match.end())
    return window


def _cut(text: str, first: int, last: int) -> str:
    """Return the text around a window, as it is shown."""
    start, end = _cut_around(text, first, last)
    folded = " ".join(text[start:end].split())
    return f"{'… ' if start > 0 else ''}{folded}{' …' if end < len(text) else ''}"


def _cut_around(text: str, first: int, last: int) -> tuple[int, int]:
    """Return start and end of the text around a window.

    The window stays whole, unless it is a single word longer than a snippet.
    """
    # A few words before the first match give it context.
    start = max(0, min(first - _LENGTH // 5, len(text) - _LENGTH))
    end = min(len(text), start + _LENGTH)
    if start > 0 and (space := _SPACE.search(text, start, first)):
        start = space.end()
    if end < len(text):
        end = max(
            (space.start() for space in _SPACE.finditer(text, max(start, last), end)), default=end
        )
    return start, end
