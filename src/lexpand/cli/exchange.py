"""`lexpand export` and `lexpand import`: exchange vectors with other systems."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.making import CommitEvery
from lexpand.cli.options import IndexPath, Json, Verbose
from lexpand.cli.output import count, print_json, print_refused, show
from lexpand.errors import LexpandError
from lexpand.index import COMMIT_EVERY, Index
from lexpand.index.exchange import Format, ImportReport, export_index, import_vectors

FileFormat = Annotated[
    Format | None,
    typer.Option("--format", help="Format of the file.", show_default="by its suffix"),
]


def export(
    index_path: IndexPath,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help="File to write: .jsonl (also .gz and .zst), .npz, .parquet or .ciff.",
        ),
    ],
    file_format: FileFormat = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            help="Multiply weights by this factor and round them (jsonl, ciff). Weights that round "
            "to 0 are dropped.",
            show_default="jsonl: floats; ciff: the largest weight becomes 255",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing TARGET.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the stored vectors of INDEX to TARGET, for other systems (docs/exchange.md).

    If documents are in chunks, TARGET has one row per passage.
    """
    with Index.open(index_path) as index:
        report = export_index(index, target, format=file_format, scale=scale, overwrite=force)
    size = target.stat().st_size
    if as_json:
        facts = asdict(report)
        if report.passages == report.documents:
            del facts["passages"]  # the rows are the documents
        print_json({**facts, "target": target, "bytes": size})
        return
    documents, weights = count(report.documents, "document"), count(report.weights, "weight")
    show(f"{target} has {documents} with {weights}, {size:,} bytes")
    if report.passages != report.documents:
        show(
            f"one row for each of {count(report.passages, 'passage')}: documents are in chunks",
            indent=2,
        )
    if report.dropped:
        show(f"{count(report.dropped, 'weight')} dropped, which round to 0", indent=2)


def import_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Vector file: .jsonl (also .gz and .zst), .npz, .parquet or .ciff; or a folder of"
            " .parquet files.",
        ),
    ],
    index_path: IndexPath,
    file_format: FileFormat = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            help="Divide weights by this number (jsonl, ciff).",
            show_default="1; for a ciff file by lexpand, the scale that it records",
        ),
    ] = None,
    commit_every: CommitEvery = COMMIT_EVERY,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add the documents and vectors of SOURCE to INDEX, which is created if needed.

    Nothing is encoded. Rows that cannot be used are listed with file and line, and the others are
    added (exit code 3). Documents that INDEX has with the same text are skipped and counted.
    """
    start, report = time.perf_counter(), ImportReport()
    try:
        import_vectors(
            index_path,
            source,
            format=file_format,
            scale=scale,
            commit_every=commit_every,
            report=report,
        )
    except LexpandError:
        print_refused(report.refused)
        raise
    with Index.open(index_path, verify=False) as index:
        documents = len(index)
    seconds = time.perf_counter() - start
    if as_json:
        facts = {**asdict(report), "refused": report.refused}
        print_json({**facts, "documents": documents, "seconds": round(seconds, 3)})
    else:
        _print(report, index_path, documents, seconds)
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)


def _print(report: ImportReport, index_path: Path, documents: int, seconds: float) -> None:
    show(f"{count(report.added, 'document')} added in {seconds:,.1f} s")
    if report.unchanged:
        show(f"{report.unchanged:,} skipped: already in the index with the same text", indent=2)
    if report.empty:
        show(f"{report.empty:,} without a term: no query can find them", indent=2)
    show(f"{index_path} holds {count(documents, 'document')}")
    print_refused(report.refused)
