"""`lexpand index`: add documents to an index."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.ingesting import begun, print_report, saying_what_is_kept
from lexpand.cli.making import (
    CacheFile,
    ChunksAs,
    Columns,
    CommitEvery,
    IdField,
    LongPolicy,
    MaxLength,
    Overlap,
    Prune,
    RulesFile,
    TextField,
    TitleField,
    TitleWeight,
    Words,
    columns_of,
    encoding_of,
    settings_of,
)
from lexpand.cli.options import (
    INDEX,
    DtypeOption,
    IndexPath,
    Json,
    Model,
    SourcePath,
    Threads,
    Verbose,
)
from lexpand.cli.output import is_watched
from lexpand.collection import IngestReport, OnDuplicate, open_or_create
from lexpand.data import Fields
from lexpand.encode.progress import reporting
from lexpand.index import COMMIT_EVERY


def index(
    source: SourcePath,
    index_path: IndexPath,
    model: Model = None,
    max_length: MaxLength = None,
    id_field: IdField = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(
            "--on-duplicate",
            help="If INDEX has a document of this id with different content: refuse the new one "
            "and report it, skip it, or replace the old one.",
            rich_help_panel=INDEX,
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
    """Encode the documents of SOURCE and add them to INDEX, which is created if needed.

    Rows that cannot be used are listed with file and line, and the others are indexed (exit code
    3). After Ctrl-C, run the same command again to continue: documents that are already in INDEX
    are skipped and counted.
    """
    start, report = time.perf_counter(), IngestReport()
    fields = Fields(doc_id=id_field, text=text_field, title=title_field)
    encoding = encoding_of(
        max_length=max_length,
        long=long,
        chunks=chunks,
        overlap=overlap,
        title_weight=title_weight,
        prune=prune,
        dtype=dtype,
    )
    settings = settings_of(
        encoding, model=model, rules=rules, words=words, columns=columns, fields=fields
    )
    stream = begun(source, index_path, fields, columns_of(columns), report.refused)
    with open_or_create(index_path, settings, threads=threads, cache=cache) as kb:
        with (
            saying_what_is_kept(kb, report.refused),
            reporting(stream.total, "indexing", is_watched()) as on_done,
        ):
            kb.add(
                stream.documents,
                on_duplicate=on_duplicate,
                commit_every=commit_every,
                on_done=on_done,
                report=report,
            )
        print_report(report, kb, time.perf_counter() - start, as_json)
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)
