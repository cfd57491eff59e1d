"""`lexpand runs`: the runs of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.options import Json, ReportPath, StorePath, Verbose
from lexpand.cli.output import print_json, say, show, show_table
from lexpand.cli.reporting import write_report
from lexpand.evaluation.store import RunStore, StoredRun
from lexpand.experiments.mlflow_export import EXPERIMENT, export_to_mlflow
from lexpand.experiments.reports import flat_facts, runs_report

# Facts of each query.
_LONG_FACTS = ("collection tags", "collection kinds")

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Name, tag or id of a run, or `last`."),
]


def list_command(
    store: StorePath = Path("lexpand-runs"), as_json: Json = False, verbose: Verbose = False
) -> None:
    """List the runs, the oldest first."""
    kept = RunStore(store)
    runs, damaged = kept.runs(), kept.damaged()
    if as_json:
        errors = {run_id: str(error) for run_id, error in damaged.items()}
        found = [{**each.card.to_dict(), "tags": each.tags} for each in runs]
        print_json({"runs": found, "damaged": errors})
        return
    for error in damaged.values():
        say(str(error), "yellow")
    if not runs:
        show(f"{store} has no runs: make one with `lexpand evaluate`")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("id", "name", "tags", "collection", "measures"):
        table.add_column(column)
    for each in runs:
        measures = "  ".join(f"{name} {value:.4f}" for name, value in each.card.measures.items())
        collection = each.card.facts.get("collection", {}).get("name", "")
        table.add_row(
            each.card.run_id, each.card.name, ", ".join(each.tags), str(collection), measures
        )
    show_table(table)


def show_command(
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Names, tags or ids of runs, or `last`."),
    ],
    store: StorePath = Path("lexpand-runs"),
    report: ReportPath = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show how runs were made, what they measure and what they cost."""
    kept = RunStore(store)
    runs = [kept.find(name) for name in names]
    made = runs_report(runs)
    if report is not None:
        write_report(made, report)
    if as_json:
        print_json(made.to_dict())
        return
    for each in runs:
        _show(each)


def _show(run: StoredRun) -> None:
    show((run.card.name, "bold"), f"  {run.card.run_id}  {run.card.created}")
    if run.tags:
        show(f"tags: {', '.join(run.tags)}", indent=2)
    for name, value in run.card.measures.items():
        show(f"{name} {value:.4f}", indent=2)
    for name, fact in flat_facts(run.card.facts):
        if not name.startswith(_LONG_FACTS):
            show(f"{name}: {fact}", indent=2)
    show((str(run.folder), "dim"), indent=2)


def tag_command(
    name: RunName,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The tag, such as `baseline`.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the tag away from the run.")
    ] = False,
    store: StorePath = Path("lexpand-runs"),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Give RUN a TAG. A tag is on one run; it moves if another has it."""
    kept = RunStore(store)
    if remove:
        kept.find(tag)
        kept.untag(tag)
    run = kept.find(name) if remove else kept.tag(name, tag)
    if as_json:
        print_json({"run_id": run.card.run_id, "tags": run.tags})
    else:
        show(f"{run.card.name} ({run.card.run_id}) has the tags: {', '.join(run.tags) or 'none'}")


def remove_command(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Names, tags or ids of runs.")
    ],
    store: StorePath = Path("lexpand-runs"),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete runs from the store."""
    kept = RunStore(store)
    damaged = kept.damaged()
    # All names are checked before anything is deleted.
    ids = [name if name in damaged else kept.find(name).card.run_id for name in names]
    removed = [kept.remove(run_id) for run_id in ids]
    if as_json:
        print_json({"removed": removed})
    else:
        show(f"removed {', '.join(removed)}")


def export_command(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Names, tags or ids of runs, or `last`.")
    ],
    experiment: Annotated[
        str, typer.Option("--experiment", help="Experiment in MLflow.")
    ] = EXPERIMENT,
    store: StorePath = Path("lexpand-runs"),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Log runs to MLflow, with their files. It must be installed: pip install mlflow."""
    kept = RunStore(store)
    found = [kept.find(name) for name in names]
    exported = {each.card.run_id: export_to_mlflow(each, experiment) for each in found}
    if as_json:
        print_json({"exported": exported})
    else:
        for run_id, there in exported.items():
            show(f"{run_id} is run {there} in the experiment {experiment}")
