"""Retrieval by the documents' words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

from lexpand.errors import DataError, IndexStateError
from lexpand.index import BM25, Index, Searcher
from lexpand.index.filters import Filter
from lexpand.index.units import Units
from lexpand.search.asked import Asked, Span
from lexpand.search.feedback import Feedback, expanded_words
from lexpand.search.retriever import LocalRetriever


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
    ) -> None:
        super().__init__(searcher, queries)
        self.words = words
        self._bm25 = bm25
        self._feedback = feedback

    def units(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> Sequence[Units]:
        """See `Asked.units`."""
        # Nothing asked for needs no feedback, which would search.
        if self._feedback is not None and k:
            return self.resolved(filter=filter, threads=threads).units(
                k, filter=filter, group_by=group_by, threads=threads
            )
        return self.searcher.word_units(
            self.words, k, filter=filter, group_by=group_by, bm25=self._bm25, threads=threads
        )

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> WordsAsked:
        """The queries as they are searched for, the words of their own best documents added."""
        if self._feedback is None:
            return self
        plain = WordsAsked(self.searcher, self.queries, self.words, self._bm25, None)
        relevant = plain.units(self._feedback.documents, filter=filter, threads=threads)
        return plain._with_words_of(relevant, self._feedback)

    def learned(self, relevant: Sequence[Units], feedback: Feedback) -> WordsAsked:
        """See `Asked.learned`; only where ``feedback.words`` says so."""
        return self._with_words_of(relevant, feedback) if feedback.words else self

    def _with_words_of(self, relevant: Sequence[Units], feedback: Feedback) -> WordsAsked:
        words = expanded_words(self.searcher, self.words, relevant, feedback)
        return WordsAsked(self.searcher, self.queries, words, self._bm25, None)

    def terms(self, place: int, doc_id: str) -> dict[str, float]:
        """See `Asked.terms`; of the best passage."""
        found = self.searcher.word_score(self.words[place], doc_id, bm25=self._bm25)
        return {share.word: share.share for share in found.shares}

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `Asked.spans`."""
        return self.searcher.word_spans(self.words[place], doc_id, bm25=self._bm25)

    def bounds(self) -> Sequence[float]:
        """See `Asked.bounds`: the sum of the words' inverse document frequencies, which no repetition exceeds."""
        if self._feedback is not None:
            raise DataError("with feedback, a query is known only when it has been searched for: no fusion by bounds")
        return self.searcher.word_bounds(self.words)


class WordRetriever(LocalRetriever):
    """Answers questions by BM25 over the documents' words.

    Args:
        index: the documents; it must have been made with words.
        bm25: its parameters.
        feedback: add words of the best documents to the query and search again, whatever its ``words`` says, which is
            for hybrids and pipelines; None for once.

    Raises:
        IndexStateError: the index has no words.
    """

    def __init__(
        self,
        index: Index,
        bm25: BM25 = BM25(),  # noqa: B008 - frozen
        *,
        feedback: Feedback | None = None,
    ) -> None:
        super().__init__(index)
        if index.schema.words is None:
            raise IndexStateError(f"{index.path} was made without words: make a new index with words to search them")
        self.bm25 = bm25
        self.feedback = feedback

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> WordsAsked:
        """See `LocalRetriever.ask`."""
        return WordsAsked(searcher, queries, searcher.analyzed(queries), self.bm25, self.feedback)

    def with_feedback(self, feedback: Feedback | None) -> Self:
        """The same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other
