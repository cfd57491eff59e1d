"""Retrieval by the words of the documents, with BM25."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np

from lexpand.data.arguments import check_number
from lexpand.errors import DataError, IndexStateError
from lexpand.index import BM25, Index, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.feedback import Feedback, expanded_words
from lexpand.search.prepared import PreparedQueries, Span
from lexpand.search.retriever import LocalRetriever

_DIGIT, _OTHER = re.compile(r"\d"), re.compile(r"[^\W\d]|[_.]")


def is_identifier(word: str) -> bool:
    """Whether an analyzed word is an identifier: it has a digit, and a letter, ``_`` or ``.``."""
    return bool(_DIGIT.search(word) and _OTHER.search(word))


def identifier_share(searcher: Searcher, words: Mapping[str, float]) -> float:
    """Return the share of identifiers in the sum of a query's inverse document frequencies."""
    if not any(map(is_identifier, words)):
        return 0.0
    listed = list(words)
    weights = searcher.inverse_word_frequencies(listed) * np.array([words[word] for word in listed])
    total = float(weights.sum())
    identifiers = [is_identifier(word) for word in listed]
    return float(weights[identifiers].sum()) / total if total > 0 else 0.0


class PreparedWords(PreparedQueries):
    """Prepared queries of a `WordRetriever`.

    Attributes:
        words: the words of each query with their weights, before its own feedback.
    """

    def __init__(
        self,
        searcher: Searcher,
        queries: Sequence[str],
        words: Sequence[Mapping[str, float]],
        bm25: BM25,
        feedback: Feedback | None,
        exact: float,
        identifiers: Sequence[float],
    ) -> None:
        super().__init__(searcher, queries)
        self.words = words
        self._bm25 = bm25
        self._feedback = feedback
        self._exact = exact
        self._identifiers = identifiers
        self._expected: Sequence[float] | None = None

    def passages(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> Sequence[RankedPassages]:
        """See `PreparedQueries.passages`."""
        # With k = 0, no search is needed for feedback.
        if self._feedback is not None and k:
            return self.resolved(filter=filter, threads=threads).passages(
                k, filter=filter, group_by=group_by, threads=threads
            )
        return self.searcher.word_passages(
            self.words, k, filter=filter, group_by=group_by, bm25=self._bm25, threads=threads
        )

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> PreparedWords:
        """Return the final queries, with the words of their own best documents added."""
        if self._feedback is None:
            return self
        plain = self._with(self.words)
        relevant = plain.passages(self._feedback.documents, filter=filter, threads=threads)
        return plain._with_words_of(relevant, self._feedback)

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> PreparedWords:
        """See `PreparedQueries.learned`; only if ``feedback.words`` is set."""
        return self._with_words_of(relevant, feedback) if feedback.words else self

    def _with_words_of(
        self, relevant: Sequence[RankedPassages], feedback: Feedback
    ) -> PreparedWords:
        return self._with(expanded_words(self.searcher, self.words, relevant, feedback))

    def _with(self, words: Sequence[Mapping[str, float]]) -> PreparedWords:
        return PreparedWords(
            self.searcher, self.queries, words, self._bm25, None, self._exact, self._identifiers
        )

    def factors(self) -> Sequence[float]:
        """See `PreparedQueries.factors`: 1 + ``exact`` times `identifier_share` of the query."""
        return [1 + self._exact * share for share in self._identifiers]

    def identifiers(self) -> Sequence[float]:
        """See `PreparedQueries.identifiers`."""
        return self._identifiers

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `PreparedQueries.terms`."""
        del most  # a query has few words
        return self.searcher.word_shares(self.words[place], passages, bm25=self._bm25)

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `PreparedQueries.spans`."""
        return self.searcher.word_spans(self.words[place], doc_id, bm25=self._bm25)

    def bounds(self) -> Sequence[float]:
        """See `PreparedQueries.bounds`: the sum of the words' inverse document frequencies.

        No number of repetitions of a word exceeds it.
        """
        if self._feedback is not None:
            raise DataError(
                "a query with feedback has no bound before its search: "
                "use another fusion than bound"
            )
        return self.expected()

    def expected(self) -> Sequence[float]:
        """See `PreparedQueries.expected`: the sum of the words' inverse document frequencies."""
        if self._expected is None:
            self._expected = self.searcher.word_bounds(self.words)
        return self._expected


class WordRetriever(LocalRetriever):
    """A retriever that scores by BM25 over the words of the documents.

    Args:
        index: the documents. It must have a BM25 field.
        bm25: the parameters of BM25.
        exact: how much an exact identifier counts in a sum. The weight of these scores is
            multiplied by 1 + ``exact`` times the share of identifiers in the query
            (`identifier_share`). So the pieces of an identifier, which are all that a model's
            vocabulary has of it, do not outvote the exact word.
        feedback: add words of the best documents to the query and search again; None to search
            once. Its ``words`` is ignored, because it is meant for hybrids and pipelines.

    Raises:
        IndexStateError: the index has no BM25 field.
        DataError: ``exact`` is negative or not finite.
    """

    def __init__(
        self,
        index: Index,
        bm25: BM25 = BM25(),
        *,
        exact: float = 0.0,
        feedback: Feedback | None = None,
    ) -> None:
        super().__init__(index)
        check_number(exact, "exact")
        if not 0 <= exact < float("inf"):
            raise DataError(f"exact must be finite and >= 0, got {exact!r}")
        if index.schema.words is None:
            raise IndexStateError(
                f"{index.path} has no BM25 field: create a new index with one to search words"
            )
        self.bm25 = bm25
        self.exact = exact
        self.feedback = feedback

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> PreparedWords:
        """See `LocalRetriever.ask`."""
        words = searcher.analyzed(queries)
        shares = [identifier_share(searcher, each) if self.exact else 0.0 for each in words]
        return PreparedWords(searcher, queries, words, self.bm25, self.feedback, self.exact, shares)

    def with_feedback(self, feedback: Feedback | None) -> Self:
        """Return the same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other
