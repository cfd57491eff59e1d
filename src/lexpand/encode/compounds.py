"""Identifiers and compounds such as ``getUserName``: their parts, and their parts joined.

Two passes find compounds. A word between Unicode boundaries can be a compound itself
(``sshd_config``, ``a.b``, ``getUserName``). A run of such words with delimiters between them is one
too (``CVE-2023-5678``).

Both are split along one hierarchy of delimiters, so ``sshd_config`` is a node of its own in
``/etc/ssh/sshd_config``. Each node of two or more parts is also a joined word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lexpand._native import split_words

MAX_PARTS = 8
"""The largest number of parts of a node that is joined."""

MAX_CHARACTERS = 255
"""The largest number of characters of a node that is joined. A word has no more bytes."""

MAX_SPLIT = 1024
"""The largest number of characters of a word or run that is split.

Longer ones are data rather than words, and splitting takes quadratic time.
"""

# White space, ASCII punctuation except the underscore, and general, CJK and full-width
# punctuation.
_OUTSIDE = (
    r"\s!-/:-@\[-^`{-~\u00a0-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u2010-\u2029"
    + (r"\u2030-\u205e\u2190-\u2bff\u3000-\u303f\uff01-\uff0f\uff1a-\uff20")
)
_CHARACTERS = rf"[^{_OUTSIDE}]++"
_PIECE = re.compile(
    rf"{_CHARACTERS}(?:(?:(?<=\d),(?=\d)|(?<=[^\W\d_])['\u2019](?=[^\W\d_])){_CHARACTERS})*+"
)
# ``://``, ``::``, ``+~`` or a single character, before a piece. The pattern begins with a character
# class, to which `re` skips fast.
_DELIMITER = rf"[-./:+~\u2010\u2011](?:(?<=:)(?://|:)|(?<=\+)~)?+(?=[^{_OUTSIDE}])"
# The rest of a run after its first piece: a delimiter, and (in a group) pieces with delimiters
# between them.
_REST = re.compile(rf"{_DELIMITER}({_PIECE.pattern}((?:{_DELIMITER}{_PIECE.pattern})*+))")

# The places where a compound is split: one group for each level, the strongest first. A point
# between digits belongs to a number. A capital after two letters begins a part, so "mRNA", "PhD"
# and "iPhone" stay whole. A number with points after a letter begins a part too.
_CUTS = re.compile(
    r"([/:]+)|((?<!\d)\.|\.(?!\d))|([-+~\u2010\u2011]+)|(_+)"
    r"|((?<=[a-z][a-z0-9])(?=[A-Z][A-Za-z])|(?<=[A-Za-z])(?=\d+(?:\.\d+)+(?![\w.])))"
)
_WEAKEST = 5
# A delimiter within a compound, or the narrow space U+202F, which UAX #29 treats as part of a word.
_INNER = re.compile(r"[:._\u202f]|[a-z][a-z0-9][A-Z][A-Za-z]")
# Runs without a hierarchy, which are nearly all. Their pieces are single words of one case.
_SIMPLE_PIECE = r"(?:[A-Z]?[a-z0-9]++|[A-Z0-9]++|[0-9]++(?:\.[0-9]++)++)"
_SIMPLE = re.compile(
    rf"{_SIMPLE_PIECE}(?:(?:[-+~]{_SIMPLE_PIECE}){{1,7}}+|(?:/{_SIMPLE_PIECE}){{1,7}}+)"
)
_SIMPLE_CUT = re.compile(r"[-+~/]")


class Form(NamedTuple):
    """A word of a text before it is normalized, with its span.

    Attributes:
        pieces: the pieces as written in the text. A part has one, a joined form several in order.
        first: the index of the first character, relative to the text that was split.
        end: the index after the last character.
    """

    pieces: tuple[str, ...]
    first: int
    end: int


def is_compound(word: str) -> bool:
    """Return whether a word of `split_words` may have forms other than itself.

    For nearly all words this is false. The check is cheap.
    """
    return _INNER.search(word) is not None and (len(word) <= MAX_SPLIT or "\u202f" in word)


def forms_of_word(word: str) -> list[Form]:
    """Return the parts of a word of `split_words`, then its joined forms.

    A word that is not a compound has itself as its only part. An abbreviation of single letters,
    such as ``U.S``, has only its joined form.
    """
    if "\u202f" in word:  # a narrow space, which UAX #29 treats as part of a word
        return [
            form
            for start, part in _split_at_narrow_spaces(word)
            for form in _shifted(forms_of_word(part), start)
        ]
    leaves, nodes = _split(word)
    if len(leaves) > 1 and "." in word and all(end - first == 1 for first, end in leaves):
        return [_joined(word, leaves, 0, len(leaves))]
    parts = [Form((word[first:end],), first, end) for first, end in leaves]
    return parts + [_joined(word, leaves, *node) for node in nodes if _may_join(leaves, *node)]


def runs_of(text: str) -> list[tuple[str, int]]:
    """Return the runs of words and inner delimiters in a text, with their first characters."""
    runs = []
    # Delimiters are rare, so the search looks for them. The piece before each is then matched
    # backwards.
    end, size, reversed_text = 0, len(text), ""
    for rest in _REST.finditer(text):
        reversed_text = reversed_text or text[::-1]
        piece = _PIECE.match(reversed_text, size - rest.start())
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
    """Return the joined forms of a run that span several words of `split_words`.

    `forms_of_word` returns those within a single word.
    """
    if len(run) > MAX_SPLIT:
        return []
    if len(run) <= MAX_CHARACTERS and _SIMPLE.fullmatch(run):
        return [Form(tuple(_SIMPLE_CUT.split(run)), 0, len(run))]
    words = spans_of(run, split_words(run))
    if len(words) < 2:
        return []
    parts, nodes = _split(run)
    owners = [_owner(words, part) for part in parts]
    # A part is reduced to its word: an emoji or a mark before it does not belong to a joined form.
    leaves = [
        part if owner is None else (max(part[0], words[owner][0]), min(part[1], words[owner][1]))
        for part, owner in zip(parts, owners, strict=True)
    ]
    return [
        _joined(run, leaves, first, end)
        for first, end in nodes
        # A part of several words (text without spaces, split into single characters) is not joined:
        # such compounds are not typed as one word.
        if _may_join(leaves, first, end)
        and None not in (found := owners[first:end])
        and found[0] != found[-1]
    ]


def join(pieces: Sequence[str]) -> str:
    """Join normalized pieces into one word, with ``_`` between two digits: 1-23 is not 123."""
    word = ""
    for piece in pieces:
        word += "_" + piece if word[-1:].isdigit() and piece[:1].isdigit() else piece
    return word


def spans_of(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return the spans in a text of the words that `split_words` found, ends excluded."""
    spans, end = [], 0
    for word in words:
        first = text.index(word, end)
        end = first + len(word)
        spans.append((first, end))
    return spans


_Span = tuple[int, int]


def _split(text: str) -> tuple[list[_Span], list[_Span]]:
    """Split a compound.

    Returns:
        The spans of the smallest parts, and the nodes above them as slices of these parts,
        outermost first.
    """
    leaves: list[_Span] = []
    levels: list[int] = []  # one for each pair of neighboring leaves
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
    """Return the index of the only word that overlaps a part; None if there are several or none."""
    found = [place for place, (first, end) in enumerate(words) if first < part[1] and part[0] < end]
    return found[0] if len(found) == 1 else None


def _may_join(leaves: Sequence[_Span], first: int, end: int) -> bool:
    return end - first <= MAX_PARTS and leaves[end - 1][1] - leaves[first][0] <= MAX_CHARACTERS


def _joined(text: str, leaves: Sequence[_Span], first: int, end: int) -> Form:
    parts = leaves[first:end]
    return Form(tuple(text[a:b] for a, b in parts), parts[0][0], parts[-1][1])


def _split_at_narrow_spaces(word: str) -> Iterator[tuple[int, str]]:
    for found in re.finditer("[^\u202f]+", word):
        yield found.start(), found[0]


def _shifted(forms: Sequence[Form], start: int) -> Iterator[Form]:
    for form in forms:
        yield Form(form.pieces, form.first + start, form.end + start)
