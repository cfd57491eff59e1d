"""Measure one collection: its indexes, agreement with the reference, and search times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.data import Collection
from retrieval.indexes import Built, Pythons, build_index
from retrieval.points import OperatingPoints, Point, Settings
from retrieval.rounds import Contender, Workload, log_path, run_rounds
from retrieval.systems import LEXPAND, SEISMIC, System
from retrieval.tuning import tune
from retrieval.workers import Worker, WorkerError, running_worker

_SWEEP = 100
"""Queries for each point of a curve in the plot."""


@dataclass
class Plan:
    """The settings of a run.

    Attributes:
        root: the folder build/bench.
        pythons: the interpreters of the systems.
        systems: the systems to measure, Lexpand first.
        ks: the depths to search at.
        queries: the maximum number of queries of each set.
        reference: the number of queries of each set to compare with the NumPy reference. With 0,
            the documents need not fit in memory.
        threads: see `Workload`.
        retune: choose operating points again.
        points: the operating points, by module name of the system.
        log: prints a line about the progress.
    """

    root: Path
    pythons: Pythons
    systems: Sequence[System]
    ks: Sequence[int]
    queries: int
    reference: int
    threads: int
    retune: bool
    points: dict[str, OperatingPoints]
    log: Callable[[str], None]


@dataclass
class Measured:
    """The figures of a collection. ``skipped`` has the reason for each system that is left out."""

    name: str
    documents: int
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    panels: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    exact: bool | None = None
    reference_queries: int = 0
    effort_by_index: bool = False


def measure(plan: Plan, collection: Collection) -> Measured:
    """Measure all systems on one collection."""
    measured = Measured(collection.name, len(collection.documents))
    indexes = dict(_indexes(plan, collection, measured))
    if LEXPAND in indexes and plan.reference:
        _compare_with_reference(plan, collection, indexes[LEXPAND], measured)
    with _opened(plan, collection, indexes, measured) as workers:
        for queries, folder in collection.query_sets.items():
            count = min(plan.queries, len(collection.documents), _rows(folder))
            plan.log(f"{collection.name}, queries {queries}: exact scores")
            truth = collection.truth(queries, count)
            for k in plan.ks:
                plan.log(f"{collection.name}, queries {queries}, k = {k}")
                workload = Workload(queries, count, k, plan.threads, truth)
                measured.panels.append(_panel(plan, collection, workload, workers, measured))
        for system in workers:
            if system is not LEXPAND:
                _note_memory(workers[system], measured.builds[system.name])
    if LEXPAND in indexes:
        _memory_of_lexpand(plan, collection, indexes[LEXPAND], measured)
    return measured


def _note_memory(worker: Worker, figures: dict[str, Any]) -> None:
    # If the worker has ended, its error has been recorded already.
    with suppress(WorkerError):
        figures["searching"] = worker.request("memory")


def _memory_of_lexpand(
    plan: Plan, collection: Collection, index: Built, measured: Measured
) -> None:
    """Measure the memory of Lexpand in a process that calls only the public API.

    The native API would map the files a second time.
    """
    log = log_path(plan.root, LEXPAND.module)
    queries, folder = next(iter(collection.query_sets.items()))
    with (
        running_worker(plan.pythons.lexpand, LEXPAND.module, 1, log) as worker,
        suppress(WorkerError),
    ):
        worker.request("open", path=str(index.path), documents=measured.documents, threads=1)
        loaded = worker.request("load", name=queries, folder=str(folder), limit=plan.queries)
        settings = {"api": "index", "effort": 1.0}
        worker.request(
            "search",
            name=queries,
            first=0,
            end=loaded["queries"],
            k=max(plan.ks),
            settings=settings,
        )
        _note_memory(worker, measured.builds[LEXPAND.name])


def _indexes(
    plan: Plan, collection: Collection, measured: Measured
) -> Iterator[tuple[System, Built]]:
    for system in plan.systems:
        plan.log(f"{collection.name}: index of {system.name}")
        try:
            index = build_index(
                system,
                collection,
                _build_settings(plan, system, collection),
                plan.root,
                plan.pythons,
            )
        except WorkerError as error:
            measured.skipped[system.name] = str(error)
            continue
        measured.builds[system.name] = {**index.figures, "kept": system.kept}
        yield system, index


def _build_settings(plan: Plan, system: System, collection: Collection) -> Settings:
    return plan.points[system.module].of_index(collection.name) or system.build


def _compare_with_reference(
    plan: Plan, collection: Collection, index: Built, measured: Measured
) -> None:
    """Compare the hits with those of the NumPy reference, and measure the native writer.

    This runs in a separate process, because the reference takes much memory.
    """
    plan.log(f"{collection.name}: comparison with the NumPy reference")
    documents, path = str(collection.folder / "documents"), str(index.path)
    log = log_path(plan.root, LEXPAND.module)
    with (
        running_worker(plan.pythons.lexpand, LEXPAND.module, 1, log) as worker,
        _recorded(measured, "NumPy reference"),
    ):
        timing = worker.request("call", name="write_segment", documents=documents, path=path)
        measured.builds[LEXPAND.name]["segment_cpu_seconds"] = timing["cpu_seconds"]
        worker.request("open", path=path, documents=measured.documents, threads=1)
        verdicts = [
            worker.request(
                "call",
                name="agrees",
                folder=str(folder),
                first=0,
                end=plan.reference,
                ks=list(plan.ks),
            )
            for folder in collection.query_sets.values()
        ]
        measured.exact = all(verdict["exact"] for verdict in verdicts)
        measured.reference_queries = sum(verdict["queries"] for verdict in verdicts)


@contextmanager
def _recorded(measured: Measured, what: str) -> Iterator[None]:
    """Record a failure of the block in ``skipped``."""
    try:
        yield
    except WorkerError as error:
        measured.skipped[what] = str(error)


@contextmanager
def _opened(
    plan: Plan, collection: Collection, indexes: dict[System, Built], measured: Measured
) -> Iterator[dict[System, Worker]]:
    """Start a process for each system, open its index and load all queries."""
    workers: dict[System, Worker] = {}
    with ExitStack() as stack:
        for system, index in indexes.items():
            log = log_path(plan.root, system.module)
            try:
                worker = stack.enter_context(
                    running_worker(plan.pythons.of(system), system.module, plan.threads, log)
                )
                opened = worker.request(
                    "open", path=str(index.path), documents=measured.documents, threads=plan.threads
                )
                for queries, folder in collection.query_sets.items():
                    worker.request("load", name=queries, folder=str(folder), limit=plan.queries)
            except WorkerError as error:
                measured.skipped[system.name] = str(error)
                continue
            measured.builds[system.name]["open_seconds"] = opened["seconds"]
            if system is LEXPAND:
                measured.effort_by_index = worker.request("call", name="abilities")[
                    "effort_by_index"
                ]
            workers[system] = worker
        yield workers


def _panel(
    plan: Plan,
    collection: Collection,
    workload: Workload,
    workers: dict[System, Worker],
    measured: Measured,
) -> dict[str, Any]:
    """Measure all systems on one query set at one depth."""
    contenders: list[Contender] = []
    for system, worker in workers.items():
        if workload.threads == 1 or system.batch:
            try:
                contenders += _contenders(
                    plan, collection, workload, system, worker, measured.effort_by_index
                )
            except WorkerError as error:
                measured.skipped[f"{system.name}, queries {workload.queries}, k = {workload.k}"] = (
                    str(error)
                )
    run_rounds(contenders, workload, first=workload.k == plan.ks[0])
    for contender in contenders:
        if contender.failure:
            measured.skipped[f"{contender.label}, queries {workload.queries}, k = {workload.k}"] = (
                contender.failure
            )
    facts = {
        "collection": collection.name,
        "queries": workload.queries,
        "k": workload.k,
        "threads": workload.threads,
    }
    points = {each.label: each.figures() for each in contenders if not each.failure}
    return {
        **facts,
        "count": workload.count,
        "points": points,
        "curves": _curves(workload, workers),
    }


def _contenders(
    plan: Plan,
    collection: Collection,
    workload: Workload,
    system: System,
    worker: Worker,
    effort_by_index: bool,
) -> list[Contender]:
    if not system.ladders:
        return [Contender(system.name, worker, system.search)]
    point = _point(plan, collection, workload, system, worker)
    if system is not LEXPAND:
        return [Contender(f"{system.name} 99 %", worker, point.settings)]
    contenders = []
    for api, name in (("index", "Index.search"), ("native", "_native.search")):
        contenders.append(Contender(f"Lexpand exact, {name}", worker, {"api": api, "effort": 1.0}))
        if api == "native" or effort_by_index or point.settings["effort"] == 1:
            contenders.append(
                Contender(f"Lexpand 99 %, {name}", worker, {"api": api, **point.settings})
            )
    return contenders


def _point(
    plan: Plan, collection: Collection, workload: Workload, system: System, worker: Worker
) -> Point:
    """Return the operating point. Choose it if it is missing or ``plan.retune`` is set."""
    points = plan.points[system.module]
    known = points.of_search(collection.name, workload.queries, workload.k)
    if known is not None and not plan.retune:
        return known
    plan.log(
        f"tuning {system.name}: {collection.name}, queries {workload.queries}, k = {workload.k}"
    )
    fixed: Settings = {"api": "native"} if system is LEXPAND else {}
    chosen = tune(worker, workload, system.ladders, fixed)
    points.points[collection.name, workload.queries, workload.k] = chosen
    return chosen


def _curves(workload: Workload, workers: dict[System, Worker]) -> dict[str, list[dict[str, Any]]]:
    """Measure all settings of the systems that have a knob on a sample, for the plot."""
    if workload.threads > 1:
        return {}
    sample = Workload(workload.queries, min(_SWEEP, workload.count), workload.k, 1, workload.truth)
    fixed: dict[System, Settings] = {LEXPAND: {"api": "native"}, SEISMIC: {}}
    swept = {
        system: [
            Contender(system.name, worker, {**fixed.get(system, {}), **settings})
            for settings in system.sweep
        ]
        for system, worker in workers.items()
        if system.sweep
    }
    run_rounds([contender for contenders in swept.values() for contender in contenders], sample)
    return {
        system.name: [contender.figures() for contender in contenders if not contender.failure]
        for system, contenders in swept.items()
    }


def _rows(folder: Path) -> int:
    return (folder / "indptr.i64").stat().st_size // 8 - 1
