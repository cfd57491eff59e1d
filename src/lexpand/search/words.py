"""Retrieval by the documents' words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np

from lexpand.errors import DataError, IndexStateError
from lexpand.index import BM25, Index, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.asked import Asked, Span
from lexpand.search.feedback import Feedback, expanded_words
from lexpand.search.retriever import LocalRetriever

_DIGIT, _OTHER = re.compile(r"\d"), re.compile(r"[^\W\d]|[_.]")


def is_identifier(word: str) -> bool:
    """Whether an analyzed word is a code, an id or a version: a digit in it, and a letter or an inner mark."""
    return bool(_DIGIT.search(word) and _OTHER.search(word))


def identifier_share(searcher: Searcher, words: Mapping[str, float]) -> float:
    """The share of identifiers in what a query may score: in the sum of its inverse document frequencies."""
    if not any(map(is_identifier, words)):
        return 0.0
    listed = list(words)
    weights = searcher.inverse_word_frequencies(listed) * np.array([words[word] for word in listed])
    whole = float(weights.sum())
    return (
        float(weights[[is_identifier(word) for word in listed]].sum()) / whole if whole > 0 else 0.0
    )


class WordsAsked(Asked):
    """Queries of a `WordRetriever`.

    Attributes:
        words: of each query its words with their weights, before its own feedback.
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
        """See `Asked.passages`."""
        # Nothing asked for needs no feedback, which would search.
        if self._feedback is not None and k:
            return self.resolved(filter=filter, threads=threads).passages(
                k, filter=filter, group_by=group_by, threads=threads
            )
        return self.searcher.word_passages(
            self.words, k, filter=filter, group_by=group_by, bm25=self._bm25, threads=threads
        )

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> WordsAsked:
        """The queries as they are searched for, the words of their own best documents added."""
        if self._feedback is None:
            return self
        plain = self._with(self.words)
        relevant = plain.passages(self._feedback.documents, filter=filter, threads=threads)
        return plain._with_words_of(relevant, self._feedback)

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> WordsAsked:
        """See `Asked.learned`; only where ``feedback.words`` says so."""
        return self._with_words_of(relevant, feedback) if feedback.words else self

    def _with_words_of(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> WordsAsked:
        return self._with(expanded_words(self.searcher, self.words, relevant, feedback))

    def _with(self, words: Sequence[Mapping[str, float]]) -> WordsAsked:
        return WordsAsked(
            self.searcher, self.queries, words, self._bm25, None, self._exact, self._identifiers
        )

    def factors(self) -> Sequence[float]:
        """See `Asked.factors`: 1 + ``exact`` times the share of identifiers in what the query may score."""
        return [1 + self._exact * share for share in self._identifiers]

    def identifiers(self) -> Sequence[float]:
        """See `Asked.identifiers`."""
        return self._identifiers

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `Asked.terms`."""
        del most  # a query has few words
        return self.searcher.word_shares(self.words[place], passages, bm25=self._bm25)

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `Asked.spans`."""
        return self.searcher.word_spans(self.words[place], doc_id, bm25=self._bm25)

    def bounds(self) -> Sequence[float]:
        """See `Asked.bounds`: the sum of the words' inverse document frequencies, which no repetition exceeds."""
        if self._feedback is not None:
            raise DataError(
                "with feedback, a query is known only when it has been searched for: no fusion by bounds"
            )
        return self.expected()

    def expected(self) -> Sequence[float]:
        """See `Asked.expected`: the sum of the words' inverse document frequencies."""
        if self._expected is None:
            self._expected = self.searcher.word_bounds(self.words)
        return self._expected


class WordRetriever(LocalRetriever):
    """Answers questions by BM25 over the documents' words.

    Args:
        index: the documents; it must have been made with words.
        bm25: its parameters.
        exact: in a sum, the weight of these scores is multiplied by 1 + ``exact`` times the share
            of identifiers (`is_identifier`) in what the query may score: pieces of words, which is
            all that a model's vocabulary has of them, do not outvote an exact rare word.
        feedback: add words of the best documents to the query and search again, whatever its
            ``words`` says, which is for hybrids and pipelines; None for once.

    Raises:
        IndexStateError: the index has no words.
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
        if not 0 <= exact < float("inf"):
            raise DataError(f"exact must be finite and at least 0, got {exact!r}")
        if index.schema.words is None:
            raise IndexStateError(
                f"{index.path} was made without words: make a new index with words to search them"
            )
        self.bm25 = bm25
        self.exact = exact
        self.feedback = feedback

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> WordsAsked:
        """See `LocalRetriever.ask`."""
        words = searcher.analyzed(queries)
        shares = [identifier_share(searcher, each) if self.exact else 0.0 for each in words]
        return WordsAsked(searcher, queries, words, self.bm25, self.feedback, self.exact, shares)

    def with_feedback(self, feedback: Feedback | None) -> Self:
        """The same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other
