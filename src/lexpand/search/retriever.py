"""The protocol of retrievers: ranking queries, searching for hits, and runs for evaluation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from lexpand.data import Document, Query, Run, ScoredDocument
from lexpand.data.arguments import check_integer, check_number
from lexpand.data.documents import check_text
from lexpand.errors import DataError
from lexpand.index import Index, Matches, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.hit import Hit, Hits, PassageHit, make_hits
from lexpand.search.prepared import PreparedQueries

TERMS = 8
"""The number of terms that a hit has."""

if TYPE_CHECKING:
    from lexpand.search.rerank import Reranker
    from lexpand.search.reranking import RerankingRetriever


class Retriever(ABC):
    """The protocol of retrievers, which rank documents for questions in words.

    Documents are named by their ``doc_id``. `LocalRetriever` is the kind over an index of Lexpand.
    A retriever over another engine or a server implements `rank` and `documents`, and inherits the
    rest. ``retriever + other`` is a hybrid of both, ``0.4 * retriever`` weights a retriever in a
    hybrid, and ``retriever >> reranker`` reranks its documents.
    """

    @abstractmethod
    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """Return the best ``k`` documents of each query, best first.

        Args:
            queries: the texts of the queries.
            k: the number of documents, from 0.
            filter: a condition on metadata; see `Index.search`.
            group_by: a metadata field; only the best document of each value is found. See
                `Index.search`.
            threads: the number of threads.

        Raises:
            DataError: k is negative, threads is below 1, one is not an integer, or ``queries`` is
                a string.
            FilterError: see `Index.search`.
        """

    @abstractmethod
    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """Return documents by their ids, without those that do not exist."""

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """Return the documents of a ranking, by ``doc_id``."""
        return self.documents(matches.doc_ids)

    def reading(self) -> Self:
        """Return the same retriever over a fixed state of its documents.

        Documents that one call finds can then be read by the next. A retriever without snapshots
        returns itself.
        """
        return self

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        passages: int = 1,
        min_score: float | None = None,
    ) -> Hits:
        """Return the best ``k`` documents of a query with their texts; see `search_many`.

        The ``notes`` of the result say if a step was cut short or failed.
        """
        (found,) = self.search_many(
            [query], k, filter=filter, group_by=group_by, passages=passages, min_score=min_score
        )
        return found

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
        passages: int = 1,
        min_score: float | None = None,
    ) -> list[Hits]:
        """Return the hits of several queries.

        Args:
            queries: the texts of the queries.
            k: the number of documents for each query.
            filter: see `rank`.
            group_by: see `rank`.
            threads: see `rank`.
            passages: the number of passages of each hit, best first, if documents are in chunks.
            min_score: the smallest score that a hit may have.

        Raises:
            DataError, FilterError: see `rank`; or passages is below 1, or min_score is not a
                number.
        """
        check_display(passages, min_score)
        queries, reading = check_queries(queries), self.reading()
        found = reading.rank(queries, k, filter=filter, group_by=group_by, threads=threads)
        hits = []
        for query, matches in zip(queries, found, strict=True):
            documents = reading.documents_of(matches)
            kept = with_min_score(matches, min_score)
            hits.append(Hits(make_hits(query, kept, documents), query, matches.notes))
        return hits

    def run(self, queries: Sequence[Query], k: int = 1000, *, threads: int = 1) -> Run:
        """Return the rankings of many queries, without texts, for evaluation."""
        found = self.rank([query.text for query in queries], k, threads=threads)
        return Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches]
                for query, matches in zip(queries, found, strict=True)
            }
        )

    def close(self) -> None:  # noqa: B027 - a retriever may hold nothing open
        """Release open resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __add__(self, other: Retriever | Weighted) -> Retriever:
        return Weighted(self) + other

    def __rmul__(self, weight: float) -> Weighted:
        return Weighted(self, weight)

    def __rshift__(self, reranker: Reranker) -> RerankingRetriever:
        from lexpand.search.rerank import Reranker
        from lexpand.search.reranking import RerankingRetriever

        return (
            RerankingRetriever(self, reranker) if isinstance(reranker, Reranker) else NotImplemented
        )


@dataclass(frozen=True, slots=True)
class Weighted:
    """A retriever with its weight in a sum, as ``0.4 * retriever`` makes it.

    Raises:
        DataError: the weight is not finite and above 0.
    """

    retriever: Retriever
    weight: float = 1.0

    def __post_init__(self) -> None:
        weight = self.weight
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not 0 < weight < float("inf")
        ):
            raise DataError(f"the weight of a retriever must be finite and > 0, got {weight!r}")
        object.__setattr__(self, "weight", float(weight))

    def __rmul__(self, weight: float) -> Weighted:
        return Weighted(self.retriever, weight)

    def __add__(self, other: Retriever | Weighted) -> Retriever:
        from lexpand.search.mixed import hybrid_of

        if not isinstance(other, Retriever | Weighted):
            return NotImplemented
        return hybrid_of([*addends_of(self), *addends_of(other)])


def addends_of(addend: Retriever | Weighted) -> Sequence[Weighted]:
    """Return the addends of a sum.

    A plain sum without a weight has the addends of its parts. Anything else is one addend.
    """
    from lexpand.search.hybrid import HybridRetriever

    weighted = addend if isinstance(addend, Weighted) else Weighted(addend)
    inner = weighted.retriever
    if weighted.weight == 1 and isinstance(inner, HybridRetriever) and inner.is_plain:
        return inner.parts
    return [weighted]


class LocalRetriever(Retriever):
    """A retriever over one index.

    Args:
        index: the documents.

    Attributes:
        index: the documents.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._searcher: Searcher | None = None

    @property
    def searcher(self) -> Searcher:
        """The commit that is read: fixed after `reading`, else the current one of the index."""
        return self._searcher or self.index.searcher()

    def reading(self) -> Self:
        """See `Retriever.reading`."""
        return self if self._searcher is not None else self.over(self.index.searcher())

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self) -> dict[str, object]:
        # Unpickling opens the index again, at its newest commit.
        return {**self.__dict__, "_searcher": None}

    def over(self, searcher: Searcher) -> Self:
        """Return the same retriever over one commit of its index."""
        other = copy(self)
        other._searcher = searcher
        return other

    @abstractmethod
    def ask(self, searcher: Searcher, queries: Sequence[str]) -> PreparedQueries:
        """Encode or analyze queries once, to run on a commit of the index."""

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`."""
        check_ranking(k, threads)
        prepared = self.ask(self.searcher, check_queries(queries))
        return prepared.matches(k, filter=filter, group_by=group_by, threads=threads)

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
        passages: int = 1,
        min_score: float | None = None,
    ) -> list[Hits]:
        """See `Retriever.search_many`."""
        check_ranking(k, threads)
        check_display(passages, min_score)
        queries, reading = check_queries(queries), self.reading()
        prepared = reading.ask(reading.searcher, queries)
        if k:
            prepared = prepared.resolved(filter=filter, threads=threads)
        found = prepared.passages(k, filter=filter, group_by=group_by, threads=threads)
        notes = prepared.notes()
        return [
            Hits(
                reading.hits_of(prepared, place, _at_least(best, min_score), passages),
                query,
                notes[place],
            )
            for place, (query, best) in enumerate(zip(queries, found, strict=True))
        ]

    def hits_of(
        self, asked: PreparedQueries, place: int, found: RankedPassages, passages: int
    ) -> list[Hit]:
        """Return the hits of found passages, with their texts, terms and further passages.

        Args:
            asked: the prepared queries.
            place: the position of the query.
            found: the passages that were found for the query.
            passages: the number of passages of each hit.
        """
        matches = self.searcher.named(found)
        documents, terms = self.documents_of(matches), asked.terms(place, found, TERMS)
        hits = make_hits(asked.queries[place], matches, documents)
        best = [tuple(sorted(each.items(), key=lambda pair: -pair[1])[:TERMS]) for each in terms]
        hits = [replace(hit, terms=top) for hit, top in zip(hits, best, strict=True)]
        if passages == 1:
            return hits
        spans = [asked.spans(place, hit.doc_id)[:passages] for hit in hits]
        return [
            replace(hit, passages=_passages(hit, each, documents))
            for hit, each in zip(hits, spans, strict=True)
        ]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self.searcher.documents_by_id(doc_ids)

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """See `Retriever.documents_of`; reads documents by row."""
        found = self.searcher.documents(matches.rows.tolist())
        return {document.doc_id: document for document in found.values()}

    def close(self) -> None:
        """Close the index."""
        self.index.close()


def _passages(
    hit: Hit, spans: Sequence[tuple[int, int]], documents: Mapping[str, Document]
) -> tuple[PassageHit, ...]:
    """Return the passages at ``spans``; none if there is only one."""
    text = documents[hit.doc_id].full_text
    found = tuple(PassageHit(text[slice(*span)], span) for span in spans)
    return found if len(found) > 1 else ()


def _at_least(passages: RankedPassages, min_score: float | None) -> RankedPassages:
    if min_score is None:
        return passages
    return passages.at(slice(0, int(np.count_nonzero(passages.scores >= min_score))))


def with_min_score(matches: Matches, min_score: float | None) -> Matches:
    """Return the matches with at least this score."""
    if min_score is None:
        return matches
    return matches[: int(np.count_nonzero(matches.scores >= min_score))]


def check_ranking(k: int, threads: int) -> None:
    """Check the numbers of a ranking.

    Raises:
        DataError: k is negative, threads is below 1, or one is not an integer.
    """
    check_integer(k, "k", 0)
    check_integer(threads, "threads", 1)


def check_display(passages: int, min_score: float | None) -> None:
    """Check the number of passages and the least score of hits.

    Raises:
        DataError: passages is not an integer of at least 1, or the score is not a number.
    """
    check_integer(passages, "passages", 1)
    if min_score is not None:
        check_number(min_score, "min_score")
        if math.isnan(min_score):
            raise DataError("min_score must be a number, got nan: pass None for no limit")


def check_queries(queries: object) -> Sequence[str]:
    """Return the queries of a call as a sequence; an iterator is consumed.

    Raises:
        DataError: ``queries`` is a single query instead of a list, or an element is not a string.
    """
    if isinstance(queries, str | bytes):
        raise DataError(
            f"queries must be a list of strings, got the string {queries!r}: write [{queries!r}]"
        )
    if isinstance(queries, Mapping) or not isinstance(queries, Iterable):
        raise DataError(f"queries must be a list of strings, got a {type(queries).__name__}")
    checked = queries if isinstance(queries, Sequence) else list(queries)
    for place, query in enumerate(checked):
        check_text(query, f"query {place}")
    return checked
