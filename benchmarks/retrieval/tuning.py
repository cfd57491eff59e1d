"""The cheapest settings that reach a recall: ladders of settings are climbed until they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from retrieval.points import Point, Settings
from retrieval.rounds import Ask, Contender
from retrieval.systems import Ladder
from retrieval.workers import Worker, WorkerError

TARGET = 0.99
SAMPLE = 100


@dataclass(frozen=True)
class Trial:
    """Settings, their mean milliseconds a query and their recall."""

    settings: Settings
    mean_ms: float
    recall: float


Try = Callable[[Settings], Trial]


def tune(worker: Worker, ask: Ask, ladders: Sequence[Ladder], fixed: Settings) -> Point:
    """The cheapest settings of the ladders that reach the target on all queries; else those of the highest recall.

    Ladders are climbed with a sample of the queries, then the cheapest are proved with all,
    climbing on where needed.
    """
    sampled = replace(ask, count=min(SAMPLE, ask.count), threads=1)
    everything = replace(ask, threads=1)
    chosen, seen = climb_all(ladders, lambda settings: trial(worker, sampled, settings, fixed))
    for candidate in sorted(chosen, key=lambda each: each.mean_ms):
        ladder = next(ladder for ladder in ladders if candidate.settings in ladder)
        rest = ladder[list(ladder).index(candidate.settings) :]
        proved, tried = climb(
            rest, lambda settings: trial(worker, everything, settings, fixed), float("inf")
        )
        seen += tried
        if proved is not None:
            return Point(proved.settings, proved.recall)
    best = max(seen, key=lambda each: (each.recall, -each.mean_ms))
    found = trial(worker, everything, best.settings, fixed)
    return Point(found.settings, found.recall)


def climb_all(ladders: Sequence[Ladder], attempt: Try) -> tuple[list[Trial], list[Trial]]:
    """Of each ladder the first settings that reach the target, unless dearer than another's; and all that was tried."""
    chosen: list[Trial] = []
    seen: list[Trial] = []
    for ladder in ladders:
        cheapest = min((each.mean_ms for each in chosen), default=float("inf"))
        found, tried = climb(ladder, attempt, 1.2 * cheapest)
        seen += tried
        chosen += [found] if found is not None else []
    return chosen, seen


def climb(ladder: Ladder, attempt: Try, limit_ms: float) -> tuple[Trial | None, list[Trial]]:
    """The first settings of a ladder that reach the target within ``limit_ms``, if any; and all that was tried."""
    tried: list[Trial] = []
    for settings in ladder:
        tried.append(attempt(settings))
        if tried[-1].mean_ms > limit_ms:
            break
        if tried[-1].recall >= TARGET:
            return tried[-1], tried
    return None, tried


def trial(worker: Worker, ask: Ask, settings: Settings, fixed: Settings) -> Trial:
    """One settings over the queries asked.

    Raises:
        WorkerError: the system failed.
    """
    contender = Contender("", worker, {**fixed, **settings})
    contender.warm(ask)
    contender.take_block(ask, 0, ask.count)
    if contender.failure:
        raise WorkerError(contender.failure)
    figures = contender.figures()
    return Trial(settings, figures["mean_ms"], figures["recall"])
