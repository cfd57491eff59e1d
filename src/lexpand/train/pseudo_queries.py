"""Pseudo queries: parts of documents that stand for the queries of users.

A title is the best summary that a document has. A sentence or a span that is taken out of a passage
is a query that the rest of it answers (the inverse cloze task, Lee et al. 2019, arXiv 1906.00300;
compare the pseudo queries of GPL, Wang et al. 2022, arXiv 2112.07577, which need a generator).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log

from lexpand.data import Document
from lexpand.train.rows import Row

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)

_SHORTEST = 3
"""Words of a sentence or title that can be a query."""

_REST = 8
"""Words that a document must keep if a sentence is taken out."""


class Source(StrEnum):
    """The part of a document that a pseudo query comes from."""

    TITLE = "title"
    HEADING = "heading"
    FIRST_SENTENCE = "first_sentence"
    SPAN = "span"
    KEYWORDS = "keywords"


@dataclass(frozen=True, slots=True)
class PseudoQuery:
    """A query that a document should be found by.

    Attributes:
        query: the text.
        doc_id: the document.
        positive: the text of the document without the words of the query, where these are a part
            of its text.
        source: the part of the document.
    """

    query: str
    doc_id: str
    positive: str
    source: Source

    def to_row(self) -> Row:
        """Return a row of training data."""
        return Row(self.query, (self.positive,), fields={"doc_id": self.doc_id})


def pseudo_queries(
    documents: Sequence[Document], *, per_document: int = 3, seed: int = 17
) -> list[PseudoQuery]:
    """Return pseudo queries of documents, each text once.

    Queries vary as users' do: of half of the sentences and spans only the most telling words are
    kept, in their order, and all of those are in lower case.

    Args:
        documents: the documents.
        per_document: the most queries of a document.
        seed: of the choices; those of a document depend on the seed and its id alone, and on the
            document frequencies of words.
    """
    frequencies = Counter(
        word for document in documents for word in set(_words(document.full_text))
    )
    found: dict[str, PseudoQuery] = {}
    for document in documents:
        chance = random.Random(f"{seed}-{document.doc_id}")
        for each in _of_document(document, frequencies, len(documents), per_document, chance):
            found.setdefault(each.query.casefold(), each)
    return list(found.values())


def _of_document(
    document: Document,
    frequencies: Mapping[str, int],
    count: int,
    most: int,
    chance: random.Random,
) -> Iterable[PseudoQuery]:
    text = document.text

    def weight(word: str) -> float:
        return log((count + 1) / (frequencies[word.casefold()] + 0.5))

    def made(query: str, source: Source, positive: str) -> PseudoQuery:
        return PseudoQuery(" ".join(query.split()), document.doc_id, positive, source)

    candidates: list[PseudoQuery] = []
    if document.title and len(_words(document.title)) >= 2 and len(_words(text)) >= _REST:
        candidates.append(made(document.title, Source.TITLE, text))
    candidates += [
        made(heading, Source.HEADING, text.replace(heading, " ", 1))
        for heading in _HEADING.findall(text)[:2]
        if len(_words(heading)) >= 2
    ]
    sentences = [each for each in _SENTENCE.split(text) if len(_words(each)) >= _SHORTEST]
    parts = [(each, Source.SPAN) for each in sentences[1:]]
    chance.shuffle(parts)
    parts = [(each, Source.FIRST_SENTENCE) for each in sentences[:1]] + parts
    for sentence, source in parts[:most]:
        rest = document.full_text.replace(sentence, " ", 1)
        if len(_words(rest)) < _REST:
            continue
        if chance.random() < 0.5:
            query = " ".join(_telling(sentence, weight, chance.randint(3, 8))).lower()
            candidates.append(made(query, Source.KEYWORDS, rest))
        else:
            words = sentence.split()
            length = chance.randint(6, 20)
            first = chance.randint(0, max(0, len(words) - length))
            candidates.append(made(" ".join(words[first : first + length]), source, rest))
    return candidates[:most]


def _telling(sentence: str, weight: Callable[[str], float], count: int) -> list[str]:
    """Return the words of a sentence with the highest weights, in their order."""
    words = list(dict.fromkeys(_WORD.findall(sentence)))
    best = sorted(words, key=weight, reverse=True)[:count]
    return [word for word in words if word in best]


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
