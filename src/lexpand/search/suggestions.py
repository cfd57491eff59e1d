"""Suggestions for misspelled words of a query, from the words of an index."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from lexpand.index import Searcher

SECONDS = 0.05
"""The time limit of the suggestions for a query, once dictionaries are in memory."""

# The least lengths for one edit and for two. Shorter words are near too many others.
_SHORTEST, _SHORTEST_FOR_TWO = 4, 6
# The largest numbers of query words, and of suggestions for each.
_MOST_WORDS, _MOST = 8, 3
# Dictionaries are copied only if all segments together have at most this number of words.
_MOST_IN_MEMORY = 500_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_Clock = Callable[[], float]


def did_you_mean(
    searcher: Searcher, query: str, *, seconds: float = SECONDS, clock: _Clock = time.monotonic
) -> dict[str, list[str]]:
    """Return up to three near words of the index for each query word that no document has.

    A near word is one edit away: a letter added, removed or replaced, or two adjacent letters
    swapped. If there is none and the word has at least six letters, words two edits away with the
    same first letter are near. Words with digits and words of fewer than four letters get no
    suggestions.

    Args:
        searcher: the commit. Without words in the index, there are no suggestions.
        query: the text of the query.
        seconds: the time limit.
        clock: returns seconds and never goes back.

    Returns:
        Suggestions by the words of the query, most frequent first. They are in lower case and
            spelled as in the documents. Words without a suggestion are left out.
    """
    end = clock() + seconds
    found: dict[str, list[str]] = {}
    for word, stem in _missing(searcher, query):
        near = _in_index(searcher, _one_edit(stem))
        if not near and len(stem) >= _SHORTEST_FOR_TWO:
            near = _in_index(searcher, _two_edits(searcher, stem, end, clock))
        spelled = (_as_written(searcher, each) for each in near[:_MOST])
        if suggestions := list(dict.fromkeys(each for each in spelled if each)):
            found[word] = suggestions
        if clock() > end:
            break
    return found


def _missing(searcher: Searcher, query: str) -> list[tuple[str, str]]:
    """Return the words of the query that no document has, each with its form in the index."""
    analyzer = searcher.schema.words
    if analyzer is None:
        return []
    places = [
        place
        for place in analyzer.places(query)
        if place.word.isalpha() and len(place.word) >= _SHORTEST
    ]
    known = searcher.inverse_word_frequencies([place.word for place in places]).tolist()
    pairs = zip(places, known, strict=True)
    missing = {
        query[place.first : place.end]: place.word for place, frequency in pairs if not frequency
    }
    return list(missing.items())[:_MOST_WORDS]


def _in_index(searcher: Searcher, words: Iterable[str]) -> list[str]:
    """Return those of the words that documents have, most frequent first."""
    listed = sorted(set(words))
    frequencies = searcher.inverse_word_frequencies(listed).tolist()
    found = [(rarity, word) for word, rarity in zip(listed, frequencies, strict=True) if rarity]
    return [word for _, word in sorted(found)]


def _one_edit(word: str) -> Iterator[str]:
    """Yield all words one edit away, with letters of the alphabet and of the word."""
    letters = sorted({*_LETTERS, *word})
    splits = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    for left, right in splits:
        if right:
            yield left + right[1:]
            yield from (left + letter + right[1:] for letter in letters)
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
        yield from (left + letter + right for letter in letters)


def _two_edits(searcher: Searcher, word: str, end: float, clock: _Clock) -> Iterator[str]:
    """Yield index words two edits away with the same first letter, until the time is up."""
    for dictionary in searcher.dictionaries(_MOST_IN_MEMORY):
        first = bisect_left(dictionary, word[0])
        last = bisect_left(dictionary, chr(ord(word[0]) + 1))
        for place in range(first, last):
            other = dictionary[place]
            if abs(len(other) - len(word)) <= 2 and within_two_edits(word, other):
                yield other
            if place % 256 == 0 and clock() > end:
                return


def within_two_edits(word: str, other: str) -> bool:
    """Whether two words are at most two edits apart; see `did_you_mean` for edits."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        new = [i]
        for j, other_letter in enumerate(other, 1):
            best = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (letter != other_letter))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == other_letter:
                best = min(best, before[j - 2] + 1)
            new.append(best)
        if min(new) > 2:
            return False
        before, row = row, new
    return row[-1] <= 2


def _as_written(searcher: Searcher, word: str) -> str | None:
    """Return a word of the index as spelled in the document that has it most often."""
    analyzer = searcher.schema.words
    passages = searcher.word_passages([{word: 1.0}], 1)[0]
    for text in searcher.passage_texts(passages) if analyzer and len(passages) else ():
        for place in analyzer.places(text) if analyzer else ():
            if place.word == word:
                return text[place.first : place.end].lower()
    return None
