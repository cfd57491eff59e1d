"""Inquiries: a query that was searched, with methods that explain the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lexpand.explanation.results import Explanation, Loss
from lexpand.index import Match
from lexpand.index.filters import Filter
from lexpand.search.prepared import PreparedQueries
from lexpand.search.retriever import LocalRetriever

# The depth of the first ranking in which a document is searched.
_FIRST_DEPTH = 100


class Inquiry(ABC):
    """The result of a query with one retriever, ready to be explained.

    Args:
        retriever: the retriever, over one commit of its index.
        asked: the final query, with the terms of feedback.
        filter: the filter of the search.

    Attributes:
        kind: the name of the retriever in a pipeline.
        searcher: the commit that was searched.
        query: the text of the query.
        filter: the filter of the search.
    """

    kind: str

    def __init__(
        self, retriever: LocalRetriever, asked: PreparedQueries, filter: Filter | None
    ) -> None:
        self.searcher = asked.searcher
        self.query = asked.queries[0]
        self.filter = filter
        self._retriever = retriever
        self._asked = asked

    def best(self, k: int) -> Sequence[Match]:
        """Return the best documents, as a search finds them."""
        return self._asked.matches(k, filter=self.filter)[0]

    @abstractmethod
    def explanation(self, doc_id: str) -> Explanation:
        """Return the explanation of a document's score.

        Raises:
            UnknownDocument: the index has no such document.
        """

    @abstractmethod
    def rank_of(self, doc_id: str) -> int | None:
        """Return the exact rank of a document, from 1; None if the document is not a hit.

        The ranking has all documents that the filter lets through.
        """

    @abstractmethod
    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """Return what a document lost on its way into the index and into the best ``k``.

        Only losses that matter for the query are returned.
        """


def exact_rank(doc_id: str, find: Callable[[int], Sequence[Match]]) -> int | None:
    """Return the rank of a document, from 1; None if the ranking does not have it.

    ``find`` returns the ranking of any number of documents.
    """
    k = _FIRST_DEPTH
    while True:
        matches = find(k)
        for rank, match in enumerate(matches, 1):
            if match.doc_id == doc_id:
                return rank
        if len(matches) < k:
            return None
        k *= 10
