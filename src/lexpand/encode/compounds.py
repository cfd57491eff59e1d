"""Identifiers and compounds: the parts of a word such as ``getUserName``, and what its parts are when joined.

Two passes find them. A word of Unicode's boundaries may hold a compound itself (``sshd_config``,
``a.b``, ``getUserName``). A run of several such words, such as ``CVE-2023-5678``, holds one where a
delimiter stands between two of them. Both are cut along one hierarchy of delimiters, so
``/etc/ssh/sshd_config`` has ``sshd_config`` as a node of its own, and each node of two parts or
more is also a joined word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lexpand._native import split_words

MOST_PARTS = 8
"""Parts of the longest node that is joined."""

MOST_CHARACTERS = 255
"""Of the longest node that is joined; a word has no more bytes."""

MOST_CUT = 1024
"""Characters of the longest word or run that is cut at all: longer ones are data, and cutting takes quadratic time."""

# White space, ASCII punctuation but the underscore, and the general, CJK and full-width kinds of
# punctuation.
_OUTSIDE = (
    r"\s!-/:-@\[-^`{-~\u00a0-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u2010-\u2029"
    + (r"\u2030-\u205e\u2190-\u2bff\u3000-\u303f\uff01-\uff0f\uff1a-\uff20")
)
_CHARACTERS = rf"[^{_OUTSIDE}]++"
_PIECE = re.compile(
    rf"{_CHARACTERS}(?:(?:(?<=\d),(?=\d)|(?<=[^\W\d_])['\u2019](?=[^\W\d_])){_CHARACTERS})*+"
)
# ``://``, ``::``, ``+~`` or one character, before a piece; a class comes first because `re` then
# skips to it fast.
_DELIMITER = rf"[-./:+~\u2010\u2011](?:(?<=:)(?://|:)|(?<=\+)~)?+(?=[^{_OUTSIDE}])"
# What follows the first piece of a run: a delimiter, and (in a group) pieces with delimiters
# between.
_REST = re.compile(rf"{_DELIMITER}({_PIECE.pattern}((?:{_DELIMITER}{_PIECE.pattern})*+))")

# Where a compound is cut, one group a level, the strongest first. A point between digits belongs to
# a number. A capital after two letters begins a part: "mRNA", "PhD" and "iPhone" stay whole. So
# does a number with points after a letter.
_CUTS = re.compile(
    r"([/:]+)|((?<!\d)\.|\.(?!\d))|([-+~\u2010\u2011]+)|(_+)"
    r"|((?<=[a-z][a-z0-9])(?=[A-Z][A-Za-z])|(?<=[A-Za-z])(?=\d+(?:\.\d+)+(?![\w.])))"
)
_WEAKEST = 5
# What can hold a compound, or the narrow space that UAX #29 holds to be a part of words.
_INNER = re.compile(r"[:._\u202f]|[a-z][a-z0-9][A-Z][A-Za-z]")
# Runs that need no hierarchy: nearly all. Their pieces are single words of one case.
_SIMPLE_PIECE = r"(?:[A-Z]?[a-z0-9]++|[A-Z0-9]++|[0-9]++(?:\.[0-9]++)++)"
_SIMPLE = re.compile(
    rf"{_SIMPLE_PIECE}(?:(?:[-+~]{_SIMPLE_PIECE}){{1,7}}+|(?:/{_SIMPLE_PIECE}){{1,7}}+)"
)
_SIMPLE_CUT = re.compile(r"[-+~/]")


class Form(NamedTuple):
    """One word that a text has: its pieces as they stand there, to be spelled and joined, and its span.

    Attributes:
        pieces: one for a part; those of a joined form in their order.
        first: its first character, relative to the text that was cut.
        end: the character behind its last.
    """

    pieces: tuple[str, ...]
    first: int
    end: int


def is_compound(word: str) -> bool:
    """Whether a word of `split_words` has forms other than itself; of nearly all words this is false, and cheap."""
    return _INNER.search(word) is not None and (len(word) <= MOST_CUT or "\u202f" in word)


def forms_of_word(word: str) -> list[Form]:
    """The parts of a word of `split_words`, then its joined forms; the word itself if it is no compound.

    An abbreviation of single letters, such as ``U.S``, is only its joined form.
    """
    if "\u202f" in word:  # a narrow space, which UAX #29 holds to be a part of words
        return [
            form for start, part in _narrow(word) for form in _moved(forms_of_word(part), start)
        ]
    leaves, nodes = _cut(word)
    if len(leaves) > 1 and "." in word and all(end - first == 1 for first, end in leaves):
        return [_joined(word, leaves, 0, len(leaves))]
    parts = [Form((word[first:end],), first, end) for first, end in leaves]
    return parts + [_joined(word, leaves, *node) for node in nodes if _may_join(leaves, *node)]


def runs_of(text: str) -> list[tuple[str, int]]:
    """The runs of words and inner delimiters in a text, each with its first character."""
    runs = []
    # Delimiters are rare, so they are looked for, and the piece before each is found by reading
    # backwards.
    end, size, backwards = 0, len(text), ""
    for rest in _REST.finditer(text):
        backwards = backwards or text[::-1]
        piece = _PIECE.match(backwards, size - rest.start())
        if piece:
            first = max(size - piece.end(), end)
        elif rest[2]:
            first = rest.start(1)
        else:
            continue
        end = rest.end()
        runs.append((text[first:end], first))
    return runs


def forms_of_run(run: str) -> list[Form]:
    """The joined forms of a run that span several words of `split_words`; `forms_of_word` gives those within one."""
    if len(run) > MOST_CUT:
        return []
    if len(run) <= MOST_CHARACTERS and _SIMPLE.fullmatch(run):
        return [Form(tuple(_SIMPLE_CUT.split(run)), 0, len(run))]
    words = spans_of(run, split_words(run))
    if len(words) < 2:
        return []
    parts, nodes = _cut(run)
    owners = [_owner(words, part) for part in parts]
    # A part is what its word has of it: an emoji or a mark before it is no piece of a joined form.
    leaves = [
        part if owner is None else (max(part[0], words[owner][0]), min(part[1], words[owner][1]))
        for part, owner in zip(parts, owners, strict=True)
    ]
    return [
        _joined(run, leaves, first, end)
        for first, end in nodes
        # Texts without spaces come apart into single characters: nobody types such parts together.
        if _may_join(leaves, first, end)
        and None not in (found := owners[first:end])
        and found[0] != found[-1]
    ]


def join(pieces: Sequence[str]) -> str:
    """Spelled pieces as one word; where two digits would meet, ``_`` parts them, so 1-23 is never 123."""
    word = ""
    for piece in pieces:
        word += "_" + piece if word[-1:].isdigit() and piece[:1].isdigit() else piece
    return word


def spans_of(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where words that `split_words` found stand in a text: first character and the one behind the last."""
    spans, end = [], 0
    for word in words:
        first = text.index(word, end)
        end = first + len(word)
        spans.append((first, end))
    return spans


_Span = tuple[int, int]


def _cut(text: str) -> tuple[list[_Span], list[_Span]]:
    """The spans of the smallest parts; and the nodes above them, outermost first, as slices of these parts."""
    leaves: list[_Span] = []
    levels: list[int] = []  # of the cuts between two leaves
    start, strongest = 0, _WEAKEST
    for found in _CUTS.finditer(text):
        level = found.lastindex or _WEAKEST
        if found.start() > start:
            if leaves:
                levels.append(strongest)
            leaves.append((start, found.start()))
            strongest = level
        start, strongest = found.end(), min(strongest, level)
    if start < len(text):
        if leaves:
            levels.append(strongest)
        leaves.append((start, len(text)))
    return leaves, _nodes(levels)


def _nodes(levels: Sequence[int]) -> list[_Span]:
    nodes = []
    todo = [(0, len(levels) + 1)] if levels else []
    while todo:
        first, end = todo.pop()
        nodes.append((first, end))
        strongest = min(levels[first : end - 1])
        for place in range(first, end):
            if place == end - 1 or levels[place] == strongest:
                if place > first:
                    todo.append((first, place + 1))
                first = place + 1
    return nodes


def _owner(words: Sequence[_Span], part: _Span) -> int | None:
    """The one word that a part has to do with; None if there are several, or none."""
    found = [place for place, (first, end) in enumerate(words) if first < part[1] and part[0] < end]
    return found[0] if len(found) == 1 else None


def _may_join(leaves: Sequence[_Span], first: int, end: int) -> bool:
    return end - first <= MOST_PARTS and leaves[end - 1][1] - leaves[first][0] <= MOST_CHARACTERS


def _joined(text: str, leaves: Sequence[_Span], first: int, end: int) -> Form:
    parts = leaves[first:end]
    return Form(tuple(text[a:b] for a, b in parts), parts[0][0], parts[-1][1])


def _narrow(word: str) -> Iterator[tuple[int, str]]:
    for found in re.finditer("[^\u202f]+", word):
        yield found.start(), found[0]


def _moved(forms: Sequence[Form], start: int) -> Iterator[Form]:
    for form in forms:
        yield Form(form.pieces, form.first + start, form.end + start)
