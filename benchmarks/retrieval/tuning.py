"""Find the fastest settings that reach a recall.

The settings of a ladder are tried in order, from the fastest, until one reaches the recall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from retrieval.points import Point, Settings
from retrieval.rounds import Contender, Workload
from retrieval.systems import Ladder
from retrieval.workers import Worker, WorkerError

TARGET = 0.99
SAMPLE = 100


@dataclass(frozen=True)
class Trial:
    """Settings, their mean milliseconds per query and their recall."""

    settings: Settings
    mean_ms: float
    recall: float


RunTrial = Callable[[Settings], Trial]


def tune(worker: Worker, workload: Workload, ladders: Sequence[Ladder], fixed: Settings) -> Point:
    """Return the fastest settings that reach the target on all queries.

    If no settings reach it, return those with the highest recall. The ladders are climbed with a
    sample of the queries. Then the fastest settings are tried with all queries, climbing further
    if needed.
    """
    sampled = replace(workload, count=min(SAMPLE, workload.count), threads=1)
    complete = replace(workload, threads=1)
    chosen, seen = climb_all(ladders, lambda settings: trial(worker, sampled, settings, fixed))
    for candidate in sorted(chosen, key=lambda each: each.mean_ms):
        ladder = next(ladder for ladder in ladders if candidate.settings in ladder)
        rest = ladder[list(ladder).index(candidate.settings) :]
        confirmed, tried = climb(
            rest, lambda settings: trial(worker, complete, settings, fixed), float("inf")
        )
        seen += tried
        if confirmed is not None:
            return Point(confirmed.settings, confirmed.recall)
    best = max(seen, key=lambda each: (each.recall, -each.mean_ms))
    found = trial(worker, complete, best.settings, fixed)
    return Point(found.settings, found.recall)


def climb_all(ladders: Sequence[Ladder], run_trial: RunTrial) -> tuple[list[Trial], list[Trial]]:
    """Climb all ladders.

    A climb ends if a trial is more than 1.2 times as slow as the fastest found so far.

    Returns:
        The first trial of each ladder that reaches the target, and all trials.
    """
    chosen: list[Trial] = []
    seen: list[Trial] = []
    for ladder in ladders:
        cheapest = min((each.mean_ms for each in chosen), default=float("inf"))
        found, tried = climb(ladder, run_trial, 1.2 * cheapest)
        seen += tried
        chosen += [found] if found is not None else []
    return chosen, seen


def climb(ladder: Ladder, run_trial: RunTrial, limit_ms: float) -> tuple[Trial | None, list[Trial]]:
    """RunTrial the settings of a ladder in order.

    Returns:
        The first trial that reaches the target within ``limit_ms``, or None; and all trials.
    """
    tried: list[Trial] = []
    for settings in ladder:
        tried.append(run_trial(settings))
        if tried[-1].mean_ms > limit_ms:
            break
        if tried[-1].recall >= TARGET:
            return tried[-1], tried
    return None, tried


def trial(worker: Worker, workload: Workload, settings: Settings, fixed: Settings) -> Trial:
    """Run the workload with one choice of settings.

    Raises:
        WorkerError: the system failed.
    """
    contender = Contender("", worker, {**fixed, **settings})
    contender.warm(workload)
    contender.take_block(workload, 0, workload.count)
    if contender.failure:
        raise WorkerError(contender.failure)
    figures = contender.figures()
    return Trial(settings, figures["mean_ms"], figures["recall"])
