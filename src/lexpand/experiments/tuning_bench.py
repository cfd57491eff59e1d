"""Measure many pipelines on the same judged queries."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand.collection import Collection
from lexpand.data import Qrels, Query, Run, ScoredDocument
from lexpand.evaluation import evaluate_queries
from lexpand.experiments.evaluating import cutoff_of
from lexpand.search import Pipeline
from lexpand.search.trials import Trials

_DEPTH = 100  # of a ranking, for measures without a cutoff
_TIMED, _TIMED_RERANKED, _TIMED_K = 50, 5, 10  # queries, queries to rerank, documents


class Bench:
    """Measures pipelines on the same queries."""

    def __init__(
        self,
        kb: Collection,
        queries: Sequence[Query],
        qrels: Qrels,
        measure: str,
        left_out: Mapping[str, Sequence[str]],
        threads: int,
    ) -> None:
        self.default, self.measure, self.queries = kb.pipeline, measure, queries
        self._qrels, self._left_out = qrels, left_out
        texts = [query.text for query in queries]
        self._trials = Trials(kb.index, kb.encoder, texts, threads=threads)
        self._known: dict[tuple[int, tuple[str, ...]], float] = {}

    def affordable(self, pipelines: Sequence[Pipeline], budget_ms: float | None) -> list[Pipeline]:
        """Load the rerankers, and return the pipelines without those that rerank too much.

        Pairs of texts are expensive, so pipelines that rerank are timed before they are measured.

        Raises:
            ModelError, MissingExtra: a reranker cannot be loaded.
        """
        first: dict[int, Pipeline] = {}  # by depth
        for each in pipelines[1:]:
            if each.rerank is not None:
                first.setdefault(each.rerank.depth, each)
        for each in first.values():
            self._trials.retriever(each)
        if budget_ms is None:
            return list(pipelines)
        slow = {depth for depth, each in first.items() if self.latencies_ms([each])[0] > budget_ms}
        return [
            each
            for place, each in enumerate(pipelines)
            if not place or each.rerank is None or each.rerank.depth not in slow
        ]

    def measured(
        self, pipelines: Sequence[Pipeline], on_done: Callable[[int], None]
    ) -> NDArray[np.float64]:
        """Return the value of each query by each pipeline, float64 [pipelines, queries]."""
        found = []
        for pipeline in pipelines:
            found.append(self._values(pipeline))
            on_done(1)
        return np.array(found)

    def latencies_ms(self, pipelines: Sequence[Pipeline]) -> list[float]:
        """Return the median latency of each pipeline: a query, on one thread, for 10 documents."""
        slow = [each for each in dict.fromkeys(pipelines) if each.rerank is not None]
        fast = [each for each in dict.fromkeys(pipelines) if each.rerank is None]
        found = self._timed(fast, _TIMED) | self._timed(slow, _TIMED_RERANKED)
        return [found[each] for each in pipelines]

    def _timed(self, pipelines: Sequence[Pipeline], most: int) -> dict[Pipeline, float]:
        """Time pipelines on some queries, at even distances.

        The pipelines take turns, each query in another order, so that other work on the machine
        slows down all of them.
        """
        texts = [query.text for query in self.queries[:: max(1, len(self.queries) // most)]][:most]
        retrievers = [self._trials.retriever(each).reading() for each in pipelines]
        for retriever in retrievers:
            retriever.rank(texts[:1], _TIMED_K)  # caches of the index are filled
        times: list[list[float]] = [[] for _ in pipelines]
        for turn, text in enumerate(texts):
            for i in range(len(retrievers)):
                place = (turn + i) % len(retrievers)
                start = time.perf_counter()
                retrievers[place].rank([text], _TIMED_K)
                times[place].append((time.perf_counter() - start) * 1e3)
        medians = map(statistics.median, times)
        return dict(zip(pipelines, medians, strict=True))

    def _values(self, pipeline: Pipeline) -> NDArray[np.float64]:
        k = cutoff_of(self.measure) or _DEPTH
        more = max(map(len, self._left_out.values()), default=0)
        found = [
            self._kept(place, matches.doc_ids)[:k]
            for place, matches in enumerate(self._trials.matches(pipeline, k + more))
        ]
        new = [each for each in enumerate(found) if each not in self._known]
        if new:
            ids = [self.queries[place].query_id for place, _ in new]
            run = Run(
                {
                    query: [ScoredDocument(doc_id, -float(rank)) for rank, doc_id in enumerate(top)]
                    for query, (_, top) in zip(ids, new, strict=True)
                }
            )
            qrels = Qrels({query: self._qrels.judgments[query] for query in ids})
            values = evaluate_queries(run, qrels, self.measure)
            self._known |= {each: values[query] for query, each in zip(ids, new, strict=True)}
        return np.array([self._known[each] for each in enumerate(found)])

    def _kept(self, place: int, doc_ids: Sequence[str]) -> tuple[str, ...]:
        """Return a ranking without the documents that equal the query."""
        copies = self._left_out.get(self.queries[place].query_id, ())
        return tuple(doc_id for doc_id in doc_ids if doc_id not in copies)
