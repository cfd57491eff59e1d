"""Pseudo-relevance feedback: a query that its best documents add to."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexpand.data import SparseVectors
from lexpand.errors import DataError
from lexpand.index import Searcher
from lexpand.index.passages import RankedPassages


@dataclass(frozen=True, slots=True)
class Feedback:
    """How a query learns from the documents that it finds first (Rocchio 1971, without negative examples).

    Attributes:
        documents: that count as relevant; one with several chunks by the one that was found.
        terms: of the sum of their vectors, the strongest that are taken.
        weight: 0 to 1, the share of the documents; that of the query is the rest. Both sides are
            divided by their sum of weights first.
        words: whether BM25's queries learn too: the documents' words join them, as RM3 does it
            (Abdul-Jaleel et al. 2004).

    Raises:
        DataError: a value is outside its range.
    """

    documents: int = 5
    terms: int = 50
    weight: float = 0.5
    words: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.words, bool):
            raise DataError(f"feedback: words is {self.words!r}: it must be true or false")
        if self.documents < 1 or self.terms < 1 or not 0 <= self.weight <= 1:
            raise DataError(
                f"feedback of {self.documents} documents and {self.terms} terms with the weight {self.weight}: "
                "at least 1, at least 1, and 0 to 1"
            )


def expanded(
    searcher: Searcher, queries: SparseVectors, found: Sequence[RankedPassages], feedback: Feedback
) -> SparseVectors:
    """Queries with terms of the passages that they found first; one that found nothing stays as it is.

    A passage counts by its share of the scores found.
    """
    rows = [
        _expanded(searcher, query, passages, feedback) if len(passages) else query
        for query, passages in zip(queries.as_dicts(), found, strict=True)
    ]
    made = SparseVectors.from_rows(rows, queries.vocabulary_size)
    return SparseVectors(made.indptr, made.terms, made.weights, made.vocabulary_size, queries.model)


def _expanded(
    searcher: Searcher, query: dict[int, float], passages: RankedPassages, feedback: Feedback
) -> dict[int, float]:
    said: defaultdict[int, float] = defaultdict(float)
    for stored, share in zip(searcher.passage_vectors(passages), _shares(passages), strict=True):
        share /= max(float(stored.weights.sum()), 1e-30)
        for term, weight in zip(stored.terms.tolist(), stored.weights.tolist(), strict=True):
            said[term] += share * weight
    strongest = sorted(said, key=lambda term: (-said[term], term))[: feedback.terms]
    kept, asked = sum(said[term] for term in strongest), sum(query.values())
    new = {term: (1 - feedback.weight) * weight / asked for term, weight in query.items()}
    for term in strongest:
        new[term] = new.get(term, 0.0) + feedback.weight * said[term] / kept
    return {term: weight for term, weight in new.items() if weight > 0}


def expanded_words(
    searcher: Searcher,
    queries: Sequence[Mapping[str, float]],
    found: Sequence[RankedPassages],
    feedback: Feedback,
) -> list[Mapping[str, float]]:
    """Queries, by their words with their weights, with words of the passages that they found first.

    A passage counts by its share of the scores found, a word in it by its share of the passage's words.
    What is divided by its sum, and what decides which words are the strongest, is weight times
    inverse document frequency: what a word may add to a score.
    """
    return [
        _expanded_words(searcher, query, passages, feedback) if len(passages) else query
        for query, passages in zip(queries, found, strict=True)
    ]


def _expanded_words(
    searcher: Searcher, asked: Mapping[str, float], passages: RankedPassages, feedback: Feedback
) -> dict[str, float]:
    said = _words_said(searcher, passages)
    words = list(dict.fromkeys([*asked, *said]))
    idf = dict(zip(words, searcher.inverse_word_frequencies(words).tolist(), strict=True))
    strongest = sorted(said, key=lambda word: (-said[word] * idf[word], word))[: feedback.terms]
    new = _scaled(asked, idf, 1 - feedback.weight)
    for word, weight in _scaled(
        {word: said[word] for word in strongest}, idf, feedback.weight
    ).items():
        new[word] = new.get(word, 0.0) + weight
    return {word: weight for word, weight in new.items() if weight > 0}


def _words_said(searcher: Searcher, passages: RankedPassages) -> dict[str, float]:
    """What the passages say: of each word, the sum of its shares."""
    analyzer = searcher.schema.words
    said: defaultdict[str, float] = defaultdict(float)
    for text, share in zip(searcher.passage_texts(passages), _shares(passages), strict=True):
        counts = Counter(analyzer.analyze(text)) if analyzer else Counter[str]()
        share /= max(counts.total(), 1)
        for word, count in counts.items():
            said[word] += share * count
    return said


def _shares(passages: RankedPassages) -> list[float]:
    """Each passage's share of the scores."""
    total = float(passages.scores.sum())
    if not 0 < total < math.inf or passages.scores.min() < 0:
        raise DataError(
            "feedback: the scores of the relevant documents are their shares: numbers from 0, not all 0"
        )
    return [score / total for score in passages.scores.tolist()]


def _scaled(
    weights: Mapping[str, float], idf: Mapping[str, float], share: float
) -> dict[str, float]:
    """Weights that make up this share where each is multiplied by its inverse document frequency."""
    total = sum(weight * idf[word] for word, weight in weights.items())
    return {word: share * weight / total for word, weight in weights.items()} if total > 0 else {}
