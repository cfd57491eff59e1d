"""Retrieval with a reranker, which reorders the best documents of a first retriever."""

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
from lexpand.search.retriever import (
    LocalRetriever,
    Retriever,
    check_display,
    check_queries,
    check_ranking,
    with_min_score,
)

RERANK_DEPTH = 100
"""The number of documents that are reranked."""


class RerankingRetriever(Retriever):
    """A retriever whose best documents a reranker reorders, as ``first >> reranker`` makes it.

    The reranker reads the title and text of a document, or the chunk by which the document was
    found. Reranked documents come first, by the scores of the reranker. Equal scores keep the order
    of the first retriever. The other documents follow in that order: the p-th of them, from 1, has
    the least reranker score minus p / (p + 1).

    A reranker cannot lose the first ranking. If it raises an error or returns scores that are not
    finite, the query keeps the ranking and the scores of the first retriever, and one
    `LexpandWarning` is issued per call. If its time is up, the documents scored so far come first.
    Both cases leave a `Note` on the ranking.

    Args:
        first: the first retriever. Filters and groups apply to it; a group keeps the document that
            it finds.
        reranker: scores texts.
        depth: the number of documents of each query to rerank.
        budget_ms: the time limit of a query's reranking in milliseconds; None for no limit. The
            clock is checked between batches, best documents first. The first batch is always
            scored, and a started batch is finished.
        clock: returns seconds and never goes back.

    Raises:
        DataError: the depth is below 1, or the budget is not finite and above 0.
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
            raise DataError(f"depth of reranking must be an integer >= 1, got {depth!r}")
        if budget_ms is not None and not _is_finite_and_positive(budget_ms):
            raise DataError(f"budget_ms must be finite and > 0, got {budget_ms!r}")
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
        """See `Retriever.rank`; ``threads`` apply to the first retriever."""
        check_ranking(k, threads)
        queries = check_queries(queries)
        first = self.first.reading()
        found = first.rank(
            queries, self._first_depth(k), filter=filter, group_by=group_by, threads=threads
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
        """See `Retriever.search_many`.

        Terms and passages are those of the first retriever, if it has an index.
        """
        check_ranking(k, threads)
        check_display(passages, min_score)
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
        prepared = first.ask(first.searcher, queries).resolved(filter=filter, threads=threads)
        found = prepared.passages(
            self._first_depth(k), filter=filter, group_by=group_by, threads=threads
        )
        named = [first.searcher.named(each) for each in found]
        ranked = self._all_reranked(first, queries, named, k)
        _warn_of_failures([matches.notes[-1] for matches in ranked if _failed(matches)])
        hits = []
        for place, (query, matches) in enumerate(zip(queries, ranked, strict=True)):
            kept = _passages_of(with_min_score(matches, min_score), found[place])
            hits.append(Hits(first.hits_of(prepared, place, kept, passages), query, matches.notes))
        return hits

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self.first.documents(doc_ids)

    def documents_of(self, matches: Matches) -> Mapping[str, Document]:
        """See `Retriever.documents_of`."""
        return self.first.documents_of(matches)

    def close(self) -> None:
        """Close the first retriever."""
        self.first.close()

    def _first_depth(self, k: int) -> int:
        """Return the number of documents that the first retriever ranks."""
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
        started = self._clock()
        try:
            texts = _texts(first, top)
            scores = self._scores(query, texts, started)
        # A third-party model may raise anything. The first ranking is kept.
        except Exception as error:  # noqa: BLE001
            detail = f"{type(error).__name__}: {error}"
            return _with_note(matches, Note(Reason.FAILURE, 0, len(top), detail))
        ordered = _in_order(matches, scores)
        if len(scores) == len(top):
            return ordered
        note = Note(Reason.BUDGET, len(scores), len(top), f"budget of {self.budget_ms:g} ms")
        return _with_note(ordered, note)

    def _scores(self, query: str, texts: Sequence[str], started: float) -> NDArray[np.float64]:
        """Return scores of the texts, float64; with a budget, only of those that it reached."""
        if self.budget_ms is None:
            return _checked(self.reranker.score(query, texts), len(texts))
        size, parts = self.reranker.batch, []
        for start in range(0, len(texts), size):
            if start and (self._clock() - started) * 1e3 >= self.budget_ms:
                break
            batch = texts[start : start + size]
            parts.append(_checked(self.reranker.score(query, batch), len(batch)))
        return np.concatenate(parts)


def _passages_of(matches: Matches, found: RankedPassages) -> RankedPassages:
    """Return the passages of ``found`` in the order and with the scores of ``matches``."""
    places = {row: place for place, row in enumerate(found.rows.tolist())}
    chosen = found.at([places[row] for row in matches.rows.tolist()])
    return RankedPassages(matches.scores, chosen.rows, chosen.segments, chosen.ordinals)


def _texts(first: Retriever, matches: Matches) -> list[str]:
    documents = first.documents_of(matches)
    found = [(documents[match.doc_id].full_text, match.span) for match in matches]
    return [text if span is None else text[slice(*span)] for text, span in found]


def _in_order(matches: Matches, scores: NDArray[np.float64]) -> Matches:
    """Return the first matches by ``scores``, then the others."""
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


def _with_note(matches: Matches, note: Note) -> Matches:
    return Matches(
        matches.doc_ids, matches.scores, matches.rows, matches.spans, (*matches.notes, note)
    )


def _failed(matches: Matches) -> bool:
    return bool(matches.notes) and matches.notes[-1].reason is Reason.FAILURE


def _checked(scores: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    checked = np.asarray(scores, np.float64)
    if checked.shape != (count,):
        raise ModelError(
            "a reranker must return one score per text, "
            f"got shape {checked.shape} for {count} texts"
        )
    invalid = int(np.count_nonzero(~np.isfinite(checked)))
    if invalid:
        raise ModelError(f"{invalid} of {count} scores are not finite")
    return checked


def _warn_of_failures(failures: Sequence[Note]) -> None:
    if failures:
        count = len(failures)
        kept = "a query keeps its" if count == 1 else f"{count} queries keep their"
        # The stack level of the caller of `rank`. `search` and `run` are one level further, which
        # cannot be distinguished here.
        warnings.warn(
            f"the reranker failed, so {kept} first ranking: {failures[0].detail}",
            LexpandWarning,
            stacklevel=3,
        )


def _is_finite_and_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
