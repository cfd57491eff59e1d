"""Export runs of a store to MLflow, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lexpand.errors import MissingExtra
from lexpand.evaluation.store import StoredRun

EXPERIMENT = "lexpand"
"""The default name of the experiment."""

# MLflow's limit of a parameter is 6,000 characters, and was 500 before version 2.8.
_LONGEST = 500


def export_to_mlflow(run: StoredRun, experiment: str = EXPERIMENT) -> str:
    """Log a run to MLflow: its measures and cost, its facts, and its files as artifacts.

    The server is the one that MLflow is configured for (``MLFLOW_TRACKING_URI``). MLflow allows no
    ``@`` in the name of a metric, so ``nDCG@10`` becomes ``nDCG_10``.

    Args:
        run: the run.
        experiment: the name of the experiment, which is created if it does not exist.

    Returns:
        The id of the run in MLflow.

    Raises:
        MissingExtra: mlflow is not installed.
        CorruptRun: a file of the run is damaged.
    """
    try:
        import mlflow
    except ImportError:
        raise MissingExtra("mlflow", "", "exporting runs") from None
    run.values()  # raises if a file is damaged, before anything is logged
    card = run.card
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=card.name) as active:
        mlflow.set_tags({"lexpand.run_id": card.run_id, "lexpand.tags": ", ".join(run.tags)})
        mlflow.log_params(dict(_params(card.facts)))
        mlflow.log_metrics({_metric(name): value for name, value in card.measures.items()})
        mlflow.log_metrics(dict(_costs(card.facts.get("cost") or {}, "cost")))
        mlflow.log_artifacts(str(run.folder))
    return str(active.info.run_id)


def _metric(name: str) -> str:
    return "".join(each if each.isalnum() or each in "_-. /" else "_" for each in name)


def _params(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the facts that are no numbers of the cost and no lists of queries."""
    for name, value in facts.items():
        key = f"{prefix}.{name}" if prefix else name
        if key in ("cost", "collection.tags", "collection.kinds", "evaluation"):
            continue
        if isinstance(value, Mapping):
            yield from _params(value, key)
        else:
            yield key, str(value)[:_LONGEST]


def _costs(cost: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in cost.items():
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping):
            yield from _costs(value, key)
        elif isinstance(value, int | float):
            yield key, float(value)
