"""Queries that are prepared to run on one commit of an index."""

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


class PreparedQueries(ABC):
    """Queries that were encoded or analyzed once and can be ranked any number of times.

    Attributes:
        searcher: the commit that they run on.
        queries: the texts of the queries.
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
        """Return the best ``k`` passages of each query; see `Retriever.rank`."""

    @abstractmethod
    def bounds(self) -> Sequence[float]:
        """Return the largest possible score of each query; see `Fusion.BOUND`."""

    @abstractmethod
    def expected(self) -> Sequence[float]:
        """Return the expected score of each query; see `Fusion.EXPECTED`.

        This is the score of a passage that has all terms of the query.
        """

    def scales(self, fusion: Fusion) -> Sequence[float]:
        """Return the divisor of each query's scores in ``fusion``, or 1 if there is none."""
        if not fusion.by_query:
            return [1.0] * len(self)
        return self.bounds() if fusion is Fusion.BOUND else self.expected()

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> Self:
        """Return the final queries, with the terms of their own feedback added."""
        del filter, threads
        return self

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> PreparedQueries:
        """Return the queries with terms of relevant passages added.

        A kind that does not learn from feedback returns the queries unchanged.

        Args:
            relevant: the relevant passages of each query, from the same searcher. Their scores are
                above 0 and are the weights of the passages.
            feedback: how much the passages add.
        """
        del relevant, feedback
        return self

    def factors(self) -> Sequence[float]:
        """Return the factor that multiplies the weight of this kind in a sum, for each query.

        It is above 1 if this kind matches the query better than others do.
        """
        return [1.0] * len(self)

    def identifiers(self) -> Sequence[float]:
        """Return the share of identifiers in the largest score of each query, 0 to 1.

        It is 0 for kinds that do not recognize identifiers.
        """
        return [0.0] * len(self)

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """Return the part of each passage's score that each shared term contributes.

        The keys are the terms in readable form.

        Args:
            place: the position of the query.
            passages: passages of the searcher.
            most: the number of terms for each passage, largest first; None for all.
        """
        del place, most
        return [{}] * len(passages)

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """Return the spans of a document's passages, the best passage for the query first.

        ``place`` is the position of the query.
        """
        del place
        return [stored.span for stored in self.searcher.vectors(doc_id)]

    def notes(self) -> Sequence[tuple[Any, ...]]:
        """Return the notes on each query's ranking; call `passages` first."""
        return [()] * len(self)

    def matches(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> list[Matches]:
        """Return the result of `passages` with the ids of the documents."""
        found = [
            self.searcher.named(each)
            for each in self.passages(k, filter=filter, group_by=group_by, threads=threads)
        ]
        for matches, notes in zip(found, self.notes(), strict=True):
            matches.notes = notes
        return found
