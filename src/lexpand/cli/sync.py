"""`lexpand sync`: make an index equal to a source."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

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
    DryRun,
    DtypeOption,
    IndexPath,
    Json,
    Model,
    SourcePath,
    Threads,
    Verbose,
    Yes,
)
from lexpand.cli.output import count, is_watched, print_json, print_refused, show
from lexpand.collection import SyncPlan, SyncReport, open_or_create, plan_sync
from lexpand.collection.synchronizing import check_deletions
from lexpand.data import Fields
from lexpand.encode.progress import reporting
from lexpand.errors import RowError
from lexpand.index import COMMIT_EVERY, Index

# The largest number of ids that a plan lists.
_GONE_SHOWN = 20


def sync_command(
    source: SourcePath,
    index_path: IndexPath,
    model: Model = None,
    max_length: MaxLength = None,
    id_field: IdField = None,
    text_field: TextField = None,
    title_field: TitleField = None,
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
    dry_run: DryRun = False,
    yes: Yes = False,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make INDEX hold exactly the documents of SOURCE: add, replace and delete as needed.

    Unchanged documents are not encoded again. If a row of SOURCE cannot be read, its document stays
    in INDEX. If the id of a row cannot be read either, nothing is deleted (exit code 3). If more
    than half of INDEX would be deleted, nothing changes without --yes.
    """
    start, report = time.perf_counter(), SyncReport()
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
    declared = columns_of(columns)
    plan = _plan(source, index_path, fields, declared)
    if dry_run:
        _print_plan(plan, as_json)
        return
    with open_or_create(index_path, settings, threads=threads, cache=cache) as kb:
        if plan is not None:
            check_deletions(kb.index, len(plan.gone), plan.held, yes)
        stream = begun(source, index_path, fields, declared, report.ingest.refused)
        total = None if plan is None else plan.new + plan.changed + plan.unchanged
        with (
            saying_what_is_kept(kb, report.ingest.refused),
            reporting(total, "indexing", is_watched()) as on_done,
        ):
            kb.sync(
                stream.documents,
                force=yes,
                commit_every=commit_every,
                on_done=on_done,
                report=report,
            )
        seconds = time.perf_counter() - start
        if not as_json:
            gone = f"{count(report.deleted, 'document')} deleted, which the source lacks"
            show(gone if report.deleted else "no document deleted")
            if report.kept:
                show(f"{report.kept:,} kept, because refused rows may hold them", indent=2)
        print_report(report.ingest, kb, seconds, as_json, deleted=report.deleted, kept=report.kept)
    if report.ingest.refused:
        raise typer.Exit(EXIT_REFUSED)


def _plan(
    source: Path, index_path: Path, fields: Fields, columns: Mapping[str, str]
) -> SyncPlan | None:
    """Return what the sync would do; None for standard input, which can be read only once."""
    if str(source) == "-":
        return None
    refused: list[RowError] = []
    documents = begun(source, index_path, fields, columns, refused).documents
    if not Index.exists(index_path):
        return SyncPlan(new=sum(1 for _ in documents), refused=refused)
    with Index.open(index_path) as index:
        return plan_sync(index, documents, refused)


def _print_plan(plan: SyncPlan | None, as_json: bool) -> None:
    if plan is None:
        raise typer.BadParameter(
            "--dry-run needs a source that can be read twice, not standard input: name a file"
        )
    if as_json:
        print_json(plan.to_dict())
        return
    show(
        f"{plan.new:,} to add, {plan.changed:,} to replace, {plan.unchanged:,} unchanged, "
        f"{len(plan.gone):,} to delete"
    )
    for doc_id in plan.gone[:_GONE_SHOWN]:
        show(f"delete {doc_id}", indent=2)
    if len(plan.gone) > _GONE_SHOWN:
        show(f"... and {len(plan.gone) - _GONE_SHOWN:,} more (--json lists all)", indent=2)
    if plan.kept:
        show(f"{plan.kept:,} kept, because refused rows may hold them", indent=2)
    print_refused(plan.refused)
