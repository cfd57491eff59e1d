"""Boilerplate: passages that many documents share, such as headers, footers and notices.

The vector of every such document has the terms of the passage.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from lexpand._native import split_words
from lexpand.data import Document
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity

# The length of a sequence of words. No phrase of a language or a field is so long and in a fifth of
# all texts. In SciFact, the most common sequence is in 0.4 % of the abstracts.
_WORDS = 8
_SHARE = 0.2
_FEWEST = 20
# The number of documents in the sample, and of words at the beginning and at the end of each.
_SAMPLE, _READ = 300, 500
# The number of words of a passage that are shown.
_SHOWN = 12

_Words = tuple[str, ...]


class Boilerplate:
    """A check for boilerplate in a random sample of documents (algorithm R; Vitter 1985).

    The sample is the same each time.
    """

    def __init__(self) -> None:
        self._drawn: list[tuple[str, list[_Words]]] = []
        self._seen = 0
        self._random = random.Random(0)

    def see(self, documents: Sequence[Document]) -> None:
        """Read some documents."""
        for document in documents:
            self._seen += 1
            place = (
                len(self._drawn) if self._seen <= _SAMPLE else self._random.randrange(self._seen)
            )
            if place < _SAMPLE:
                self._drawn[place : place + 1] = [(document.doc_id, _sequences(document.text))]

    def findings(self) -> Iterator[Finding]:
        """Yield the passages that at least a fifth of the documents have, most frequent first."""
        if len(self._drawn) < _FEWEST:
            return
        counts: Counter[_Words] = Counter()
        for _, sequences in self._drawn:
            counts.update(set(sequences))
        least = max(_SHARE * len(self._drawn), _FEWEST / 2)
        common = {sequence: count for sequence, count in counts.items() if count >= least}
        if not common:
            return
        passages = list(self._passages(common))
        yield Finding(
            "boilerplate",
            Severity.WARNING,
            len(passages),
            f"in many of {len(self._drawn):,} documents that were checked: passages of at least "
            f"{_WORDS} words, which are no content and add terms to every vector",
            tuple(
                f"{share:.0%} have '{text}', such as {doc_id}"
                for share, text, doc_id in passages[:EXAMPLES]
            ),
            "remove the passages from the texts before indexing",
        )

    def _passages(self, common: dict[_Words, int]) -> Iterator[tuple[float, str, str]]:
        """Yield the share, the beginning and a document of each passage.

        Overlapping sequences of words are one passage.
        """
        remaining = dict(common)
        while remaining:
            top = max(remaining, key=lambda sequence: remaining[sequence])
            doc_id, found = next((doc_id, found) for doc_id, found in self._drawn if top in found)
            first = last = found.index(top)
            while first > 0 and found[first - 1] in common:
                first -= 1
            while last + 1 < len(found) and found[last + 1] in common:
                last += 1
            words = [*found[first], *(each[-1] for each in found[first + 1 : last + 1])]
            yield common[top] / len(self._drawn), _beginning(words), doc_id
            for each in found[first : last + 1]:
                remaining.pop(each, None)


def _sequences(text: str) -> list[_Words]:
    words = split_words(text.lower())
    if len(words) > 2 * _READ:
        words = [*words[:_READ], *words[-_READ:]]
    return [tuple(words[place : place + _WORDS]) for place in range(len(words) - _WORDS + 1)]


def _beginning(words: Sequence[str]) -> str:
    return " ".join(words[:_SHOWN]) + (" ..." if len(words) > _SHOWN else "")
