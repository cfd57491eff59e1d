"""`lexpand check`, `compact` and `backup`: the care of an index."""

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
    """Read everything in INDEX and verify it: checksums, postings, texts, the catalog.

    Exit code 1 where something is wrong; each fault is a line.
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
        show(
            f"{index_path} is sound: {count(documents, 'document')}, {size:,} bytes read in {seconds:.1f} s"
        )
    else:
        for fault in faults:
            say(fault, "red")
        show(
            f"{index_path} has {count(len(faults), 'fault')}: restore it from a copy, or index again"
        )
    if faults:
        raise typer.Exit(EXIT_ERROR)


def compact(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """Make the segments of INDEX one, without deleted documents, and give their space back to the disk."""
    with Index.open(index_path) as index:
        before = index.info()
        index.compact()
        after = index.info()
    sizes = [info.segment_bytes + info.catalog_bytes for info in (before, after)]
    if as_json:
        print_json({"segments": [before.segments, after.segments], "bytes": sizes})
        return
    show(
        f"{count(before.segments, 'segment')} made {after.segments:,}; {sizes[0]:,} bytes made {sizes[1]:,}"
    )


def backup(
    index_path: IndexPath,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder that does not exist or is empty.")
    ],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy the newest commit of INDEX to TARGET; others may go on writing meanwhile."""
    with Index.open(index_path, verify=False) as index:
        commit = index.backup(target)
    if as_json:
        print_json({"target": target, "commit": commit.commit_id, "documents": commit.documents})
        return
    show(
        f"{target} holds {count(commit.documents, 'document')}, commit {commit.commit_id} of {commit.created_at}"
    )
