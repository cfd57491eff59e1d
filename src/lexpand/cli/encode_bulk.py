"""`lexpand encode SOURCE --output DIR --on ray`: encode more documents than one machine can."""

from __future__ import annotations

import time

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.output import count, is_watched, print_json, say, show
from lexpand.encode.progress import reporting
from lexpand.engines.bulk import BulkJob, ShardReport
from lexpand.engines.distributing import Cluster, encode_shards
from lexpand.errors import StorageError

BULK = "Bulk encoding"

_SHOWN = 10


def encode_bulk(job: BulkJob, cluster: Cluster, workers: int, as_json: bool) -> None:
    """Encode the shards that the target lacks, and print what became of them."""
    start = time.perf_counter()
    shards = job.prepare()
    everything = len(job.shards())
    done: list[ShardReport] = []
    if everything > len(shards):
        say(f"{job.target} has {everything - len(shards):,} of {everything:,} parts", "yellow")
    try:
        with reporting(sum(shard.rows for shard in shards), "encoding", is_watched()) as on_done:
            for each in encode_shards(job, shards, cluster, workers):
                done.append(each)
                on_done(each.documents + each.refused)
    except KeyboardInterrupt:
        say("interrupted: run the same command again to continue", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    documents = sum(each.documents for each in done)
    seconds = time.perf_counter() - start
    refused, listed = job.refused()
    if missing := job.missing():
        raise StorageError(
            f"{job.target} lacks {len(missing):,} of {everything:,} parts, such as"
            f" {missing[0].part}: workers must be able to write there; run the command again"
        )
    if as_json:
        print_json(
            {
                "target": job.target,
                "shards": len(done),
                "documents": documents,
                "seconds": round(seconds, 3),
                "refused": refused,
                "listed": listed,
            }
        )
    else:
        rate = documents / seconds if seconds else 0.0
        show(
            f"{job.target} has {count(everything, 'part')}: {count(documents, 'document')} encoded"
            f" now, {rate:,.1f} a second"
        )
        for error in listed[:_SHOWN]:
            say(f"refused {error}", "yellow")
        if refused > _SHOWN:
            say(f"... and {refused - _SHOWN:,} more", "yellow")
    if refused:
        raise typer.Exit(EXIT_REFUSED)
