"""Searching with several systems in turn: a block of queries each, so that what disturbs the machine disturbs all."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.points import Settings
from retrieval.truth import Truth
from retrieval.workers import Worker, WorkerError

# Queries of a block; with fewer, pauses would take longer than searching.
_MOST = 50
_LEAST = 25

_WARM = 20

# Before each block: threads of the system before it, which spin or collect garbage for a while,
# come to rest; all share one core.
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Ask:
    """Which queries are asked, and how.

    Attributes:
        queries: name of the query set.
        count: how many of it.
        k: depth.
        threads: with more than 1, a block is one batch call, and there are no times of single
            queries.
        truth: what should be found.
    """

    queries: str
    count: int
    k: int
    threads: int
    truth: Truth


@dataclass
class Contender:
    """A system with settings, and what was seen of it."""

    label: str
    worker: Worker
    settings: Settings
    seconds: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    failure: str = ""

    def take_block(self, ask: Ask, first: int, end: int) -> None:
        """Search for a block; a failure is kept, and ends this contender's part."""
        asked: dict[str, Any] = {
            "name": ask.queries,
            "first": first,
            "end": end,
            "k": ask.k,
            "settings": self.settings,
        }
        try:
            if ask.threads > 1:
                answer = self.worker.ask("batch", **asked, threads=ask.threads)
                self.seconds.append(answer["seconds"] / (end - first))
            else:
                answer = self.worker.ask("search", **asked)
                self.seconds += answer["seconds"]
        except WorkerError as error:
            self.failure = str(error)
            return
        self.recalls += [
            ask.truth.recall(first + i, rows, ask.k) for i, rows in enumerate(answer["rows"])
        ]

    def warm(self, ask: Ask, count: int = _WARM) -> None:
        """Some queries whose times are thrown away."""
        self.take_block(ask, 0, min(count, ask.count))
        self.seconds, self.recalls = [], []

    def figures(self) -> dict[str, Any]:
        """Milliseconds a query and recall; percentiles where queries were timed one by one."""
        milliseconds = np.array(self.seconds) * 1e3
        figures: dict[str, Any] = {"settings": self.settings, "mean_ms": float(milliseconds.mean())}
        if len(self.seconds) == len(self.recalls):
            p50, p99 = np.percentile(milliseconds, [50, 99])
            figures |= {"p50_ms": float(p50), "p99_ms": float(p99)}
        return figures | {"recall": float(np.mean(self.recalls))}


def run_rounds(contenders: list[Contender], ask: Ask, *, first: bool = False) -> None:
    """All queries by all contenders, in turn; in another order each round: none always follows the same one.

    And each on other queries: whoever asks what another has just asked of the same index finds it
    in the processor's caches.

    Where these queries are asked for the ``first`` time, everybody is asked all of them beforehand.
    Some systems spend a minute on their first query, and the memory of the others, which rest
    meanwhile, is cold then.
    """
    for contender in contenders:
        contender.warm(ask)
    if first:
        for contender in contenders:
            if not contender.failure:
                contender.warm(ask, ask.count)
    size = min(_MOST, max(_LEAST, math.ceil(ask.count / len(contenders))))
    firsts = range(0, ask.count, size)
    order = np.random.default_rng(0)
    for turn in range(len(firsts)):
        for place in order.permutation(len(contenders)):
            contender, first = contenders[place], firsts[(turn + place) % len(firsts)]
            if not contender.failure:
                time.sleep(_PAUSE_SECONDS)
                contender.take_block(ask, first, min(first + size, ask.count))


def log_path(root: Path, module: str) -> Path:
    """Where a system's own output goes."""
    return root / "logs" / f"{module}.log"
