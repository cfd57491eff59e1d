"""One way to ask: every retriever ranks queries, searches for hits, and makes runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lexpand.data import Query, Run, ScoredDocument
from lexpand.errors import DataError
from lexpand.index import Index, Match
from lexpand.index.filters import Filter
from lexpand.search.hit import Hit, make_hits
from lexpand.search.notes import Noted, notes_of

if TYPE_CHECKING:
    from lexpand.search.hybrid import HybridRetriever
    from lexpand.search.rerank import Reranker
    from lexpand.search.reranking import RerankingRetriever


class Retriever(ABC):
    """Answers questions in words from one index.

    Retrievers of one index add up: ``sparse + words`` is a `HybridRetriever`, ``0.4 * sparse + 0.6 * words`` a weighted
    one. ``sparse + words >> reranker`` is a `RerankingRetriever` over the sum.

    Args:
        index: the documents.

    Attributes:
        index: the documents.
        weight: its share in a sum; 1 unless told.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.weight = 1.0

    @abstractmethod
    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Sequence[Match]]:
        """The best ``k`` documents of each query, best first.

        Args:
            queries: the questions.
            k: how many, from 0.
            filter: only documents whose metadata match; see `Index.search`.
            group_by: only the best document of each value of a field; see `Index.search`.
            threads: that may be used.

        Raises:
            DataError: k is negative, or there are no threads.
            FilterError: see `Index.search`.
        """

    def bounds(self, queries: Sequence[str]) -> Sequence[float]:
        """Of each query the largest score that a document could have; for `Fusion.BOUND`.

        Raises:
            DataError: this kind of retriever, or its settings, know none.
        """
        raise DataError(f"a {type(self).__name__} knows no largest score: fusion by bounds is for vectors and words")

    def search(
        self, query: str, k: int = 10, *, filter: Filter | None = None, group_by: str | None = None
    ) -> Noted[Hit]:
        """The best ``k`` documents for a question, best first; see `rank`.

        Its ``notes`` say where a step was cut short or failed.
        """
        (matches,) = self.rank([query], k, filter=filter, group_by=group_by)
        return Noted(make_hits(self.index, query, matches), notes_of(matches))

    def run(self, queries: Sequence[Query], k: int = 1000, *, threads: int = 1) -> Run:
        """The rankings of many queries, without texts; for evaluation."""
        found = self.rank([query.text for query in queries], k, threads=threads)
        return Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches]
                for query, matches in zip(queries, found, strict=True)
            }
        )

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __add__(self, other: Retriever) -> HybridRetriever:
        from lexpand.search.hybrid import HybridRetriever

        return HybridRetriever([*_parts(self), *_parts(other)])

    def __rshift__(self, reranker: Reranker) -> RerankingRetriever:
        from lexpand.search.rerank import Reranker
        from lexpand.search.reranking import RerankingRetriever

        return RerankingRetriever(self, reranker) if isinstance(reranker, Reranker) else NotImplemented

    def __rmul__(self, weight: float) -> Self:
        """A retriever of the same kind with another share in a sum."""
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise DataError(f"the weight {weight!r} of a retriever: it must be finite and above 0")
        other = copy(self)
        other.weight = float(weight)
        return other


def _parts(retriever: Retriever) -> Sequence[Retriever]:
    """What a sum adds: the parts of a sum that nobody has weighted or set up otherwise, or the retriever itself."""
    from lexpand.search.hybrid import HybridRetriever

    if isinstance(retriever, HybridRetriever) and retriever.is_plain:
        return retriever.parts
    return [retriever]
