"""The best documents of one retriever, put in order by a reranker."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document
from lexpand.errors import DataError, LexpandWarning, ModelError
from lexpand.index import Matches
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.hit import Hits
from lexpand.search.notes import Note, Reason
from lexpand.search.rerank.reranker import Reranker
from lexpand.search.retriever import LocalRetriever, Retriever, above, check_queries

RERANK_DEPTH = 100
"""Documents that are reranked."""


class RerankingRetriever(Retriever):
    """Finds with one retriever and lets a reranker put the best documents in order; ``first >> reranker``.

    What is scored of a document is its title and text, or, where it was found by one of several
    chunks, that chunk. Documents that were reranked stand first, by the reranker's scores, equal
    ones in the first retriever's order. The others keep that order below them: the p-th of them,
    from 1, has the least of those scores minus p / (p + 1).

    Nothing that a reranker does loses the first ranking. Where it raises an error or gives scores
    that are not finite, a query keeps the first retriever's ranking and scores; a LexpandWarning
    says so once a call. Where its time is up, what it reached stands first. Both leave a `Note` on
    the ranking.

    Args:
        first: the retriever; its filters and groups hold, and a group's document is the one that it
            finds.
        reranker: scores texts.
        depth: documents of each query that are reranked.
        budget_ms: milliseconds that a query's reranking may take; None for as long as it takes. The
            clock is looked at between batches, best documents first: the first batch is always
            scored, and one begun is finished.
        clock: seconds that never go back.

    Raises:
        DataError: the depth is below 1, or the budget is not above 0.
    """

    def __init__(
        self,
        first: Retriever,
        reranker: Reranker,
        *,
        depth: int = RERANK_DEPTH,
        budget_ms: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
            raise DataError(f"a depth of {depth!r}: at least one document must be reranked")
        if budget_ms is not None and not _is_above_zero(budget_ms):
            raise DataError(f"a budget of {budget_ms!r} ms: it must be finite and above 0")
        self.first = first
        self.reranker = reranker
        self.depth = depth
        self.budget_ms = budget_ms
        self._clock = clock

    def reading(self) -> Self:
        """See `Retriever.reading`."""
        other = copy(self)
        other.first = self.first.reading()
        return other

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`; ``threads`` are the first retriever's."""
        queries = check_queries(queries)
        first = self.first.reading()
        found = first.rank(
            queries, self._deep(k), filter=filter, group_by=group_by, threads=threads
        )
        ranked = self._all_reranked(first, queries, found, k)
        _warn_of_failures([matches.notes[-1] for matches in ranked if _failed(matches)])
        return ranked

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
        """See `Retriever.search_many`; terms and passages are those of the first retriever, where it has an index."""
        first = self.first.reading()
        if not isinstance(first, LocalRetriever):
            return super().search_many(
                queries,
                k,
                filter=filter,
                group_by=group_by,
                threads=threads,
                passages=passages,
                min_score=min_score,
            )
        queries = check_queries(queries)
        asked = first.ask(first.searcher, queries).resolved(filter=filter, threads=threads)
        found = asked.passages(self._deep(k), filter=filter, group_by=group_by, threads=threads)
        ranked = self._all_reranked(
            first, queries, [first.searcher.named(each) for each in found], k
        )
        _warn_of_failures([matches.notes[-1] for matches in ranked if _failed(matches)])
        return [
            Hits(
                first.hits_of(
                    asked, place, _passages_of(above(matches, min_score), found[place]), passages
                ),
                query,
                matches.notes,
            )
            for place, (query, matches) in enumerate(zip(queries, ranked, strict=True))
        ]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self.first.documents(doc_ids)

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """See `Retriever.documents_of`."""
        return self.first.documents_of(matches)

    def close(self) -> None:
        """Close the first retriever."""
        self.first.close()

    def _deep(self, k: int) -> int:
        """How many documents the first retriever is asked for."""
        return max(k, self.depth) if k > 0 else k

    def _all_reranked(
        self, first: Retriever, queries: Sequence[str], found: Sequence[Matches], k: int
    ) -> Sequence[Matches]:
        if k == 0:
            return found
        return [
            self._reranked(first, query, matches)[:k]
            for query, matches in zip(queries, found, strict=True)
        ]

    def _reranked(self, first: Retriever, query: str, matches: Matches) -> Matches:
        top = matches[: self.depth]
        if not top:
            return matches
        begun = self._clock()
        try:
            texts = _texts(first, top)
            scores = self._scores(query, texts, begun)
        except Exception as error:  # noqa: BLE001 - anybody's model: whatever it raises, the first ranking stands
            return _noted(
                matches, Note(Reason.FAILURE, 0, len(top), f"{type(error).__name__}: {error}")
            )
        ordered = _in_order(matches, scores)
        if len(scores) == len(top):
            return ordered
        return _noted(
            ordered, Note(Reason.BUDGET, len(scores), len(top), f"budget of {self.budget_ms:g} ms")
        )

    def _scores(self, query: str, texts: Sequence[str], begun: float) -> NDArray[np.float64]:
        """Scores of the texts, float64; where there is a budget, of as many as it reached."""
        if self.budget_ms is None:
            return _checked(self.reranker.score(query, texts), len(texts))
        size, parts = self.reranker.batch, []
        for start in range(0, len(texts), size):
            if start and (self._clock() - begun) * 1e3 >= self.budget_ms:
                break
            batch = texts[start : start + size]
            parts.append(_checked(self.reranker.score(query, batch), len(batch)))
        return np.concatenate(parts)


def _passages_of(matches: Matches, found: RankedPassages) -> RankedPassages:
    """The passages that were found first, in the order and with the scores that they have now."""
    places = {row: place for place, row in enumerate(found.rows.tolist())}
    chosen = found.at([places[row] for row in matches.rows.tolist()])
    return RankedPassages(matches.scores, chosen.rows, chosen.segments, chosen.ordinals)


def _texts(first: Retriever, matches: Matches) -> list[str]:
    documents = first.documents_of(matches)
    found = [(documents[match.doc_id].full_text, match.span) for match in matches]
    return [text if span is None else text[slice(*span)] for text, span in found]


def _in_order(matches: Matches, scores: NDArray[np.float64]) -> Matches:
    """The first matches by their scores, then the others."""
    order = np.argsort(-scores, kind="stable")
    best = scores[order]
    rest = np.arange(1, len(matches) - len(scores) + 1)
    places = [*order.tolist(), *range(len(scores), len(matches))]
    return Matches(
        [matches.doc_ids[place] for place in places],
        np.concatenate([best, best[-1] - rest / (rest + 1)]),
        matches.rows[places],
        None if matches.spans is None else [matches.spans[place] for place in places],
        matches.notes,
    )


def _noted(matches: Matches, note: Note) -> Matches:
    return Matches(
        matches.doc_ids, matches.scores, matches.rows, matches.spans, (*matches.notes, note)
    )


def _failed(matches: Matches) -> bool:
    return bool(matches.notes) and matches.notes[-1].reason is Reason.FAILURE


def _checked(scores: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    found = np.asarray(scores, np.float64)
    if found.shape != (count,):
        raise ModelError(
            f"scores of the shape {found.shape} for {count} texts: there must be one a text"
        )
    wrong = int(np.count_nonzero(~np.isfinite(found)))
    if wrong:
        raise ModelError(f"{wrong} of {count} scores are not finite")
    return found


def _warn_of_failures(failures: Sequence[Note]) -> None:
    if failures:
        some = "a query keeps its" if len(failures) == 1 else f"{len(failures)} queries keep their"
        # 3: the caller of `rank`, or of `search` and `run` one further up, which cannot be told
        # apart here.
        warnings.warn(
            f"{some} first ranking, for the reranker failed: {failures[0].detail}",
            LexpandWarning,
            stacklevel=3,
        )


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
