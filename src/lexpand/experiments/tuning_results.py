"""The result of tuning: the decision, the operating points and everything that was tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lexpand.evaluation.significance import Comparison
from lexpand.experiments.tuning_space import described, is_approximate
from lexpand.render.plots import Plot, Series
from lexpand.render.report import Block, Heading, Paragraph, Report, TableOf
from lexpand.search import Pipeline

# A point is on the front if it is faster than each better point by more than timing varies.
_FASTER = 0.95

_POINTS = (
    "The quality is cross-validated: each query is measured with the pipeline of the kind that the"
    " other folds choose. The front has the kinds that no other kind beats in both."
)
_TRIALS = (
    "Means are over all queries, so the largest overestimate. The error is the standard error of"
    " the gain over the pipeline in use."
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A pipeline that was tried.

    Attributes:
        pipeline: the pipeline.
        kind: see `kind_of`.
        mean: the mean of the measure over all queries. The largest of many means overestimates.
        gain: ``mean`` minus that of the default.
        error: the standard error of ``gain``.
    """

    pipeline: Pipeline
    kind: str
    mean: float
    gain: float
    error: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The best pipeline of a kind, with its quality and its latency.

    Attributes:
        pipeline: the pipeline of the kind that all queries choose.
        kind: see `kind_of`; ``in use`` for the default.
        quality: the cross-validated mean: each query is measured with the pipeline of the kind that
            the other folds choose.
        latency_ms: the median latency of a query on one thread, for 10 documents.
    """

    pipeline: Pipeline
    kind: str
    quality: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of `tune`.

    Attributes:
        pipeline: the pipeline to use: the proposed one if it is accepted, else the default.
        accepted: whether to use the proposed pipeline.
        reason: why, as a sentence.
        measure: the measure.
        queries: the number of queries with a relevant document.
        default: the pipeline in use.
        proposed: the pipeline that all queries choose.
        comparison: the default and the choice, on queries that did not choose it: the
            cross-validated values. None if there were too few queries.
        p: of the whole choice, one-sided; see `p_of_procedure`.
        points: the best pipeline of each kind, the fastest first.
        trials: everything that was tried, the default first.
        budget_ms: the largest latency that was allowed.
        folds, seed: the settings.
        seconds: the time that tuning took.
    """

    pipeline: Pipeline
    accepted: bool
    reason: str
    measure: str
    queries: int
    default: Pipeline
    proposed: Pipeline
    comparison: Comparison | None = None
    p: float | None = None
    points: tuple[OperatingPoint, ...] = ()
    trials: tuple[Trial, ...] = field(default=(), repr=False)
    budget_ms: float | None = None
    folds: int = 5
    seed: int = 0
    seconds: float = 0.0

    @property
    def front(self) -> tuple[OperatingPoint, ...]:
        """The points that no other one beats in both quality and latency, the fastest first.

        Approximate kinds must be faster than the exact kind.
        """
        times = {each.kind: each.latency_ms for each in self.points}
        useful = [
            each
            for each in self.points
            if not is_approximate(each.pipeline)
            or each.latency_ms < _FASTER * times.get(each.kind.partition(",")[0], math.inf)
        ]
        front: list[OperatingPoint] = []
        for each in sorted(useful, key=lambda point: (point.latency_ms, -point.quality)):
            is_better = not front or each.quality > front[-1].quality
            if is_better and not _is_dominated(each, useful):
                front.append(each)
        return tuple(front)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values; pipelines are TOML texts."""
        comparison = self.comparison
        compared = None
        if comparison is not None:
            compared = {**asdict(comparison), "difference": comparison.difference}
        front = self.front
        return {
            "accepted": self.accepted,
            "reason": self.reason,
            "measure": self.measure,
            "queries": self.queries,
            "pipeline": self.pipeline.to_toml(),
            "default": self.default.to_toml(),
            "proposed": self.proposed.to_toml(),
            "comparison": compared,
            "p": self.p,
            "points": [{**_plain(each), "front": each in front} for each in self.points],
            "trials": [_plain(each) for each in self.trials],
            "budget_ms": self.budget_ms,
            "folds": self.folds,
            "seed": self.seed,
            "seconds": self.seconds,
        }

    def report(self) -> Report:
        """Return the result as a report, with a plot of quality against latency."""
        verdict = "tuned" if self.accepted else "kept"
        blocks: list[Block] = [Paragraph(f"{verdict}: {self.reason}")]
        if self.comparison is not None:
            blocks += [_comparison(self.comparison, self.p), Heading("Pipeline"), _settings(self)]
        if self.points:
            blocks += [Heading("Quality and latency"), _plot(self), _point_table(self)]
            blocks.append(Paragraph(_POINTS, note=True))
        if self.trials:
            blocks += [Heading("Everything that was tried"), _trial_table(self.trials)]
            blocks.append(Paragraph(_TRIALS, note=True))
        return Report(f"tuning {self.measure} on {self.queries:,} queries", blocks, self.to_dict())


def _comparison(comparison: Comparison, p: float | None) -> TableOf:
    head = (
        *("before", "after", "difference", "95 % interval", "p", "p of the whole choice"),
        *("wins", "ties", "losses"),
    )
    low, high = comparison.interval
    row = (
        f"{comparison.before:.4f}",
        f"{comparison.after:.4f}",
        f"{comparison.difference:+.4f}",
        f"{low:+.4f} to {high:+.4f}",
        f"{comparison.p:.4f}",
        "-" if p is None else f"{p:.4f}",
        f"{comparison.wins:,}",
        f"{comparison.ties:,}",
        f"{comparison.losses:,}",
    )
    return TableOf(head, (row,), frozenset(range(len(head))))


def _settings(tuned: Tuned) -> TableOf:
    pairs = {"in use": tuned.default, "proposed": tuned.proposed, "result": tuned.pipeline}
    return TableOf(("", "pipeline"), tuple((name, described(each)) for name, each in pairs.items()))


def _plot(tuned: Tuned) -> Plot:
    front = tuned.front
    others = [each for each in tuned.points if each not in front]
    series = [
        Series(
            name,
            tuple((each.latency_ms, each.quality) for each in points),
            tuple(each.kind for each in points) if points is front else (),
        )
        for name, points in (("front", front), ("other kinds", others))
        if points
    ]
    return Plot("quality against latency", "ms (p50)", tuned.measure, tuple(series), log_x=True)


def _point_table(tuned: Tuned) -> TableOf:
    rows = tuple(
        (
            each.kind,
            f"{each.quality:.4f}",
            f"{each.latency_ms:.2f}",
            "yes" if each in tuned.front else "",
            described(each.pipeline),
        )
        for each in tuned.points
    )
    return TableOf(("kind", tuned.measure, "p50 ms", "front", "pipeline"), rows, frozenset({1, 2}))


def _trial_table(trials: Sequence[Trial]) -> TableOf:
    rows = tuple(
        (
            described(each.pipeline),
            each.kind,
            f"{each.mean:.4f}",
            f"{each.gain:+.4f}",
            f"{each.error:.4f}",
        )
        for each in sorted(trials, key=lambda each: -each.mean)
    )
    return TableOf(("pipeline", "kind", "mean", "gain", "error"), rows, frozenset({2, 3, 4}))


def _is_dominated(point: OperatingPoint, points: Sequence[OperatingPoint]) -> bool:
    """Whether another point is at least as good and faster, or better and not slower.

    Latencies that differ by less than timing varies are equal.
    """
    for other in points:
        if other is point:
            continue
        faster = other.latency_ms < _FASTER * point.latency_ms
        slower = point.latency_ms < _FASTER * other.latency_ms
        if other.quality >= point.quality and faster:
            return True
        if other.quality > point.quality and not slower:
            return True
    return False


def _plain(found: Trial | OperatingPoint) -> dict[str, Any]:
    """Return a trial or a point as JSON values."""
    values = {name: getattr(found, name) for name in found.__slots__ if name != "pipeline"}
    return {"pipeline": described(found.pipeline), "toml": found.pipeline.to_toml(), **values}
