"""Look for a better pipeline on judged queries, and test whether it is better."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.data.arguments import check_integer, check_number
from lexpand.errors import DataError
from lexpand.evaluation import compare_means
from lexpand.evaluation.significance import Comparison
from lexpand.experiments.evaluating import evaluate_collection
from lexpand.experiments.tuning_bench import Bench
from lexpand.experiments.tuning_choice import (
    Array,
    Rule,
    held_out_gains,
    make_folds,
    p_of_procedure,
)
from lexpand.experiments.tuning_results import OperatingPoint, Trial, Tuned
from lexpand.experiments.tuning_space import candidates, expected_cost, is_approximate, kind_of
from lexpand.search import Pipeline
from lexpand.search.parts import Rerank

LEAST_QUERIES = 20
"""The number of queries with a relevant document below which nothing is tuned."""

LEVEL = 0.05
"""The level of both tests."""

_REPEATS, _ROUNDS = 3, 2000  # of the division into folds; of the test


def tune(
    kb: Collection,
    judged: JudgedQueries,
    measure: str = "nDCG@10",
    *,
    rerank: Rerank | str | Path | None = None,
    budget_ms: float | None = None,
    folds: int = 5,
    seed: int = 0,
    threads: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> Tuned:
    """Look for a better pipeline on judged queries, and accept it if it is significantly better.

    A fixed list of pipelines is tried (`pipelines_to_try`). The choice (`Rule`) is cross-validated:
    each query is measured with the pipeline that the other folds choose. The choice is accepted if
    these values are significantly better than those of the default, by a paired randomization test
    (`compare_means`) and by a randomization test of the whole choice (`p_of_procedure`).

    The same arguments give the same choice, except that latencies vary, which matters only if a
    kind is near the budget.

    Args:
        kb: the collection. Its pipeline is the default.
        judged: the queries and the judgments. Only queries with a relevant document are used.
        measure: the measure to maximize, in ir-measures' notation.
        rerank: a reranker whose depth is tuned, as a path of its model or as settings. Each pair of
            a query and a document is scored once, which takes long.
        budget_ms: the largest median latency of a query. The best pipeline within it is chosen,
            also among approximate ones. If the default takes longer, the choice is accepted without
            a test. None for no limit; approximate pipelines are then measured, but not chosen.
        folds: the number of folds.
        seed: of the folds and of the tests.
        threads: the number of threads of searches, except those that are timed.
        on_done: a function that takes the number of pipelines tried since its last call.

    Raises:
        DataError: no query is judged, the measure is unknown, or a number is out of range.
        ModelError, MissingExtra: the reranker cannot be loaded.
    """
    start = time.perf_counter()
    check_integer(folds, "folds", 2)
    if budget_ms is not None:
        check_number(budget_ms, "budget_ms")
        if not 0 < budget_ms < float("inf"):
            raise DataError(f"budget_ms must be finite and > 0, got {budget_ms!r}")
    before = evaluate_collection(kb, judged, [measure], cost=False, threads=threads)
    values = before.evaluation.values[measure]
    queries = [query for query in judged.judged if query.query_id in values]
    if len(queries) < max(LEAST_QUERIES, folds):
        return _too_few(kb.pipeline, measure, len(queries), folds, seed)
    bench = Bench(kb, queries, judged.qrels, measure, before.self_matches, threads)
    pipelines = bench.affordable(pipelines_to_try(kb, rerank), budget_ms)
    measured = bench.measured(pipelines, on_done or (lambda _: None))
    decision = _Decision(bench, pipelines, measured, folds, seed)
    return replace(decision.result(budget_ms), seconds=time.perf_counter() - start)


def pipelines_to_try(kb: Collection, rerank: Rerank | str | Path | None = None) -> list[Pipeline]:
    """Return the pipelines that `tune` tries, the default first."""
    if isinstance(rerank, str | Path):
        rerank = Rerank(str(rerank))
    return candidates(kb.pipeline, words=kb.index.schema.words is not None, rerank=rerank)


class _Decision:
    """The choice among measured pipelines, the first of which is the default."""

    def __init__(
        self, bench: Bench, pipelines: Sequence[Pipeline], values: Array, folds: int, seed: int
    ) -> None:
        self._bench, self._pipelines, self._values = bench, pipelines, values
        self._gains = values - values[0]
        self._seed, self._fold_count = seed, folds
        self._folds = make_folds(values.shape[1], folds, _REPEATS, seed)
        self._names = [kind_of(each) for each in pipelines]
        costs = {
            name: expected_cost(each) for name, each in zip(self._names, pipelines, strict=True)
        }
        order = sorted(costs, key=lambda name: (costs[name], name))
        self._kinds = np.array([order.index(name) for name in self._names], np.int64)

    def result(self, budget_ms: float | None) -> Tuned:
        """Choose, decide and describe."""
        points, default = self._points(), self._pipelines[0]
        allowed = self._allowed(points, budget_ms)
        base = Tuned(
            default,
            False,
            "",
            self._bench.measure,
            self._values.shape[1],
            default,
            default,
            points=tuple(sorted(points, key=lambda each: each.latency_ms)),
            trials=tuple(self._trial(place) for place in range(len(self._pipelines))),
            budget_ms=budget_ms,
            folds=self._fold_count,
            seed=self._seed,
        )
        if not len(allowed):
            fastest = base.points[0]
            reason = (
                f"no pipeline takes at most {budget_ms:g} ms, the fastest ({fastest.kind}) takes"
                f" {fastest.latency_ms:.2f} ms: raise the budget; the pipeline in use stays"
            )
            return replace(base, reason=reason)
        default_ms = points[0].latency_ms
        over = budget_ms is not None and default_ms > budget_ms
        return self._decided(base, allowed, default_ms if over else None)

    def _decided(self, base: Tuned, allowed: NDArray[np.int64], slow_ms: float | None) -> Tuned:
        """Choose among allowed pipelines; ``slow_ms`` is the latency of a default over budget."""
        rule, gains = Rule(self._kinds[allowed]), self._gains[allowed]
        proposed = self._pipelines[allowed[rule.choose(gains)]]
        held_out = held_out_gains(rule, gains, self._folds)[0]
        names = [query.query_id for query in self._bench.queries]
        before = dict(zip(names, self._values[0].tolist(), strict=True))
        after = dict(zip(names, (self._values[0] + held_out).tolist(), strict=True))
        comparison = compare_means(before, after, seed=self._seed)
        base = replace(base, proposed=proposed, comparison=comparison)
        if slow_ms is not None:
            reason = (
                f"the pipeline in use takes {slow_ms:.2f} ms, more than {base.budget_ms:g} ms; this"
                f" is the best within the budget: {_change(comparison)}"
            )
            return replace(base, pipeline=proposed, accepted=True, reason=reason)
        p = p_of_procedure(rule, gains, self._folds, seed=self._seed, rounds=_ROUNDS)
        better = proposed != base.default and comparison.is_better(LEVEL) and p < LEVEL
        return replace(
            base,
            pipeline=proposed if better else base.default,
            accepted=better,
            reason=_reason(better, proposed == base.default, comparison, p) + _price(base, better),
            p=p,
        )

    def _allowed(
        self, points: Sequence[OperatingPoint], budget_ms: float | None
    ) -> NDArray[np.int64]:
        """Return the positions of the pipelines that may be chosen."""
        if budget_ms is None:
            exact = [not is_approximate(each) for each in self._pipelines[1:]]
            return np.flatnonzero([True, *exact])
        latencies = {each.kind: each.latency_ms for each in points}
        fits = [latencies[name] <= budget_ms for name in self._names[1:]]
        return np.flatnonzero([points[0].latency_ms <= budget_ms, *fits])

    def _points(self) -> list[OperatingPoint]:
        """Measure the best pipeline of each kind, the default first."""
        mean = float(self._values[0].mean())
        found = [(0, "in use", mean)]
        for kind in np.unique(self._kinds):
            members = np.flatnonzero(self._kinds == kind)
            rule, gains = Rule(self._kinds[members]), self._gains[members]
            best = int(members[rule.choose(gains)])
            quality = mean + float(held_out_gains(rule, gains, self._folds).mean())
            found.append((best, self._names[best], quality))
        best_of = [self._pipelines[place] for place, _, _ in found]
        latencies = self._bench.latencies_ms(best_of)
        return [
            OperatingPoint(pipeline, kind, quality, latency)
            for pipeline, (_, kind, quality), latency in zip(best_of, found, latencies, strict=True)
        ]

    def _trial(self, place: int) -> Trial:
        gains = self._gains[place]
        return Trial(
            self._pipelines[place],
            self._names[place],
            float(self._values[place].mean()),
            float(gains.mean()),
            float(gains.std(ddof=1) / np.sqrt(len(gains))),
        )


def _too_few(default: Pipeline, measure: str, queries: int, folds: int, seed: int) -> Tuned:
    needed = max(LEAST_QUERIES, folds)
    reason = (
        f"tuning needs at least {needed} queries with a relevant document, got {queries}: judge"
        " more; the pipeline in use stays"
    )
    return Tuned(default, False, reason, measure, queries, default, default, folds=folds, seed=seed)


def _reason(better: bool, kept: bool, comparison: Comparison, p: float) -> str:
    change = _change(comparison)
    if better:
        return f"{change}; p of the whole choice is {p:.4f}"
    if kept:
        return (
            "no other pipeline gains more than its standard error on all queries: the pipeline in"
            " use stays"
        )
    if comparison.difference <= 0:
        return f"the choice does not gain: {change}; the pipeline in use stays"
    return (
        f"the gain may be chance: {change}; p of the whole choice is {p:.4f}, and both must be"
        f" below {LEVEL:g}; the pipeline in use stays"
    )


def _price(tuned: Tuned, better: bool) -> str:
    """Return the latency of a better pipeline next to that of the default; else nothing."""
    latencies = {each.pipeline: each.latency_ms for each in tuned.points}
    if not better or tuned.proposed not in latencies:
        return ""
    before, after = latencies[tuned.default], latencies[tuned.proposed]
    return f"; a query takes {after:.2f} ms instead of {before:.2f} ms"


def _change(comparison: Comparison) -> str:
    low, high = comparison.interval
    return (
        f"{comparison.before:.4f} before, {comparison.after:.4f} after"
        f" ({comparison.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f},"
        f" p = {comparison.p:.4f}) on queries that did not choose it"
    )
