"""One collection: indexes, answers compared with the reference's, times in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.data import Collection
from retrieval.indexes import Built, Pythons, built
from retrieval.points import OperatingPoints, Point, Settings
from retrieval.rounds import Ask, Contender, log_path, run_rounds
from retrieval.systems import LEXPAND, SEISMIC, System
from retrieval.tuning import tune
from retrieval.workers import Worker, WorkerError, working

_SWEEP = 100
"""Queries for each point of the plot's lines."""


@dataclass
class Plan:
    """What a run does.

    Attributes:
        root: build/bench.
        pythons: interpreters.
        systems: that are measured, Lexpand first.
        ks: depths.
        queries: of each set, at most.
        reference: queries of each set that are compared with the NumPy reference; with none, Lexpand's
            documents need not fit in memory.
        threads: see `Ask`.
        retune: choose operating points anew.
        points: operating points by system's module.
        say: tells the user what is being done.
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
    say: Callable[[str], None]


@dataclass
class Measured:
    """What came out for a collection. ``skipped`` says why a system is not there."""

    name: str
    documents: int
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    panels: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    exact: bool | None = None
    reference_queries: int = 0
    effort_by_index: bool = False


def measure(plan: Plan, collection: Collection) -> Measured:
    """Everything about one collection."""
    measured = Measured(collection.name, len(collection.documents))
    indexes = dict(_indexes(plan, collection, measured))
    if LEXPAND in indexes and plan.reference:
        _compare_with_reference(plan, collection, indexes[LEXPAND], measured)
    with _opened(plan, collection, indexes, measured) as workers:
        for queries, folder in collection.query_sets.items():
            count = min(plan.queries, len(collection.documents), _rows(folder))
            plan.say(f"{collection.name}, queries {queries}: exact scores")
            truth = collection.truth(queries, count)
            for k in plan.ks:
                plan.say(f"{collection.name}, queries {queries}, k = {k}")
                ask = Ask(queries, count, k, plan.threads, truth)
                measured.panels.append(_panel(plan, collection, ask, workers, measured))
        for system in workers:
            if system is not LEXPAND:
                _note_memory(workers[system], measured.builds[system.name])
    if LEXPAND in indexes:
        _memory_of_lexpand(plan, collection, indexes[LEXPAND], measured)
    return measured


def _note_memory(worker: Worker, figures: dict[str, Any]) -> None:
    """A worker that has ended has said so before."""
    with suppress(WorkerError):
        figures["searching"] = worker.ask("memory")


def _memory_of_lexpand(
    plan: Plan, collection: Collection, index: Built, measured: Measured
) -> None:
    """In a process that asks the public API alone: with both, the files are mapped twice."""
    log = log_path(plan.root, LEXPAND.module)
    queries, folder = next(iter(collection.query_sets.items()))
    with working(plan.pythons.lexpand, LEXPAND.module, 1, log) as worker, suppress(WorkerError):
        worker.ask("open", path=str(index.path), documents=measured.documents, threads=1)
        asked = worker.ask("load", name=queries, folder=str(folder), limit=plan.queries)["queries"]
        settings = {"api": "index", "effort": 1.0}
        worker.ask("search", name=queries, first=0, end=asked, k=max(plan.ks), settings=settings)
        _note_memory(worker, measured.builds[LEXPAND.name])


def _indexes(
    plan: Plan, collection: Collection, measured: Measured
) -> Iterator[tuple[System, Built]]:
    for system in plan.systems:
        plan.say(f"{collection.name}: index of {system.name}")
        try:
            found = built(
                system,
                collection,
                _build_settings(plan, system, collection),
                plan.root,
                plan.pythons,
            )
        except WorkerError as error:
            measured.skipped[system.name] = str(error)
            continue
        measured.builds[system.name] = {**found.figures, "kept": system.kept}
        yield system, found


def _build_settings(plan: Plan, system: System, collection: Collection) -> Settings:
    return plan.points[system.module].of_index(collection.name) or system.build


def _compare_with_reference(
    plan: Plan, collection: Collection, index: Built, measured: Measured
) -> None:
    """In a process of its own, for the reference takes much memory: agreement, and the native writer's CPU time."""
    plan.say(f"{collection.name}: answers beside the NumPy reference's")
    documents, path = str(collection.folder / "documents"), str(index.path)
    log = log_path(plan.root, LEXPAND.module)
    with (
        working(plan.pythons.lexpand, LEXPAND.module, 1, log) as worker,
        _noted(measured, "NumPy reference"),
    ):
        written = worker.ask("call", name="write_segment", documents=documents, path=path)
        measured.builds[LEXPAND.name]["segment_cpu_seconds"] = written["cpu_seconds"]
        worker.ask("open", path=path, documents=measured.documents, threads=1)
        verdicts = [
            worker.ask(
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
def _noted(measured: Measured, what: str) -> Iterator[None]:
    """What fails within is named among what was left out."""
    try:
        yield
    except WorkerError as error:
        measured.skipped[what] = str(error)


@contextmanager
def _opened(
    plan: Plan, collection: Collection, indexes: dict[System, Built], measured: Measured
) -> Iterator[dict[System, Worker]]:
    """A process for each system, with its index open and all queries in it."""
    workers: dict[System, Worker] = {}
    with ExitStack() as stack:
        for system, index in indexes.items():
            log = log_path(plan.root, system.module)
            try:
                worker = stack.enter_context(
                    working(plan.pythons.of(system), system.module, plan.threads, log)
                )
                opened = worker.ask(
                    "open", path=str(index.path), documents=measured.documents, threads=plan.threads
                )
                for queries, folder in collection.query_sets.items():
                    worker.ask("load", name=queries, folder=str(folder), limit=plan.queries)
            except WorkerError as error:
                measured.skipped[system.name] = str(error)
                continue
            measured.builds[system.name]["open_seconds"] = opened["seconds"]
            if system is LEXPAND:
                measured.effort_by_index = worker.ask("call", name="abilities")["effort_by_index"]
            workers[system] = worker
        yield workers


def _panel(
    plan: Plan, collection: Collection, ask: Ask, workers: dict[System, Worker], measured: Measured
) -> dict[str, Any]:
    """All systems over one query set at one depth."""
    contenders: list[Contender] = []
    for system, worker in workers.items():
        if ask.threads == 1 or system.batch:
            try:
                contenders += _contenders(
                    plan, collection, ask, system, worker, measured.effort_by_index
                )
            except WorkerError as error:
                measured.skipped[f"{system.name}, queries {ask.queries}, k = {ask.k}"] = str(error)
    run_rounds(contenders, ask, first=ask.k == plan.ks[0])
    for contender in contenders:
        if contender.failure:
            measured.skipped[f"{contender.label}, queries {ask.queries}, k = {ask.k}"] = (
                contender.failure
            )
    facts = {
        "collection": collection.name,
        "queries": ask.queries,
        "k": ask.k,
        "threads": ask.threads,
    }
    points = {each.label: each.figures() for each in contenders if not each.failure}
    return {**facts, "count": ask.count, "points": points, "curves": _curves(ask, workers)}


def _contenders(
    plan: Plan,
    collection: Collection,
    ask: Ask,
    system: System,
    worker: Worker,
    effort_by_index: bool,
) -> list[Contender]:
    if not system.ladders:
        return [Contender(system.name, worker, system.search)]
    point = _point(plan, collection, ask, system, worker)
    if system is not LEXPAND:
        return [Contender(f"{system.name} 99 %", worker, point.settings)]
    found = []
    for api, name in (("index", "Index.search"), ("native", "_native.search")):
        found.append(Contender(f"Lexpand exact, {name}", worker, {"api": api, "effort": 1.0}))
        if api == "native" or effort_by_index or point.settings["effort"] == 1:
            found.append(Contender(f"Lexpand 99 %, {name}", worker, {"api": api, **point.settings}))
    return found


def _point(plan: Plan, collection: Collection, ask: Ask, system: System, worker: Worker) -> Point:
    """The operating point; chosen now where it is missing or to be chosen anew."""
    points = plan.points[system.module]
    known = points.of_search(collection.name, ask.queries, ask.k)
    if known is not None and not plan.retune:
        return known
    plan.say(f"tuning {system.name}: {collection.name}, queries {ask.queries}, k = {ask.k}")
    fixed: Settings = {"api": "native"} if system is LEXPAND else {}
    chosen = tune(worker, ask, system.ladders, fixed)
    points.points[collection.name, ask.queries, ask.k] = chosen
    return chosen


def _curves(ask: Ask, workers: dict[System, Worker]) -> dict[str, list[dict[str, Any]]]:
    """For the plot: systems with a knob, all their settings in turn over a sample of the queries."""
    if ask.threads > 1:
        return {}
    sample = Ask(ask.queries, min(_SWEEP, ask.count), ask.k, 1, ask.truth)
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
