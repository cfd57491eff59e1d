"""Which of Seismic's documented ways to build is best for it here."""

from __future__ import annotations

import math

from retrieval.data import Collection
from retrieval.indexes import built
from retrieval.measuring import Plan
from retrieval.rounds import Ask, log_path
from retrieval.systems import SEISMIC, SEISMIC_BUILDS
from retrieval.tuning import TARGET, trial, tune
from retrieval.workers import WorkerError, working


def choose_build(plan: Plan, collection: Collection) -> None:
    """Builds all, tunes each at all depths, and notes the quickest of those that miss the fewest targets."""
    verdicts = []
    for name, settings in SEISMIC_BUILDS.items():
        plan.say(f"Seismic, {name}")
        missed, cost = 0, 0.0
        log = log_path(plan.root, SEISMIC.module)
        try:
            index = built(SEISMIC, collection, settings, plan.root, plan.pythons)
            with working(plan.pythons.of(SEISMIC), SEISMIC.module, 1, log) as worker:
                worker.ask(
                    "open", path=str(index.path), documents=len(collection.documents), threads=1
                )
                for queries, folder in collection.query_sets.items():
                    asked = worker.ask(
                        "load", name=queries, folder=str(folder), limit=plan.queries
                    )["queries"]
                    for k in plan.ks:
                        ask = Ask(queries, asked, k, 1, collection.truth(queries, asked))
                        found = trial(
                            worker, ask, tune(worker, ask, SEISMIC.ladders, {}).settings, {}
                        )
                        missed += found.recall < TARGET
                        cost += math.log(found.mean_ms)
                        plan.say(
                            f"  {queries} {k}: {found.mean_ms:.3f} ms, {found.recall:.4f}, {found.settings}"
                        )
        except WorkerError as error:
            plan.say(f"  failed: {error}")
            continue
        verdicts.append((missed, cost, name, settings))
    if verdicts:
        missed, _, name, settings = min(verdicts, key=lambda verdict: verdict[:2])
        plan.say(f"Seismic is built as {name}: {missed} targets missed")
        plan.points[SEISMIC.module].build_for[collection.name] = settings
