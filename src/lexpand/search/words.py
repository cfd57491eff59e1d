"""Retrieval by the documents' words."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from lexpand.errors import DataError, IndexStateError
from lexpand.index import BM25, Index, Match, WordQuery
from lexpand.index.filters import Filter
from lexpand.search.feedback import Feedback, expanded_words
from lexpand.search.retriever import Retriever


class WordRetriever(Retriever):
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

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
        relevant: Sequence[Sequence[Match]] | None = None,
    ) -> Sequence[Sequence[Match]]:
        """See `Retriever.rank`.

        With feedback, ``relevant`` may name each query's relevant documents, with their scores, in the place of those
        that this retriever finds first.
        """
        # Nothing asked for needs no feedback, which would search.
        asked = self.asked(queries, filter=filter, threads=threads, relevant=relevant) if k else queries
        return self.index.search_words(asked, k, filter=filter, group_by=group_by, bm25=self.bm25, threads=threads)

    def asked(
        self,
        queries: Sequence[str],
        *,
        filter: Filter | None = None,
        threads: int = 1,
        relevant: Sequence[Sequence[Match]] | None = None,
    ) -> Sequence[WordQuery]:
        """The queries as they are searched for, the words of feedback added; see `rank`."""
        if self.feedback is None:
            return queries
        if relevant is None:
            first = self.feedback.documents
            relevant = self.index.search_words(queries, first, filter=filter, bm25=self.bm25, threads=threads)
        return expanded_words(self.index, queries, relevant, self.feedback)

    def with_feedback(self, feedback: Feedback) -> WordRetriever:
        """The same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other

    def bounds(self, queries: Sequence[str]) -> Sequence[float]:
        """See `Retriever.bounds`: the sum of the words' inverse document frequencies, which no repetition exceeds."""
        if self.feedback is not None:
            raise DataError("with feedback, a query is known only when it has been searched for: no fusion by bounds")
        return self.index.word_bounds(queries)
