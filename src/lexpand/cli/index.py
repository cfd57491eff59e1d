"""`lexpand index`: documents into an index."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED, EXIT_REFUSED
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
    Wishes,
    Words,
    open_or_create,
)
from lexpand.cli.options import IndexPath, Json, Model, Threads, Verbose
from lexpand.cli.output import count, is_watched, print_json, print_refused, say, show
from lexpand.data import Document, Fields, read_documents
from lexpand.encode import Chunks, Encoder, Long, Role
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.index import COMMIT_EVERY, Index, IngestReport, OnDuplicate, ingest


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
    prune: Prune = None,
    cache: CacheFile = None,
    words: Words = None,
    columns: Columns = None,
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
    wishes = Wishes(model, max_length, words, columns, LongWishes(long, chunks, overlap), prune, cache)
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


def begun(source: Path, documents: Iterator[Document], refused: list[RowError]) -> Iterator[Document]:
    """The documents, the first one already read: a source without any makes no index."""
    for first in documents:
        return itertools.chain([first], documents)
    print_refused(refused)
    raise DataError(f"{source} has no row that can be used: nothing was indexed")


@contextmanager
def saying_what_is_kept(index: Index, refused: list[RowError]) -> Iterator[None]:
    """Where the work ends early, list the rows refused by then; after Ctrl-C say what the index has."""
    try:
        yield
    except LexpandError:
        print_refused(refused)
        raise
    except KeyboardInterrupt:
        print_refused(refused)
        kept = count(len(index), "document")
        say(f"interrupted: {index.path} has {kept}; the same command again carries on", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_report(
    report: IngestReport,
    refused: list[RowError],
    index: Index,
    encoder: Encoder,
    seconds: float,
    as_json: bool,
) -> None:
    """What became of the documents, and the rows that were refused."""
    if as_json:
        facts = {**asdict(report), "refused": refused, "documents": len(index), "seconds": round(seconds, 3)}
        print_json({**facts, "encode_seconds": round(report.encode_seconds, 3)})
        return
    rate = f" ({report.added / report.encode_seconds:,.1f} a second encoded)" if report.added else ""
    show(f"{count(report.added, 'document')} added in {seconds:,.1f} s{rate}")
    notes = {
        "already there with the same content: skipped": report.unchanged,
        "already there with another content: left as they are": report.skipped,
        "of them in the place of another content": report.replaced,
        f"longer than {encoder.max_tokens[Role.DOCUMENT]} tokens: cut, {report.tokens_lost:,} of "
        f"{report.tokens:,} tokens not read": report.truncated,
        "without any term: no query can find them": report.empty,
    }
    for note, number in notes.items():
        if number:
            show(f"{number:,} {note}", indent=2)
    if report.most_cut:
        most = ", ".join(f"{doc_id} {lost:,}" for lost, doc_id in report.most_cut)
        show(f"most tokens not read, by document: {most}", indent=2)
    if encoder.long.policy is Long.CHUNK and encoder.long.chunks is Chunks.UNITS:
        show(f"{count(report.units, 'unit')} made of them, long documents being in chunks", indent=2)
    show(f"{index.path} holds {count(len(index), 'document')}")
    print_refused(refused)
