"""`lexpand index`: documents into an index."""

from __future__ import annotations

import time
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
from lexpand.cli.output import is_watched
from lexpand.data import Fields, read_documents
from lexpand.encode.progress import reporting
from lexpand.errors import RowError
from lexpand.index import COMMIT_EVERY, IngestReport, OnDuplicate, ingest


def index(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="JSONL (.gz, .zst too), CSV, TSV or Parquet file, BEIR folder, or folder of text and Markdown files.",
        ),
    ],
    index_path: IndexPath,
    model: Model = None,
    max_length: MaxLength = None,
    id_field: Annotated[
        str | None, typer.Option("--id-field", help="Field of the id.", show_default="doc_id, id or _id")
    ] = None,
    text_field: Annotated[
        str | None,
        typer.Option("--text-field", help="Field of the text.", show_default="text, contents, content or body"),
    ] = None,
    title_field: Annotated[
        str | None, typer.Option("--title-field", help="Field of the title.", show_default="title, if there")
    ] = None,
    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(
            "--on-duplicate",
            help="What to do with a doc_id that is there with another content: refuse it and say so, skip it, or "
            "put the new one in its place.",
        ),
    ] = OnDuplicate.REFUSE,
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
    """Encode the documents of SOURCE and add them to INDEX, which is made if it is not there.

    Rows that cannot be used are listed with their place, and the others indexed (exit code 3). Ctrl-C keeps what is
    done, and the same command again carries on: documents that are there already are skipped and counted.
    """
    start, refused = time.perf_counter(), list[RowError]()
    fields = Fields(doc_id=id_field, text=text_field, title=title_field)
    documents = begun(source, read_documents(source, fields=fields, on_bad_row=refused.append), refused)
    wishes = Wishes(
        model, max_length, words, columns, LongWishes(long, chunks, overlap), title_weight, prune, cache, rules, dtype
    )
    with open_or_create(index_path, wishes, threads) as (target, encoder):
        with saying_what_is_kept(target, refused), reporting(None, "indexing", is_watched()) as on_done:
            report = ingest(
                target,
                encoder,
                documents,
                on_duplicate=on_duplicate,
                commit_every=commit_every,
                on_done=on_done,
                report=IngestReport(refused=refused),
            )
        print_report(report, refused, target, encoder, time.perf_counter() - start, as_json)
    if refused:
        raise typer.Exit(EXIT_REFUSED)
