"""The passage of a text that shows best what it has to do with a query."""

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
# What is looked for fits into this part of a snippet, the rest is around it.
_WINDOW = _LENGTH * 4 // 5
# Texts are looked through up to here: a snippet need not come from the tenth megabyte.
_LOOK = 100_000


class Passage(NamedTuple):
    """A passage of a text.

    Attributes:
        text: what is shown: white space folded, ``…`` at a cut.
        marks: the characters of ``text`` that are to be seen first, ascending: first and end.
    """

    text: str
    marks: tuple[tuple[int, int], ...]


def make_snippet(text: str, query: str) -> str:
    """At most about 200 characters, cut at words, that have most different words of the query; the beginning if none.

    White space is folded; ``…`` marks a cut.
    """
    text = text.strip()
    return _cut(text, *(_window_of(text, query) or (0, 0)))


def shown_snippet(text: str, query: str) -> str:
    """`make_snippet` of a text of Markdown as it is read, without its marks."""
    return make_snippet(without_marks(text).text, query)


def shown_passage(text: str, query: str, spans: Sequence[tuple[int, int, float]]) -> Passage:
    """The passage of `shown_snippet` with words of it marked; of the most weight where it has no word of the query.

    Args:
        text: the text, which may be Markdown.
        query: the question.
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
    """Start and end of the window that has most different words of the query; None where there is none."""
    wanted = frozenset(word.lower() for word in _WORD.findall(query))
    if not wanted:
        return None
    found = [
        match
        for match in _pattern_of(wanted).finditer(text, 0, _LOOK)
        if match.group().lower() in wanted
    ]
    return _best_window(found) if found else None


@lru_cache(maxsize=64)
def _pattern_of(words: frozenset[str]) -> re.Pattern[str]:
    """Whole words, in any case; a hundred times sooner than to look at every word of a text."""
    if not all(map(str.isascii, words)):
        return _WORD  # other alphabets have letters whose lower case is none of `re`'s
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(words)))})(?!\w)", re.IGNORECASE)


def make_passage(
    text: str, spans: Sequence[tuple[int, int, float]], window: tuple[int, int] | None = None
) -> Passage:
    """At most about 200 characters, cut at words, that hold most weight; the beginning where nothing has any.

    Args:
        text: the text.
        spans: words of it, each with its first character, the one behind its last, and its weight.
        window: what the passage must have instead of most weight: first and end.
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
    """Start and end of the window that holds most weight; the first of equals."""
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
    """A passage with its white space folded, and where each of its characters went."""
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
    """Start and end of the window that holds most different words; the first of equals."""
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
    """The text around a window, as it is shown."""
    start, end = _cut_around(text, first, last)
    folded = " ".join(text[start:end].split())
    return f"{'… ' if start > 0 else ''}{folded}{' …' if end < len(text) else ''}"


def _cut_around(text: str, first: int, last: int) -> tuple[int, int]:
    """Characters around a window, which stays whole unless it is one word that is longer than a snippet."""
    # A few words before the first match, so that it is read in its place.
    start = max(0, min(first - _LENGTH // 5, len(text) - _LENGTH))
    end = min(len(text), start + _LENGTH)
    if start > 0 and (space := _SPACE.search(text, start, first)):
        start = space.end()
    if end < len(text):
        end = max(
            (space.start() for space in _SPACE.finditer(text, max(start, last), end)), default=end
        )
    return start, end
