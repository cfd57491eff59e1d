"""Lexpand's search beside its peers: same vectors, same queries, one run, in turn, with recall beside every time.

    python benchmarks/search.py [--quick] [--documents N] [--threads N] [--tune] [--json]

Collections: SciFact as Lexpand encodes it, NFCorpus where --nfcorpus says it is, and SPLADE-like
vectors (splade_like.py): 100,000 documents and, with --documents, more; more than two million for
Lexpand alone. Lexpand commits every million. Each system is a process of its own (peers/); one that
is absent or fails is named and left out. Times are taken within it, around its search call alone,
one query at a time, on one pinned core; its query object is made beforehand. With --threads above
1, a block of 25 to 50 queries is one batch call instead, for no system uses a second thread for one
query.

Recall is against exact float64 scores of the float32 vectors, ties counted. Seismic and Lexpand's
``effort`` run at the operating points of operating_points/: the cheapest settings that reach 99 %.
--tune chooses them anew; one that is missing is chosen in the run.

Build times are process CPU seconds from vectors in a file to an index on disk. Lexpand's bytes are
its postings and forward index, the peers' all of their files. Memory is the largest resident set of
a process that opened and searched, mapped pages counted. Peers' indexes are kept under build/bench
with what building them took; Lexpand's is always made.

The last line of --json has the ratios of the largest SPLADE-like collection (retrieval/report.py
says which are which); everything is in build/bench/search.json, and the plot beside it.
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
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--documents", type=int, default=_SMALL, help="SPLADE-like documents, a multiple of 50,000"
    )
    parser.add_argument(
        "--quick", action="store_true", help="SPLADE-like vectors alone, fewer queries: minutes"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--queries", type=int, help="of each set; 1,000 unless told, 200 with --quick"
    )
    parser.add_argument(
        "--systems", default="", help="modules of peers/, by commas; all unless told"
    )
    parser.add_argument(
        "--tune", action="store_true", help="choose operating points anew and write them"
    )
    parser.add_argument(
        "--nfcorpus", type=Path, help="a BEIR folder; its license forbids packaging it"
    )
    parser.add_argument(
        "--peers-python", type=Path, default=_ROOT / ".venv-bench" / "bin" / "python"
    )
    parser.add_argument("--json", action="store_true", help="one last line with the ratios")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace, console: Console) -> Plan:
    """What the options ask for."""
    wanted = (
        set(options.systems.split(",")) if options.systems else {system.module for system in PEERS}
    )
    systems = (LEXPAND, *(system for system in PEERS if system.module in wanted))
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
        say=lambda text: console.print(text, style="dim"),
    )


def collections(options: argparse.Namespace, root: Path) -> Iterator[data.Collection]:
    """Those that are measured, the one whose ratios count last."""
    if not options.quick:
        yield data.scifact(root)
        if options.nfcorpus:
            yield data.encoded(root, "nfcorpus", options.nfcorpus)
        if options.documents > _SMALL:
            yield data.like(root, _SMALL)
    yield data.like(root, options.documents)


def machine() -> dict[str, Any]:
    """Where this was measured, and how busy it was."""
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
    """Measure, print, write; returns the ratios of the last collection."""
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
    """Measure and print."""
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
