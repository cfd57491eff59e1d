"""Search with several systems in turn, a block of queries at a time.

Taking turns spreads disturbances of the machine over all systems.
"""

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

# Queries in a block. With smaller blocks, the pauses would take longer than the searches.
_MOST = 50
_LEAST = 25

_WARM = 20

# All systems share one core. During the pause before a block, threads of the previous system stop
# spinning and collecting garbage.
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Workload:
    """The queries to run, and how to run them.

    Attributes:
        queries: the name of the query set.
        count: the number of its queries to run, from the first.
        k: the depth.
        threads: the threads of a search. With more than 1, a block is one batch call, and single
            queries are not timed.
        truth: the exact scores, for recall.
    """

    queries: str
    count: int
    k: int
    threads: int
    truth: Truth


@dataclass
class Contender:
    """A system with settings, and its times and recalls so far."""

    label: str
    worker: Worker
    settings: Settings
    seconds: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    failure: str = ""

    def take_block(self, workload: Workload, first: int, end: int) -> None:
        """Run a block of queries. A failure is recorded and excludes the contender."""
        arguments: dict[str, Any] = {
            "name": workload.queries,
            "first": first,
            "end": end,
            "k": workload.k,
            "settings": self.settings,
        }
        try:
            if workload.threads > 1:
                answer = self.worker.request("batch", **arguments, threads=workload.threads)
                self.seconds.append(answer["seconds"] / (end - first))
            else:
                answer = self.worker.request("search", **arguments)
                self.seconds += answer["seconds"]
        except WorkerError as error:
            self.failure = str(error)
            return
        self.recalls += [
            workload.truth.recall(first + i, rows, workload.k)
            for i, rows in enumerate(answer["rows"])
        ]

    def warm(self, workload: Workload, count: int = _WARM) -> None:
        """Run some queries and discard their times."""
        self.take_block(workload, 0, min(count, workload.count))
        self.seconds, self.recalls = [], []

    def figures(self) -> dict[str, Any]:
        """Return recall and milliseconds per query, with percentiles for single queries."""
        milliseconds = np.array(self.seconds) * 1e3
        figures: dict[str, Any] = {"settings": self.settings, "mean_ms": float(milliseconds.mean())}
        if len(self.seconds) == len(self.recalls):
            p50, p99 = np.percentile(milliseconds, [50, 99])
            figures |= {"p50_ms": float(p50), "p99_ms": float(p99)}
        return figures | {"recall": float(np.mean(self.recalls))}


def run_rounds(contenders: list[Contender], workload: Workload, *, first: bool = False) -> None:
    """Run all queries with all contenders, in turn.

    The order differs in each round, so no contender always follows the same one. In a round, each
    contender runs different queries. Otherwise the postings that a query needs could be in the
    processor's caches from another contender on the same index.

    If the queries run for the ``first`` time, every contender runs all of them beforehand. Some
    systems need a minute for their first query, and the memory of the others is cold after that.
    """
    for contender in contenders:
        contender.warm(workload)
    if first:
        for contender in contenders:
            if not contender.failure:
                contender.warm(workload, workload.count)
    size = min(_MOST, max(_LEAST, math.ceil(workload.count / len(contenders))))
    firsts = range(0, workload.count, size)
    order = np.random.default_rng(0)
    for turn in range(len(firsts)):
        for place in order.permutation(len(contenders)):
            contender, first = contenders[place], firsts[(turn + place) % len(firsts)]
            if not contender.failure:
                time.sleep(_PAUSE_SECONDS)
                contender.take_block(workload, first, min(first + size, workload.count))


def log_path(root: Path, module: str) -> Path:
    """Return the file for the output of a system."""
    return root / "logs" / f"{module}.log"
