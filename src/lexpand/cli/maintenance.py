"""`lexpand check`, `compact` and `backup`: maintain an index."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_ERROR
from lexpand.cli.options import IndexPath, Json, Verbose
from lexpand.cli.output import count, print_json, say, show
from lexpand.index import Index


def check(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """Read and verify all of INDEX: checksums, postings, texts and catalog.

    Each fault is one line, and the exit code is then 1.
    """
    start = time.perf_counter()
    with Index.open(index_path, verify=False) as index:
        faults = index.check()
        documents, size = len(index), index.info().segment_bytes + index.info().catalog_bytes
    seconds = time.perf_counter() - start
    if as_json:
        print_json(
            {"faults": faults, "documents": documents, "bytes": size, "seconds": round(seconds, 3)}
        )
    elif not faults:
        read = f"{count(documents, 'document')}, {size:,} bytes read in {seconds:.1f} s"
        show(f"{index_path} is sound: {read}")
    else:
        for fault in faults:
            say(fault, "red")
        found = count(len(faults), "fault")
        show(f"{index_path} has {found}: restore it from a copy, or index again")
    if faults:
        raise typer.Exit(EXIT_ERROR)


def compact(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """Merge the segments of INDEX into one, and free the space of deleted documents."""
    with Index.open(index_path) as index:
        before = index.info()
        index.compact()
        after = index.info()
    sizes = [info.segment_bytes + info.catalog_bytes for info in (before, after)]
    if as_json:
        print_json({"segments": [before.segments, after.segments], "bytes": sizes})
        return
    segments = count(before.segments, "segment")
    show(f"{segments} became {after.segments:,}; {sizes[0]:,} bytes became {sizes[1]:,}")


def backup(
    index_path: IndexPath,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder that does not exist or is empty.")
    ],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy the newest commit of INDEX to TARGET, even while others write to INDEX."""
    with Index.open(index_path, verify=False) as index:
        commit = index.backup(target)
    if as_json:
        print_json({"target": target, "commit": commit.commit_id, "documents": commit.documents})
        return
    documents = count(commit.documents, "document")
    show(f"{target} holds {documents}, commit {commit.commit_id} of {commit.created_at}")
