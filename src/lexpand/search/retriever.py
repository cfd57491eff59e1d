"""One way to ask: every retriever ranks queries, searches for hits, and makes runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from lexpand.data import Document, Query, Run, ScoredDocument
from lexpand.data.documents import check_text
from lexpand.errors import DataError
from lexpand.index import Index, Matches, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.asked import Asked
from lexpand.search.hit import Hit, Hits, PassageHit, make_hits

TERMS = 8
"""Terms that a hit carries."""

if TYPE_CHECKING:
    from lexpand.search.rerank import Reranker
    from lexpand.search.reranking import RerankingRetriever


class Retriever(ABC):
    """Answers questions in words with ranked documents, which it names by their doc_ids.

    `LocalRetriever` is the kind over an index of Lexpand. A retriever over something else, an
    engine or a server, implements `rank` and `documents`, and everything else works with it:
    ``retriever + other`` is their hybrid, ``0.4 * retriever`` gives it a weight in one, ``retriever
    >> reranker`` reranks what it finds.
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
        """The best ``k`` documents of each query, best first.

        Args:
            queries: the questions.
            k: how many, from 0.
            filter: only documents whose metadata match; see `Index.search`.
            group_by: only the best document of each value of a field; see `Index.search`.
            threads: that may be used.

        Raises:
            DataError: k is negative, there are no threads, or queries is a string.
            FilterError: see `Index.search`.
        """

    @abstractmethod
    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """Documents by their ids; those that are not there are left out."""

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """The documents of a ranking, by doc_id."""
        return self.documents(matches.doc_ids)

    def reading(self) -> Self:
        """The same retriever over one state of its documents, so that what one call finds the next can read.

        A retriever whose documents have no snapshots is its own.
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
        """The best ``k`` documents for a question, best first, with their texts; see `rank` and `search_many`.

        Its ``notes`` say where a step was cut short or failed.
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
        """`search` for several questions at once.

        Args:
            queries: the questions.
            k: how many documents of each.
            filter: see `rank`.
            group_by: see `rank`.
            threads: see `rank`.
            passages: passages of a document that a hit carries, best first, where documents are in
                chunks.
            min_score: leave out documents below this score.
        """
        queries, reading = check_queries(queries), self.reading()
        found = reading.rank(queries, k, filter=filter, group_by=group_by, threads=threads)
        return [
            Hits(
                make_hits(query, above(matches, min_score), reading.documents_of(matches)),
                query,
                matches.notes,
            )
            for query, matches in zip(queries, found, strict=True)
        ]

    def run(self, queries: Sequence[Query], k: int = 1000, *, threads: int = 1) -> Run:
        """The rankings of many queries, without texts; for evaluation."""
        found = self.rank([query.text for query in queries], k, threads=threads)
        return Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches]
                for query, matches in zip(queries, found, strict=True)
            }
        )

    def close(self) -> None:  # noqa: B027 - a retriever may hold nothing open
        """Release what the retriever holds open."""

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
    """A retriever with its share in a sum, as ``0.4 * retriever`` makes it.

    Raises:
        DataError: the weight is not finite or not above 0.
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
            raise DataError(f"the weight of a retriever must be finite and above 0, got {weight!r}")
        object.__setattr__(self, "weight", float(weight))

    def __rmul__(self, weight: float) -> Weighted:
        return Weighted(self.retriever, weight)

    def __add__(self, other: Retriever | Weighted) -> Retriever:
        from lexpand.search.mixed import hybrid_of

        if not isinstance(other, Retriever | Weighted):
            return NotImplemented
        return hybrid_of([*terms_of(self), *terms_of(other)])


def terms_of(term: Retriever | Weighted) -> Sequence[Weighted]:
    """What a sum adds: the parts of a sum that nobody has weighted or set up otherwise, or the retriever itself."""
    from lexpand.search.hybrid import HybridRetriever

    weighted = term if isinstance(term, Weighted) else Weighted(term)
    inner = weighted.retriever
    if weighted.weight == 1 and isinstance(inner, HybridRetriever) and inner.is_plain:
        return inner.parts
    return [weighted]


class LocalRetriever(Retriever):
    """Answers questions in words from one index.

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
        """The commit that this retriever reads: always the same after `reading`, else what the index sees now."""
        return self._searcher or self.index.searcher()

    def reading(self) -> Self:
        """See `Retriever.reading`."""
        return self if self._searcher is not None else self.over(self.index.searcher())

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self) -> dict[str, object]:
        # A pickle opens the index again, and sees its newest commit.
        return {**self.__dict__, "_searcher": None}

    def over(self, searcher: Searcher) -> Self:
        """The same retriever over one commit of its index."""
        other = copy(self)
        other._searcher = searcher
        return other

    @abstractmethod
    def ask(self, searcher: Searcher, queries: Sequence[str]) -> Asked:
        """Put queries to a commit of the index: encode or analyze them, once."""

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
        asked = self.ask(self.searcher, check_queries(queries))
        return asked.matches(k, filter=filter, group_by=group_by, threads=threads)

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
        queries, reading = check_queries(queries), self.reading()
        asked = reading.ask(reading.searcher, queries)
        if k:
            asked = asked.resolved(filter=filter, threads=threads)
        found = asked.passages(k, filter=filter, group_by=group_by, threads=threads)
        notes = asked.notes()
        return [
            Hits(
                reading.hits_of(asked, place, _above(best, min_score), passages),
                query,
                notes[place],
            )
            for place, (query, best) in enumerate(zip(queries, found, strict=True))
        ]

    def hits_of(self, asked: Asked, place: int, found: RankedPassages, passages: int) -> list[Hit]:
        """RankedPassages with the texts of their documents, their terms, and passages where several are asked for."""
        matches = self.searcher.named(found)
        documents, terms = self.documents_of(matches), asked.terms(place, found, TERMS)
        hits = make_hits(asked.queries[place], matches, documents)
        best = [tuple(sorted(each.items(), key=lambda pair: -pair[1])[:TERMS]) for each in terms]
        if passages == 1:
            return [replace(hit, terms=mine) for hit, mine in zip(hits, best, strict=True)]
        return [
            replace(
                hit,
                terms=mine,
                passages=_passages(hit, asked.spans(place, hit.doc_id)[:passages], documents),
            )
            for hit, mine in zip(hits, best, strict=True)
        ]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self.searcher.documents_by_id(doc_ids)

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """See `Retriever.documents_of`; by row, which asks for no id."""
        found = self.searcher.documents(matches.rows.tolist())
        return {document.doc_id: document for document in found.values()}

    def close(self) -> None:
        """Close the index."""
        self.index.close()


def _passages(
    hit: Hit, spans: Sequence[tuple[int, int]], documents: Mapping[str, Document]
) -> tuple[PassageHit, ...]:
    """The passages at these spans; none where the hit is the only one."""
    text = documents[hit.doc_id].full_text
    found = tuple(PassageHit(text[slice(*span)], span) for span in spans)
    return found if len(found) > 1 else ()


def _above(passages: RankedPassages, min_score: float | None) -> RankedPassages:
    return (
        passages
        if min_score is None
        else passages.at(slice(0, int(np.count_nonzero(passages.scores >= min_score))))
    )


def above(matches: Matches, min_score: float | None) -> Matches:
    """The matches of at least this score."""
    return (
        matches
        if min_score is None
        else matches[: int(np.count_nonzero(matches.scores >= min_score))]
    )


def check_queries(queries: object) -> Sequence[str]:
    """The queries of a call as a sequence; an iterator is read.

    Raises:
        DataError: one query is handed in instead of a list of them, or an element is no string.
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
