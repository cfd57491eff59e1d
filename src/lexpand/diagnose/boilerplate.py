"""Passages that stand in many documents: headers, footers, notices. Every vector has their terms."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from lexpand._native import split_words
from lexpand.data import Document
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity

# Words in a row that are compared: long enough that no phrase of a language or a field is in a
# fifth of all texts. In SciFact, the commonest row is in 0.4 % of the abstracts.
_WORDS = 8
_SHARE = 0.2
_FEWEST = 20
# Documents that are looked at, drawn at random, and words of each, from the beginning and from the
# end.
_SAMPLE, _LOOK = 300, 500
# Words of a passage that are shown.
_SHOWN = 12

_Row = tuple[str, ...]


class Boilerplate:
    """Keeps a sample of the documents' words (algorithm R; Vitter 1985), the same ones each time."""

    def __init__(self) -> None:
        self._drawn: list[tuple[str, list[_Row]]] = []
        self._seen = 0
        self._random = random.Random(0)

    def see(self, documents: Sequence[Document]) -> None:
        """Look at some documents."""
        for document in documents:
            self._seen += 1
            place = (
                len(self._drawn) if self._seen <= _SAMPLE else self._random.randrange(self._seen)
            )
            if place < _SAMPLE:
                self._drawn[place : place + 1] = [(document.doc_id, _rows(document.text))]

    def findings(self) -> Iterator[Finding]:
        """The passages that at least a fifth of the documents have, the most frequent first."""
        if len(self._drawn) < _FEWEST:
            return
        counts: Counter[_Row] = Counter()
        for _, rows in self._drawn:
            counts.update(set(rows))
        least = max(_SHARE * len(self._drawn), _FEWEST / 2)
        common = {row: count for row, count in counts.items() if count >= least}
        if not common:
            return
        passages = list(self._passages(common))
        yield Finding(
            "boilerplate",
            Severity.WARNING,
            len(passages),
            f"in many documents (of {len(self._drawn):,} looked at): passages of at least {_WORDS} words, which say "
            "nothing of any document and cost every vector terms",
            tuple(
                f"{share:.0%} have '{text}', as {doc_id}"
                for share, text, doc_id in passages[:EXAMPLES]
            ),
            "take the passage out of the texts before indexing them",
        )

    def _passages(self, common: dict[_Row, int]) -> Iterator[tuple[float, str, str]]:
        """Share, beginning and a document of each passage; rows that follow one another are one passage."""
        left = dict(common)
        while left:
            row = max(left, key=lambda each: left[each])
            doc_id, rows = next((doc_id, rows) for doc_id, rows in self._drawn if row in rows)
            first = last = rows.index(row)
            while first > 0 and rows[first - 1] in common:
                first -= 1
            while last + 1 < len(rows) and rows[last + 1] in common:
                last += 1
            words = [*rows[first], *(each[-1] for each in rows[first + 1 : last + 1])]
            yield common[row] / len(self._drawn), _beginning(words), doc_id
            for each in rows[first : last + 1]:
                left.pop(each, None)


def _rows(text: str) -> list[_Row]:
    words = split_words(text.lower())
    if len(words) > 2 * _LOOK:
        words = [*words[:_LOOK], *words[-_LOOK:]]
    return [tuple(words[place : place + _WORDS]) for place in range(len(words) - _WORDS + 1)]


def _beginning(words: Sequence[str]) -> str:
    return " ".join(words[:_SHOWN]) + (" ..." if len(words) > _SHOWN else "")
