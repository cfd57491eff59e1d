"""A question that was put to a retriever, ready for questions about its answer: why this document, and why not that?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lexpand.explanation.results import Explanation, Loss
from lexpand.index import Match
from lexpand.index.filters import Filter
from lexpand.search.asked import Asked
from lexpand.search.retriever import LocalRetriever

# Documents that are looked through first for one whose rank is asked for.
_FIRST_LOOK = 100


class Inquiry(ABC):
    """What a retriever made of one question.

    Args:
        retriever: the retriever, over one commit of its index.
        asked: the question as it was searched for at last, what feedback adds included.
        filter: which documents could be found.

    Attributes:
        kind: the retriever's name in a pipeline.
        searcher: the commit that was searched.
        query: the question.
        filter: which documents could be found.
    """

    kind: str

    def __init__(self, retriever: LocalRetriever, asked: Asked, filter: Filter | None) -> None:
        self.searcher = asked.searcher
        self.query = asked.queries[0]
        self.filter = filter
        self._retriever = retriever
        self._put = asked

    def best(self, k: int) -> Sequence[Match]:
        """The best documents, as a search finds them."""
        return self._put.matches(k, filter=self.filter)[0]

    @abstractmethod
    def explanation(self, doc_id: str) -> Explanation:
        """A document's score.

        Raises:
            UnknownDocument: the index has no such document.
        """

    @abstractmethod
    def rank_of(self, doc_id: str) -> int | None:
        """The document's exact place, from 1, among all that the filter lets through; None where it is no hit."""

    @abstractmethod
    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """What the document lost on its way into the index and the best ``k``, as far as this question asks for it."""


def place_of(doc_id: str, find: Callable[[int], Sequence[Match]]) -> int | None:
    """The rank of a document in the ranking that ``find`` gives for any number of documents; None where it lacks it."""
    k = _FIRST_LOOK
    while True:
        matches = find(k)
        for rank, match in enumerate(matches, 1):
            if match.doc_id == doc_id:
                return rank
        if len(matches) < k:
            return None
        k *= 10
