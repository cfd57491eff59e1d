"""`lexpand reencode`: encode the stored documents of an index again."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED
from lexpand.cli.making import (
    CacheFile,
    ChunksAs,
    CommitEvery,
    LongPolicy,
    MaxLength,
    Overlap,
    Prune,
    RulesFile,
    TitleWeight,
    Words,
    encoding_of,
)
from lexpand.cli.options import DtypeOption, IndexPath, Json, Model, Threads, Verbose
from lexpand.cli.output import count, is_watched, print_json, say, show
from lexpand.collection.folders import repair_swap
from lexpand.collection.reencoding import ReencodeReport, reencode, unfinished
from lexpand.encode.progress import reporting
from lexpand.index import COMMIT_EVERY, Index


def reencode_command(
    index_path: IndexPath,
    model: Model = None,
    max_length: MaxLength = None,
    long: LongPolicy = None,
    chunks: ChunksAs = None,
    overlap: Overlap = None,
    title_weight: TitleWeight = None,
    prune: Prune = None,
    rules: RulesFile = None,
    words: Words = None,
    dtype: DtypeOption = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="OLD",
            help="Move the old index to the folder OLD, to go back to it.",
            show_default="remove it",
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Discard the work of an interrupted call."),
    ] = False,
    commit_every: CommitEvery = COMMIT_EVERY,
    cache: CacheFile = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Encode the stored documents of INDEX again, and replace INDEX in one step.

    What is not given stays as INDEX records it. Searches go on meanwhile, and changes wait. After
    Ctrl-C, run the same command again to continue. If a document does not fit the new settings,
    INDEX stays as it is.
    """
    start = time.perf_counter()
    repair_swap(index_path.resolve())
    with Index.open(index_path, verify=False) as index:
        total, plain = len(index), index.space.encoding.long
    encoding = encoding_of(
        max_length=max_length,
        long=long,
        chunks=chunks,
        overlap=overlap,
        title_weight=title_weight,
        prune=prune,
        dtype=dtype,
        plain=plain,
    )
    try:
        with reporting(total, "encoding", is_watched()) as on_done:
            report = reencode(
                index_path,
                model=model,
                encoding=encoding,
                rules=rules,
                words=words,
                threads=threads,
                cache=cache,
                keep=keep,
                commit_every=commit_every,
                on_done=on_done,
                restart=restart,
            )
    except KeyboardInterrupt:
        work = unfinished(index_path.resolve())
        state = f"as it was, and {work} has the work; run the same command again to continue"
        if not work.exists():
            state = "replaced already, or nothing was begun: `lexpand info` says its model"
        say(f"interrupted: {index_path} is {state}", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print_json({**asdict(report), "seconds": round(time.perf_counter() - start, 3)})
        return
    _show(index_path, report, time.perf_counter() - start)


def _show(index_path: Path, report: ReencodeReport, seconds: float) -> None:
    if not report.changed:
        show(f"{index_path} is already encoded so by {report.before}: nothing to do")
        return
    show(
        f"{index_path}: {count(report.documents, 'document')} encoded by {report.after} in"
        f" {seconds:,.1f} s, before by {report.before}"
    )
    show(
        f"{report.terms_before:.0f} terms a vector became {report.terms_after:.0f}",
        indent=2,
    )
    if report.kept is not None:
        show(f"the old index is {report.kept}", indent=2)
