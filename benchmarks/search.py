"""Measure search against other systems: time with recall, build time, bytes and memory.

    python benchmarks/search.py [--quick] [--documents N] [--threads N] [--tune] [--json]

All systems search the same vectors for the same queries in one run, in turn.

Collections:
* SciFact, encoded by Lexpand
* NFCorpus, encoded by Lexpand, with --nfcorpus
* SPLADE-like vectors (splade_like.py): 100,000 documents, and more with --documents. Above two
  million documents, only Lexpand is measured. Lexpand commits every million documents.

Each system runs in a separate process (peers/). A system that is absent or fails is reported and
left out. Times are taken in the process around the search call alone, one query at a time, on one
pinned core. The query object is constructed beforehand. With --threads above 1, a block of 25 to 50
queries is one batch call, because no system uses a second thread for one query.

Recall is against exact float64 scores of the float32 vectors, ties counted. Seismic, and Lexpand
with ``effort``, run at the operating points of operating_points/: the fastest settings that reach
99 % recall. --tune chooses them again. A missing one is chosen in the run.

Build times are process CPU seconds from vectors in a file to an index on disk. The bytes of Lexpand
are its postings and forward index; those of a peer are all of its files. Memory is the largest
resident set of a process that opened the index and searched, with mapped pages. The indexes of
peers are kept under build/bench with the cost of building them. Lexpand's is built in each run.

The last line of --json has the ratios of the largest SPLADE-like collection, which
retrieval/report.py describes. All figures and the plot are written to build/bench/search.json and
search.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from retrieval import data
from retrieval.drawing import draw
from retrieval.indexes import Pythons
from retrieval.measuring import Measured, Plan, measure
from retrieval.points import OperatingPoints
from retrieval.report import print_tables, ratios
from retrieval.systems import LEXPAND, PEERS

_ROOT = Path(__file__).parents[1]
_POINTS = Path(__file__).parent / "operating_points"
_SMALL, _ALONE = 100_000, 2_000_000


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--documents",
        type=int,
        default=_SMALL,
        help="SPLADE-like documents, a multiple of 50,000 (100,000)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only SPLADE-like vectors, fewer queries; takes minutes",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads, and cores to pin to (1)")
    parser.add_argument("--queries", type=int, help="queries of each set (1,000; 200 with --quick)")
    parser.add_argument(
        "--systems", default="", help="modules of peers/, separated by commas (all)"
    )
    parser.add_argument(
        "--tune", action="store_true", help="choose operating points again and write them"
    )
    parser.add_argument(
        "--nfcorpus",
        type=Path,
        help="BEIR folder of NFCorpus, whose license forbids packaging it",
    )
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=_ROOT / ".venv-bench" / "bin" / "python",
        help="interpreter that has the peers installed",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the ratios as one last line of JSON"
    )
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace, console: Console) -> Plan:
    """Return the plan for the options."""
    modules = (
        set(options.systems.split(",")) if options.systems else {system.module for system in PEERS}
    )
    systems = (LEXPAND, *(system for system in PEERS if system.module in modules))
    return Plan(
        root=_ROOT / "build" / "bench",
        pythons=Pythons(Path(sys.executable), options.peers_python.absolute()),
        systems=systems,
        ks=(10, 1_000) if options.quick else (10, 100, 1_000),
        queries=options.queries or (200 if options.quick else 1_000),
        reference=20,
        threads=options.threads,
        retune=options.tune,
        points={
            system.module: OperatingPoints.read(_POINTS / f"{system.module}.toml")
            for system in systems
        },
        log=lambda text: console.print(text, style="dim"),
    )


def collections(options: argparse.Namespace, root: Path) -> Iterator[data.Collection]:
    """Yield the collections to measure. The ratios are those of the last one."""
    if not options.quick:
        yield data.scifact(root)
        if options.nfcorpus:
            yield data.encoded(root, "nfcorpus", options.nfcorpus)
        if options.documents > _SMALL:
            yield data.like(root, _SMALL)
    yield data.like(root, options.documents)


def machine() -> dict[str, Any]:
    """Return the processor, the number of cores and the load of this machine."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": list(load),
    }


def run(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure, print and write all figures, and return the ratios of the last collection."""
    plan = plan_of(options, console)
    before, results = machine(), list[Measured]()
    for collection in collections(options, plan.root / "collections"):
        alone = len(collection.documents) > _ALONE
        chosen = replace(plan, systems=[LEXPAND], reference=0) if alone else plan
        results.append(measure(chosen, collection))
        if plan.retune:
            for module, points in plan.points.items():
                if points.points:
                    points.write(_POINTS / f"{module}.toml")
        print_tables(console, results[-1])
    figures = plan.root / "search.json"
    found = ratios(results[-1])
    everything = {"machine": before, "load_after": machine()["load"], "ratios": found}
    everything["collections"] = [asdict(result) for result in results]
    figures.write_text(json.dumps(everything, indent=1), encoding="utf-8")
    console.print(draw("plot", figures, plan.pythons.peers), markup=False)
    return found


def main() -> None:
    """Measure all systems and print the figures."""
    options = options_of()
    os.environ.setdefault(
        "LUCENE_JAR", str(next(iter((_ROOT / ".venv-bench").glob("lucene-core-*.jar")), ""))
    )
    found = run(options, Console(width=160))
    for name, value in found.items():
        print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
