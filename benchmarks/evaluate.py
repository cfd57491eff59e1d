"""Measure the evaluation of a run against the ir_measures command: time, peak memory and equality.

    python benchmarks/evaluate.py [--quick] [--rounds N] [--json]

The run has 6,980 queries of 1,000 documents, with ids as in MS MARCO. The judgments have one or two
relevant documents a query. Both read the same files and compute seven measures. Each way runs in a
process of its own, and the ways take turns. Times are medians of the rounds, with the start of the
process. Memory is the largest resident set.

* ``ir_measures``: the command.
* ``lexpand``: `Run.read_trec`, `Qrels.read` and `evaluate_run`, in the order of the run.
* ``lexpand_trec_eval``: the same with ``ties="trec_eval"``, whose means must equal the command's.

--quick takes 300 queries and one round. The last line of --json has every figure; ratios are
lexpand / ir_measures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

MEASURES = ("nDCG@10", "RR@10", "R@100", "R@1000", "AP", "P@10", "Judged@10")
DEPTH = 1000
PASSAGES = 8_841_823
QUERIES = 6980

# The largest resident set is in kilobytes, on macOS in bytes.
_MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10


class Cost(NamedTuple):
    """What a process took, and the means that it printed."""

    seconds: float
    megabytes: float
    means: dict[str, float]


def make_files(folder: Path, queries: int) -> None:
    """Write the run and the judgments of random queries."""
    chance = random.Random(0)
    with (folder / "run").open("w") as run, (folder / "qrels").open("w") as qrels:
        for query in chance.sample(range(1, 1_200_000), queries):
            documents, score = chance.sample(range(PASSAGES), DEPTH), 40.0
            for rank, document in enumerate(documents, start=1):
                score -= chance.expovariate(30)
                run.write(f"{query} Q0 {document} {rank} {score:.6f} run\n")
            for _ in range(chance.choice((1, 1, 1, 2))):
                place = min(int(chance.expovariate(0.02)), DEPTH - 1)
                qrels.write(f"{query} 0 {documents[place]} 1\n")


def command(way: str, folder: Path) -> list[str]:
    """Return the command line of a way."""
    if way == "ir_measures":
        files = [str(folder / "qrels"), str(folder / "run")]
        return [sys.executable, "-m", "ir_measures", *files, *MEASURES, "--places", "-1"]
    ties = "trec_eval" if way == "lexpand_trec_eval" else "run"
    return [sys.executable, __file__, "--ties", ties, "--folder", str(folder)]


def cost(way: str, folder: Path) -> Cost:
    """Run a way in a process."""
    start = time.perf_counter()
    with subprocess.Popen(command(way, folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{way} failed")
    rows = [line.split("\t") for line in printed.splitlines()]
    means = {name: float(value) for name, value in rows}
    return Cost(seconds, used.ru_maxrss / _MEGABYTE, means)


def evaluate_files(folder: Path, ties: str) -> None:
    """Print the means of the run in a folder."""
    from lexpand.data import Qrels, Run
    from lexpand.evaluation import evaluate_run

    run, qrels = Run.read_trec(folder / "run"), Qrels.read(folder / "qrels")
    for name, mean in evaluate_run(run, qrels, MEASURES, ties=ties).means.items():
        print(f"{name}\t{mean!r}")


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="300 queries, one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    parser.add_argument("--ties", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        evaluate_files(options.folder, options.ties)
        return
    ways = ("ir_measures", "lexpand", "lexpand_trec_eval")
    queries, rounds = (300, 1) if options.quick else (QUERIES, options.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        make_files(Path(scratch), queries)
        costs: dict[str, list[Cost]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                costs[way].append(cost(way, Path(scratch)))
    figures = figures_of(costs) | {
        "queries": queries,
        "depth": DEPTH,
        "rounds": rounds,
        "machine": platform.machine(),
    }
    for name, value in figures.items():
        print(f"{name:30} {value:.4g}" if isinstance(value, float) else f"{name:30} {value}")
    if options.json:
        print(json.dumps(figures))


def figures_of(costs: dict[str, list[Cost]]) -> dict[str, float | bool | str]:
    """Return the median seconds and the most megabytes of each way, and their ratios."""
    seconds = {way: statistics.median(each.seconds for each in own) for way, own in costs.items()}
    megabytes = {way: max(each.megabytes for each in own) for way, own in costs.items()}
    theirs, ours = (costs[way][0].means for way in ("ir_measures", "lexpand_trec_eval"))
    return {
        **{f"{way}_seconds": value for way, value in seconds.items()},
        **{f"{way}_megabytes": value for way, value in megabytes.items()},
        "time_ratio": seconds["lexpand"] / seconds["ir_measures"],
        "memory_ratio": megabytes["lexpand"] / megabytes["ir_measures"],
        "equal": theirs.keys() == ours.keys()
        and all(abs(theirs[name] - ours[name]) < 1e-12 for name in MEASURES),
    }


if __name__ == "__main__":
    main()
