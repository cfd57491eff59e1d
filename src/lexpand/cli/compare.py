"""`lexpand compare`: is one run better than another, for which queries, and why?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.options import (
    EVALUATION,
    OUTPUT,
    Json,
    Measures,
    ReportPath,
    StorePath,
    Verbose,
)
from lexpand.cli.output import count, print_json, say, show, show_table
from lexpand.cli.reporting import write_report
from lexpand.data import Run
from lexpand.errors import DataError
from lexpand.evaluation import evaluate_run
from lexpand.evaluation.store import RunStore, read_run
from lexpand.experiments.comparing import (
    ComparisonReport,
    QueryChange,
    System,
    compare_systems,
)
from lexpand.experiments.reasons import Opened, Reason
from lexpand.experiments.reports import comparison_report

_TERMS = 5


def compare_command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs of the store, the baseline first: a name, a tag, an id or `last`. Or a run"
            " file of any system in TREC's format, measured by the judgments of the first.",
        ),
    ],
    measures: Measures = None,
    show_queries: Annotated[
        int,
        typer.Option(
            "--show",
            min=0,
            metavar="N",
            help="Losses and gains to show.",
            rich_help_panel=OUTPUT,
        ),
    ] = 3,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, help="Seed of the tests.", rich_help_panel=EVALUATION),
    ] = 0,
    store: StorePath = Path("lexpand-runs"),
    report: ReportPath = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compare runs with the first of them: significance, kinds of queries, and largest changes.

    The reason of a change is given in terms if both indexes are still there.
    """
    if len(runs) < 2:
        raise typer.BadParameter("give at least two runs", param_hint="'RUN...'")
    systems = _systems(runs, RunStore(store))
    result = compare_systems(systems, measures, show=show_queries, seed=seed)
    result = with_reasons(result)
    if report is not None:
        write_report(comparison_report(result), report)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)


def with_reasons(result: ComparisonReport) -> ComparisonReport:
    """Return the comparison with the reason of each loss and gain in terms."""
    before, after = result.systems[:2]
    with Opened(before, after) as opened:
        losses = tuple(replace(each, reason=opened.loss(each.query_id)) for each in result.losses)
        gains = tuple(replace(each, reason=opened.gain(each.query_id)) for each in result.gains)
        notes = (*result.notes, *dict.fromkeys(opened.notes))
        return replace(result, losses=losses, gains=gains, notes=notes)


def _systems(names: Sequence[str], store: RunStore) -> list[System]:
    systems: list[System] = []
    for name in names:
        if Path(name).is_file():
            if not systems:
                raise DataError(
                    f"the first run must be in the store, got the file {name}: store it with"
                    f" `lexpand evaluate --run {name} QUERIES QRELS`"
                )
            systems.append(_foreign(Path(name), systems[0]))
        else:
            systems.append(System.of(store.find(name)))
    return systems


def _foreign(path: Path, baseline: System) -> System:
    """Return the run of another system, measured by the judgments of the baseline."""
    run = _without_copies(read_run(path), baseline)
    longest = max((len(each) for each in run.rankings.values()), default=0)
    values = evaluate_run(run, baseline.qrels, list(baseline.values)).values
    return System(path.stem, run, baseline.qrels, baseline.queries, values, longest)


def _without_copies(run: Run, baseline: System) -> Run:
    """Leave out the documents that the baseline left out, because they equal their query."""
    left_out = baseline.facts.get("evaluation", {}).get("self_matches", {})
    return Run(
        {
            query: [hit for hit in ranking if hit.doc_id not in left_out.get(query, ())]
            for query, ranking in run.rankings.items()
        }
    )


def _print(result: ComparisonReport) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("run", "measure"):
        table.add_column(column)
    for column in ("before", "after", "difference", "95 % interval", "p", "wins/ties/losses"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for row in result.rows:
        each = row.comparison
        table.add_row(
            row.system,
            row.measure,
            f"{each.before:.4f}",
            f"{each.after:.4f}",
            f"{each.difference:+.4f}",
            f"{each.interval[0]:+.4f} to {each.interval[1]:+.4f}",
            f"{row.p_holm:.4f}",
            f"{each.wins}/{each.ties}/{each.losses}",
            row.verdict(),
        )
    show_table(table)
    queries = count(result.rows[0].comparison.queries, "query").replace("querys", "queries")
    show((f"{queries}; p of a paired randomization test, adjusted by Holm", "dim"))
    first, second = (each.name for each in result.systems[:2])
    if result.groups:
        show("")
        show((f"{result.measures[0]} by kind of query: {first} and {second}", "bold"))
        show_table(_groups(result))
    _print_changes(f"largest losses of {second}", result.losses)
    _print_changes(f"largest gains of {second}", result.gains)
    for note in result.notes:
        say(note, "yellow")


def _groups(result: ComparisonReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("queries")
    for column in ("count", "before", "after", "difference", "p"):
        table.add_column(column, justify="right")
    for each in result.groups:
        p = "-" if each.p is None else f"{each.p:.4f}"
        values = (f"{each.before:.4f}", f"{each.after:.4f}", f"{each.difference:+.4f}", p)
        table.add_row(each.kind, f"{each.queries:,}", *values)
    return table


def _print_changes(title: str, changes: Sequence[QueryChange]) -> None:
    if not changes:
        return
    show("")
    show((title, "bold"))
    for each in changes:
        show(
            f"{each.query_id}  ",
            (each.text, "bold"),
            f"  {each.before:.3f} to {each.after:.3f} ({each.difference:+.3f})",
        )
        if each.reason is not None:
            print_reason(each.reason, indent=4, gain=each.difference > 0)


def print_reason(reason: Reason, indent: int, gain: bool = False) -> None:
    """Print the reason of a change with its terms: the baseline's columns first."""
    show(str(reason), indent=indent)
    if not reason.terms:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("margin", justify="right")
    table.add_column("term")
    names = (reason.worse, reason.better) if gain else (reason.better, reason.worse)
    for which in ("answer", reason.other or "other"):
        for name in names:
            table.add_column(f"{which}: {name}", justify="right")
    for each in reason.terms[:_TERMS]:
        shares = each.shares(gain)
        shift = -each.shift if gain else each.shift
        table.add_row(f"{shift:+.3f}", each.term, *(f"{share:.3f}" for share in shares))
    show_table(table, indent=indent)
