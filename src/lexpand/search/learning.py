"""How much should each part of a hybrid count? Weights learned from judged queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Qrels, Query, Run, ScoredDocument
from lexpand.encode import Encoder
from lexpand.errors import DataError
from lexpand.evaluation import evaluate
from lexpand.index import Index
from lexpand.index.passages import RankedPassages
from lexpand.search.hybrid import fused_passages
from lexpand.search.pipeline import Pipeline
from lexpand.search.retriever import LocalRetriever

# Documents of a ranking that are judged.
_DEPTH = 100


Judge = Callable[[Run, Qrels], float]
"""How good a run is: a mean over the queries of the qrels, more is better."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights, and what they are worth.

    Attributes:
        pipeline: with the weights, which add up to 1.
        fitted: the measure on the queries that chose them: too good for others.
        estimate: the measure where each fold of the queries is ranked by the weights that the
            others choose: what to expect of new queries of the same kind.
        equal: the measure with equal weights.
    """

    pipeline: Pipeline
    fitted: float
    estimate: float
    equal: float

    @property
    def weights(self) -> tuple[float, ...]:
        """Of each part, in order."""
        return tuple(part.weight for part in self.pipeline.parts)


def learn_weights(
    pipeline: Pipeline,
    index: Index,
    encoder: Encoder | None,
    queries: Sequence[Query],
    qrels: Qrels,
    measure: str | Judge = "nDCG@10",
    *,
    steps: int = 20,
    folds: int = 5,
    threads: int = 1,
) -> Learned:
    """The weights of a pipeline's parts that rank judged queries best.

    All weights that are multiples of 1 / ``steps``, above 0 and add up to 1 are tried: 19 for two
    parts, 171 for three. Of equally good ones, the most even are taken. The parts rank once;
    reranking is left out, and put back. The same arguments give the same result.

    Args:
        pipeline: of several parts.
        index: the documents.
        encoder: the model of their vectors.
        queries: those that the qrels judge are used.
        qrels: the judgments.
        measure: what the weights are to make large: the name of a measure, as `lexpand.evaluate`
            takes it, or a function.
        steps: how fine the weights are.
        folds: of the queries, query i in fold i modulo ``folds``, for the estimate.
        threads: that the parts may use.

    Raises:
        DataError: the pipeline has one part or feedback (which depends on the weights), there are
            fewer judged queries than folds or fewer steps than parts, or fewer than two folds.
    """
    judged = [query for query in queries if query.query_id in qrels.judgments]
    count = len(pipeline.parts)
    if count < 2 or pipeline.feedback is not None:
        raise DataError("learning weights: the pipeline must have several parts, and no feedback")
    if not 2 <= folds <= len(judged) or steps < count:
        raise DataError(
            f"learning weights from {len(judged)} judged queries in {folds} folds with {steps} steps: at least two "
            "folds, a judged query for each, and a step for each part"
        )
    table = _Table(pipeline, index, encoder, judged, threads)
    places = [range(fold, len(judged), folds) for fold in range(folds)]
    kept = [_judgments(qrels, [judged[i] for i in some]) for some in places]
    sizes = np.array([len(some) for some in places], np.float64)

    judge = _judge_of(measure)

    def measured(weights: Sequence[float]) -> list[float]:
        return [
            judge(run, some) for run, some in zip(table.runs(weights, places), kept, strict=True)
        ]

    grid = sorted(
        _simplex(count, steps), key=lambda weights: (round(float(np.var(weights)), 12), weights)
    )
    found = np.array([measured(weights) for weights in grid])
    whole = found @ sizes / sizes.sum()
    best = grid[int(whole.argmax())]
    parts = tuple(
        replace(part, weight=weight) for part, weight in zip(pipeline.parts, best, strict=True)
    )
    equal = np.array(measured([1 / count] * count)) @ sizes / sizes.sum()
    return Learned(
        replace(pipeline, parts=parts), float(whole.max()), _estimate(found, sizes), float(equal)
    )


def _judge_of(measure: str | Judge) -> Judge:
    return (
        (lambda run, qrels: evaluate(run, qrels, [measure])[measure])
        if isinstance(measure, str)
        else measure
    )


class _Table:
    """What each part finds for each query."""

    def __init__(
        self,
        pipeline: Pipeline,
        index: Index,
        encoder: Encoder | None,
        queries: Sequence[Query],
        threads: int,
    ) -> None:
        texts = [query.text for query in queries]
        self._searcher = index.searcher()
        retrievers = [part.retriever(index, encoder).retriever for part in pipeline.parts]
        asked = [
            each.ask(self._searcher, texts)
            for each in retrievers
            if isinstance(each, LocalRetriever)
        ]
        found = [each.passages(pipeline.depth, threads=threads) for each in asked]
        self._queries = queries
        self._fusion = pipeline.fusion
        self._rankings: list[tuple[RankedPassages, ...]] = list(zip(*found, strict=True))
        self._scales = list(zip(*(each.scales(pipeline.fusion) for each in asked), strict=True))

    def runs(self, weights: Sequence[float], parts: Sequence[Sequence[int]]) -> list[Run]:
        """A run of the queries at the places of each part."""
        return [
            Run({self._queries[i].query_id: self._ranking(i, weights) for i in places})
            for places in parts
        ]

    def _ranking(self, place: int, weights: Sequence[float]) -> list[ScoredDocument]:
        fused = fused_passages(self._rankings[place], weights, self._fusion, self._scales[place])
        best = self._searcher.named(fused.at(slice(0, _DEPTH)))
        return [ScoredDocument(match.doc_id, match.score) for match in best]


def _judgments(qrels: Qrels, queries: Sequence[Query]) -> Qrels:
    return Qrels({query.query_id: qrels.judgments[query.query_id] for query in queries})


def _simplex(count: int, steps: int) -> Iterator[tuple[float, ...]]:
    """All weights that are multiples of 1 / steps, above 0 and add up to 1."""
    for cuts in combinations(range(1, steps), count - 1):
        yield tuple((end - start) / steps for start, end in pairwise((0, *cuts, steps)))


def _estimate(found: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """The mean over folds [weights, folds], each by the weights that are best on the others."""
    sums = found * sizes
    others = sums.sum(axis=1, keepdims=True) - sums
    return float(sums[others.argmax(axis=0), np.arange(len(sizes))].sum() / sizes.sum())
