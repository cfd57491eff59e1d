"""Weights of the parts of a hybrid, learned from judged queries."""

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
from lexpand.search.pipeline import Pipeline
from lexpand.search.trials import Trials

# The number of documents of a ranking that are judged.
_DEPTH = 100

Judge = Callable[[Run, Qrels], float]
"""A measure of a run: a mean over the queries of the judgments. Larger is better."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Learned weights and their evaluation.

    Attributes:
        pipeline: the pipeline with the learned weights, which sum to 1.
        fitted: the measure on the queries that chose the weights. It overestimates other queries.
        estimate: the cross-validated measure. Each fold is ranked with the weights that are best on
            the other folds. Expect this value for new queries of the same kind.
        equal: the measure with equal weights.
    """

    pipeline: Pipeline
    fitted: float
    estimate: float
    equal: float

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each part, in order."""
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
    """Return the weights of a pipeline's parts that rank judged queries best.

    The grid has all weights above 0 that are multiples of 1 / ``steps`` and sum to 1: 19 for two
    parts, 171 for three. If several are equally good, the most even ones win. The parts rank once.
    Reranking is left out while learning; the returned pipeline has it. The same arguments give the
    same result.

    Args:
        pipeline: a pipeline with several parts.
        index: the documents.
        encoder: the model of their vectors.
        queries: the queries. Only those with a relevant document (a grade >= 1) are used.
        qrels: the judgments.
        measure: the measure to maximize: a name that `lexpand.evaluate` knows, or a function.
        steps: the resolution of the weights.
        folds: the number of folds for the estimate. Query i is in fold i modulo ``folds``.
        threads: the number of threads that the parts may use.

    Raises:
        DataError: the pipeline has one part, or feedback, which depends on the weights. Or there
            are fewer such queries than folds, fewer steps than parts, or fewer than two folds.
    """
    judged = [
        query
        for query in queries
        if max(qrels.judgments.get(query.query_id, {}).values(), default=0) >= 1
    ]
    count = len(pipeline.parts)
    if count < 2 or pipeline.feedback is not None:
        feedback = "no feedback" if pipeline.feedback is None else "feedback"
        raise DataError(
            "learning weights: the pipeline must have several parts and no feedback, "
            f"got {count} and {feedback}"
        )
    if not 2 <= folds <= len(judged) or steps < count:
        raise DataError(
            "learning weights: folds must be from 2 to the number of queries with a relevant "
            f"document, and steps >= the number of parts, got {folds} folds, {len(judged)} such "
            f"queries, {steps} steps and {count} parts"
        )
    trials = Trials(index, encoder, [query.text for query in judged], threads=threads)
    places = [range(fold, len(judged), folds) for fold in range(folds)]
    fold_qrels = [_judgments(qrels, [judged[i] for i in fold]) for fold in places]
    sizes = np.array([len(fold) for fold in places], np.float64)

    judge = _judge_of(measure)

    def measured(weights: Sequence[float]) -> list[float]:
        rankings = [
            [ScoredDocument(match.doc_id, match.score) for match in matches]
            for matches in trials.matches(_weighted(pipeline, weights), _DEPTH)
        ]
        runs = [Run({judged[i].query_id: rankings[i] for i in fold}) for fold in places]
        return [judge(run, fold) for run, fold in zip(runs, fold_qrels, strict=True)]

    grid = sorted(
        _simplex(count, steps), key=lambda weights: (round(float(np.var(weights)), 12), weights)
    )
    found = np.array([measured(weights) for weights in grid])
    means = found @ sizes / sizes.sum()
    best = grid[int(means.argmax())]
    equal = np.array(measured([1 / count] * count)) @ sizes / sizes.sum()
    return Learned(
        replace(_weighted(pipeline, best), rerank=pipeline.rerank),
        float(means.max()),
        _estimate(found, sizes),
        float(equal),
    )


def _weighted(pipeline: Pipeline, weights: Sequence[float]) -> Pipeline:
    """Return the pipeline with other weights of its parts, without reranking."""
    pairs = zip(pipeline.parts, weights, strict=True)
    parts = tuple(replace(part, weight=weight) for part, weight in pairs)
    return replace(pipeline, parts=parts, rerank=None)


def _judge_of(measure: str | Judge) -> Judge:
    return (
        (lambda run, qrels: evaluate(run, qrels, [measure])[measure])
        if isinstance(measure, str)
        else measure
    )


def _judgments(qrels: Qrels, queries: Sequence[Query]) -> Qrels:
    return Qrels({query.query_id: qrels.judgments[query.query_id] for query in queries})


def _simplex(count: int, steps: int) -> Iterator[tuple[float, ...]]:
    """Yield all weights above 0 that are multiples of 1 / steps and sum to 1."""
    for cuts in combinations(range(1, steps), count - 1):
        yield tuple((end - start) / steps for start, end in pairwise((0, *cuts, steps)))


def _estimate(found: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Return the mean over folds, each measured with the weights that are best on the others.

    ``found`` is float64 [weights, folds].
    """
    sums = found * sizes
    others = sums.sum(axis=1, keepdims=True) - sums
    return float(sums[others.argmax(axis=0), np.arange(len(sizes))].sum() / sizes.sum())
