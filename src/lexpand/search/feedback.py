"""Pseudo-relevance feedback: a query that its best documents add to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lexpand.data import SparseVectors
from lexpand.errors import DataError
from lexpand.index import Index, Match


@dataclass(frozen=True, slots=True)
class Feedback:
    """How a query learns from the documents that it finds first (Rocchio 1971, without negative examples).

    Attributes:
        documents: that count as relevant; one with several chunks by its first one.
        terms: of the sum of their vectors, the strongest that are taken.
        weight: 0 to 1, the share of the documents; that of the query is the rest. Both sides are divided by their
            sum of weights first.

    Raises:
        DataError: a value is outside its range.
    """

    documents: int = 5
    terms: int = 50
    weight: float = 0.5

    def __post_init__(self) -> None:
        if self.documents < 1 or self.terms < 1 or not 0 <= self.weight <= 1:
            raise DataError(
                f"feedback of {self.documents} documents and {self.terms} terms with the weight {self.weight}: "
                "at least 1, at least 1, and 0 to 1"
            )


def expanded(
    index: Index, queries: SparseVectors, found: Sequence[Sequence[Match]], feedback: Feedback
) -> SparseVectors:
    """Queries with terms of the documents that they found first; one that found nothing stays as it is.

    A document counts by its share of the scores found.
    """
    rows = [
        _expanded(index, query, matches, feedback) if matches else query
        for query, matches in zip(queries.as_dicts(), found, strict=True)
    ]
    made = SparseVectors.from_rows(rows, queries.vocabulary_size)
    return SparseVectors(made.indptr, made.terms, made.weights, made.vocabulary_size, queries.model)


def _expanded(index: Index, query: dict[int, float], matches: Sequence[Match], feedback: Feedback) -> dict[int, float]:
    total = sum(match.score for match in matches)
    said: defaultdict[int, float] = defaultdict(float)
    for match in matches:
        stored = index.vector(match.doc_id)
        share = match.score / total / max(float(stored.weights.sum()), 1e-30)
        for term, weight in zip(stored.terms.tolist(), stored.weights.tolist(), strict=True):
            said[term] += share * weight
    strongest = sorted(said, key=lambda term: (-said[term], term))[: feedback.terms]
    kept, asked = sum(said[term] for term in strongest), sum(query.values())
    new = {term: (1 - feedback.weight) * weight / asked for term, weight in query.items()}
    for term in strongest:
        new[term] = new.get(term, 0.0) + feedback.weight * said[term] / kept
    return {term: weight for term, weight in new.items() if weight > 0}
