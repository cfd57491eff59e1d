"""`lexpand tune`: find a better pipeline on judged queries, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.options import (
    EVALUATION,
    OUTPUT,
    RERANKING,
    DtypeOption,
    IndexPath,
    Json,
    Model,
    PipelineOption,
    QrelsPath,
    QueriesPath,
    QueryModeOption,
    QueryPrune,
    QueryRules,
    ReportPath,
    Split,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import (
    count,
    is_watched,
    line,
    print_json,
    print_refused,
    say,
    show,
    show_table,
    show_text,
)
from lexpand.cli.reporting import write_report
from lexpand.collection import open as open_collection
from lexpand.data import read_judged
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, RowError
from lexpand.experiments.tuning import pipelines_to_try, tune
from lexpand.experiments.tuning_results import Tuned
from lexpand.experiments.tuning_space import described


def tune_command(
    index_path: IndexPath,
    queries: QueriesPath,
    qrels: QrelsPath = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the pipeline to this TOML file, for `--pipeline FILE`, if it is better.",
            show_default="print it",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    always: Annotated[
        bool,
        typer.Option(
            "--always",
            help="Write the file also if nothing is better. It has the pipeline in use then.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            "-m",
            metavar="NAME",
            help="Measure to maximize, in ir-measures' notation, such as nDCG@10, RR@10 or AP.",
            rich_help_panel=EVALUATION,
        ),
    ] = "nDCG@10",
    split: Split = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            metavar="MS",
            help="Choose the best pipeline whose median latency is at most this.",
            show_default="no limit",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", help="Seed of the folds and tests.", rich_help_panel=EVALUATION),
    ] = 0,
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank",
            metavar="MODEL",
            help="Also try to rerank 10, 20, 50 and 100 documents with this cross-encoder: a model"
            " folder or an ONNX file. It scores about 120 documents for each query.",
            show_default="no reranking",
            rich_help_panel=RERANKING,
        ),
    ] = None,
    pipeline: PipelineOption = None,
    query_mode: QueryModeOption = None,
    prune: QueryPrune = None,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    report: ReportPath = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Find a better pipeline for INDEX on the judged QUERIES, and write it if it is better.

    Weights, fusion, feedback and other settings are tried (docs/tune.md). The choice is tested on
    queries that did not make it. If it is not significantly better than the pipeline in use, no
    file is written, and the exit code is 0 all the same.

    QUERIES is a BEIR folder, a query file together with QRELS, or one table with a question, a
    document and a grade in each row.
    """
    _check_folder(out)
    refused: list[RowError] = []
    judged = read_judged(queries, qrels, split=split, on_bad_row=refused.append)
    with open_collection(
        index_path,
        pipeline,
        model=model,
        threads=threads,
        queries=query_encoding(query_mode, prune, dtype),
        rules=rules,
    ) as kb:
        total = len(pipelines_to_try(kb, rerank))
        with reporting(total, "pipelines", is_watched()) as on_done:
            tuned = tune(
                kb,
                judged,
                measure,
                rerank=rerank,
                budget_ms=budget_ms,
                seed=seed,
                threads=threads or 1,
                on_done=on_done,
            )
    written = out if out is not None and (tuned.accepted or always) else None
    if written is not None:
        tuned.pipeline.save(written)
    print_refused(refused)
    if report is not None:
        write_report(tuned.report(), report)
    if as_json:
        path = None if written is None else str(written)
        print_json({**tuned.to_dict(), "out": path, "refused": refused})
    else:
        for note in judged.notes:
            say(note, "yellow")
        _print(tuned, out, written)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _check_folder(out: Path | None) -> None:
    """Refuse a file that cannot be written before anything is computed."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise DataError(f"--out must be a file in an existing folder, got {str(out)!r}")


def _print(tuned: Tuned, out: Path | None, written: Path | None) -> None:
    if tuned.points:
        show_table(_points(tuned))
        show(("* no other kind is both better and faster; the quality is cross-validated", "dim"))
    if tuned.trials:
        tried = f"{count(len(tuned.trials), 'pipeline')} on {tuned.queries:,} queries"
        show(f"tried {tried} in {tuned.seconds:,.0f} s")
    if tuned.comparison is not None:
        show(f"in use: {described(tuned.default)}")
        show(f"found:  {described(tuned.proposed)}")
    verdict = ("better: ", "bold green") if tuned.accepted else ("kept: ", "bold yellow")
    show(verdict, tuned.reason)
    if written is not None:
        show(f"wrote {written}: use it with --pipeline {written}")
    elif out is not None:
        show(f"did not write {out} (--always does)")
    elif tuned.accepted:
        show_text(tuned.pipeline.to_toml())


def _points(tuned: Tuned) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    table.add_column("kind")
    table.add_column(tuned.measure, justify="right")
    table.add_column("p50", justify="right")
    table.add_column("pipeline")
    front = tuned.front
    for each in tuned.points:
        table.add_row(
            "*" if each in front else "",
            line(each.kind),
            f"{each.quality:.4f}",
            f"{each.latency_ms:.2f} ms",
            line(described(each.pipeline)),
        )
    return table
