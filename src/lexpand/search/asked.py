"""Queries that were put to one commit of an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from lexpand.index import Matches, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.fusion import Fusion

Span = tuple[int, int]

if TYPE_CHECKING:
    from lexpand.search.feedback import Feedback


class Asked(ABC):
    """Queries, encoded or analyzed once, that can be ranked as often as needed.

    Attributes:
        searcher: the commit that they are put to.
        queries: the questions in words.
    """

    def __init__(self, searcher: Searcher, queries: Sequence[str]) -> None:
        self.searcher = searcher
        self.queries = queries

    def __len__(self) -> int:
        return len(self.queries)

    @abstractmethod
    def passages(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> Sequence[RankedPassages]:
        """The best ``k`` passages of each query; see `Retriever.rank`."""

    @abstractmethod
    def bounds(self) -> Sequence[float]:
        """The largest score that a document could have, of each query; for `Fusion.BOUND`."""

    @abstractmethod
    def expected(self) -> Sequence[float]:
        """The score of a passage that has all terms of the query, of each query; for `Fusion.EXPECTED`."""

    def scales(self, fusion: Fusion) -> Sequence[float]:
        """What a fusion by query divides the scores of each query by; 1 for other fusions."""
        if not fusion.by_query:
            return [1.0] * len(self)
        return self.bounds() if fusion is Fusion.BOUND else self.expected()

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> Self:
        """The queries as they are searched for at last: what their own feedback adds is in them."""
        del filter, threads
        return self

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> Asked:
        """The same queries with terms of relevant passages added; the queries as they are for kinds that learn nothing.

        Args:
            relevant: of each query, passages of the same searcher with scores above 0, which are their
                shares.
            feedback: how much they add.
        """
        del relevant, feedback
        return self

    def factors(self) -> Sequence[float]:
        """What the weight of these queries in a sum is multiplied by: above 1 where this kind knows them best."""
        return [1.0] * len(self)

    def identifiers(self) -> Sequence[float]:
        """The share of identifiers in what each query may score, 0 to 1, where this kind can tell."""
        return [0.0] * len(self)

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """What each shared term adds to the scores of passages for the query at a place, by terms as people read them.

        Args:
            place: the query.
            passages: of the searcher.
            most: how many terms of each passage, largest first; None for all.
        """
        del place, most
        return [{}] * len(passages)

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """The passages of a document, the best for the query at a place first: characters, first and end."""
        del place
        return [stored.span for stored in self.searcher.vectors(doc_id)]

    def notes(self) -> Sequence[tuple[Any, ...]]:
        """What there is to say of each query's ranking, once `passages` ran."""
        return [()] * len(self)

    def matches(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> list[Matches]:
        """`passages` with the ids of their documents."""
        found = [
            self.searcher.named(each)
            for each in self.passages(k, filter=filter, group_by=group_by, threads=threads)
        ]
        for matches, notes in zip(found, self.notes(), strict=True):
            matches.notes = notes
        return found
