"""Pseudo-relevance feedback: the best documents of a query add terms to it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode.words import WordCounts
from lexpand.errors import DataError
from lexpand.index import Searcher
from lexpand.index.passages import RankedPassages

# The texts whose words are counted together.
_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Feedback:
    """The settings of pseudo-relevance feedback (Rocchio 1971, without negative examples).

    Attributes:
        documents: the number of best documents that count as relevant. A document in chunks counts
            by the chunk that was found.
        terms: the number of terms that are added, the strongest in the weighted sum of the
            documents.
        weight: the share of the documents in the new query, 0 to 1. The original query has the
            rest. Both sides are normalized by the sum of their weights first.
        words: whether BM25 queries are expanded too, by words of the documents, as in RM3
            (Abdul-Jaleel et al. 2004).

    Raises:
        DataError: a value is out of range.
    """

    documents: int = 5
    terms: int = 50
    weight: float = 0.5
    words: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.words, bool):
            raise DataError(f"feedback: words must be true or false, got {self.words!r}")
        if self.documents < 1 or self.terms < 1 or not 0 <= self.weight <= 1:
            raise DataError(
                "feedback: documents and terms must be >= 1 and weight must be from 0 to 1, got "
                f"documents {self.documents}, terms {self.terms} and weight {self.weight}"
            )


def expanded(
    searcher: Searcher, queries: SparseVectors, found: Sequence[RankedPassages], feedback: Feedback
) -> SparseVectors:
    """Return the queries with terms of the passages that they found first.

    A passage is weighted by its share of the scores. A query that found nothing stays unchanged.
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
    pooled: defaultdict[int, float] = defaultdict(float)
    for stored, share in zip(searcher.passage_vectors(passages), _shares(passages), strict=True):
        share /= max(float(stored.weights.sum()), 1e-30)
        for term, weight in zip(stored.terms.tolist(), stored.weights.tolist(), strict=True):
            pooled[term] += share * weight
    strongest = sorted(pooled, key=lambda term: (-pooled[term], term))[: feedback.terms]
    pooled_sum, query_sum = sum(pooled[term] for term in strongest), sum(query.values())
    new = {term: (1 - feedback.weight) * weight / query_sum for term, weight in query.items()}
    for term in strongest:
        new[term] = new.get(term, 0.0) + feedback.weight * pooled[term] / pooled_sum
    return {term: weight for term, weight in new.items() if weight > 0}


def expanded_words(
    searcher: Searcher,
    queries: Sequence[Mapping[str, float]],
    found: Sequence[RankedPassages],
    feedback: Feedback,
) -> list[Mapping[str, float]]:
    """Return the queries with words of the passages that they found first.

    Queries map words to weights. A passage is weighted by its share of the scores, and a word of it
    by its share of the words of the passage. Both sides are normalized, and the strongest words
    chosen, by weight times inverse document frequency: the largest score that a word can add.
    """
    counts = _word_counts(searcher, found)
    return [
        _expanded_words(searcher, query, passages, feedback, counts) if len(passages) else query
        for query, passages in zip(queries, found, strict=True)
    ]


Place = tuple[int, int]
"""The segment and the ordinal of a passage."""

Counts = Mapping[Place, Mapping[str, int]]
"""The words of passages with their frequencies."""


def _expanded_words(
    searcher: Searcher,
    query: Mapping[str, float],
    passages: RankedPassages,
    feedback: Feedback,
    counts: Counts,
) -> dict[str, float]:
    pooled = _pooled_words(passages, counts)
    words = list(dict.fromkeys([*query, *pooled]))
    idf = dict(zip(words, searcher.inverse_word_frequencies(words).tolist(), strict=True))
    strongest = sorted(pooled, key=lambda word: (-pooled[word] * idf[word], word))
    added = {word: pooled[word] for word in strongest[: feedback.terms]}
    new = _scaled(query, idf, 1 - feedback.weight)
    for word, weight in _scaled(added, idf, feedback.weight).items():
        new[word] = new.get(word, 0.0) + weight
    return {word: weight for word, weight in new.items() if weight > 0}


def _pooled_words(passages: RankedPassages, counts: Counts) -> dict[str, float]:
    """Return the words of the passages, each with the sum of its weighted shares."""
    pooled: defaultdict[str, float] = defaultdict(float)
    for place, share in zip(_places(passages), _shares(passages), strict=True):
        share /= max(sum(counts[place].values()), 1)
        for word, count in counts[place].items():
            pooled[word] += share * count
    return pooled


def _word_counts(searcher: Searcher, found: Sequence[RankedPassages]) -> Counts:
    """Count the words of the passages of all queries, each passage once.

    An analyzer is fastest on many texts at once.
    """
    analyzer = searcher.schema.words
    every = RankedPassages.concatenate(found)
    distinct = list({place: i for i, place in enumerate(_places(every))}.items())
    counts: dict[Place, Mapping[str, int]] = {}
    for start in range(0, len(distinct), _TEXTS):
        group = distinct[start : start + _TEXTS]
        texts = searcher.passage_texts(every.at([i for _, i in group]))
        words = [{}] * len(texts) if analyzer is None else _counted(analyzer.counts(texts))
        counts |= zip((place for place, _ in group), words, strict=True)
    return counts


def _counted(counts: WordCounts) -> list[dict[str, int]]:
    """Return the words of each text with their frequencies."""
    words, numbers = np.array(counts.words, object)[counts.terms].tolist(), counts.counts.tolist()
    return [
        dict(zip(words[start:end], numbers[start:end], strict=True))
        for start, end in pairwise(counts.indptr.tolist())
    ]


def _places(passages: RankedPassages) -> list[Place]:
    return list(zip(passages.segments.tolist(), passages.ordinals.tolist(), strict=True))


def _shares(passages: RankedPassages) -> list[float]:
    """Return the share of each passage in the sum of the scores."""
    total = float(passages.scores.sum())
    if not 0 < total < math.inf or passages.scores.min() < 0:
        raise DataError(
            "feedback: the scores of the relevant documents must be finite, >= 0 and not all 0, "
            f"got {passages.scores.tolist()}"
        )
    return [score / total for score in passages.scores.tolist()]


def _scaled(
    weights: Mapping[str, float], idf: Mapping[str, float], share: float
) -> dict[str, float]:
    """Return weights scaled so that their sum, each times its ``idf``, is ``share``."""
    total = sum(weight * idf[word] for word, weight in weights.items())
    return {word: share * weight / total for word, weight in weights.items()} if total > 0 else {}
