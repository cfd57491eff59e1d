"""`lexpand sync`: an index made the same as a source."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.ingesting import begun, print_report, saying_what_is_kept
from lexpand.cli.making import (
    CacheFile,
    ChunksAs,
    Columns,
    CommitEvery,
    LongPolicy,
    LongWishes,
    MaxLength,
    Overlap,
    Prune,
    RulesFile,
    TitleWeight,
    Wishes,
    Words,
    open_or_create,
)
from lexpand.cli.options import DtypeOption, IndexPath, Json, Model, Threads, Verbose
from lexpand.cli.output import count, is_watched, print_json, show
from lexpand.data import read_documents
from lexpand.encode.progress import reporting
from lexpand.errors import RowError
from lexpand.index import COMMIT_EVERY, IngestReport, SyncReport, sync


def sync_command(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="All documents; a file or folder as `lexpand index` reads it.")
    ],
    index_path: IndexPath,
    model: Model = None,
    max_length: MaxLength = None,
    commit_every: CommitEvery = COMMIT_EVERY,
    long: LongPolicy = None,
    chunks: ChunksAs = None,
    overlap: Overlap = None,
    title_weight: TitleWeight = None,
    prune: Prune = None,
    cache: CacheFile = None,
    rules: RulesFile = None,
    words: Words = None,
    columns: Columns = None,
    dtype: DtypeOption = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make INDEX hold exactly the documents of SOURCE: add what is new, replace what changed, delete what vanished.

    Nothing is encoded twice. Where a row of SOURCE cannot be read, its document stays; where its id cannot be read
    either, nothing is deleted (exit code 3).
    """
    start, refused = time.perf_counter(), list[RowError]()
    documents = begun(source, read_documents(source, on_bad_row=refused.append), refused)
    with open_or_create(
        index_path,
        Wishes(
            model,
            max_length,
            words,
            columns,
            LongWishes(long, chunks, overlap),
            title_weight,
            prune,
            cache,
            rules,
            dtype,
        ),
        threads,
    ) as (index, encoder):
        report = SyncReport(IngestReport(refused=refused))
        with saying_what_is_kept(index, refused), reporting(None, "indexing", is_watched()) as on_done:
            sync(
                index,
                encoder,
                documents,
                refused=refused,
                commit_every=commit_every,
                on_done=on_done,
                report=report,
            )
        seconds = time.perf_counter() - start
        if as_json:
            facts = {**asdict(report.ingest), "refused": refused, "deleted": report.deleted, "kept": report.kept}
            print_json({**facts, "documents": len(index), "seconds": round(seconds, 3)})
        else:
            show(f"{count(report.deleted, 'document')} deleted that the source does not have")
            if report.kept:
                show(f"{report.kept:,} kept that may be in the rows refused", indent=2)
            print_report(report.ingest, refused, index, encoder, seconds, as_json)
    if refused:
        raise typer.Exit(EXIT_REFUSED)
