"""`lexpand get`, `lexpand delete` and `lexpand fields`: documents and their metadata."""

from __future__ import annotations

from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_ERROR
from lexpand.cli.options import DocIds, DryRun, FilterText, IndexPath, Json, Verbose
from lexpand.cli.output import count, print_error, print_json, show, show_text
from lexpand.data import Document
from lexpand.errors import DataError, IndexStateError
from lexpand.index import Index

DeleteYes = Annotated[
    bool, typer.Option("--yes", "-y", help="Allow the deletion of more than half of INDEX.")
]


def get(
    index_path: IndexPath,
    doc_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of documents.")],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print documents of INDEX. If an id is unknown, the others are printed (exit code 1)."""
    with Index.open(index_path) as index:
        found = index.documents_by_id(doc_ids)
    for doc_id in doc_ids:
        if doc_id in found:
            _print(found[doc_id], as_json)
    missing = [doc_id for doc_id in doc_ids if doc_id not in found]
    for doc_id in missing:
        print_error(f"{index_path} has no document {doc_id!r}: ids must match exactly")
    if missing:
        raise typer.Exit(EXIT_ERROR)


def _print(document: Document, as_json: bool) -> None:
    if as_json:
        facts = {"doc_id": document.doc_id, "title": document.title, "text": document.text}
        print_json({**facts, "metadata": document.metadata})
        return
    title = ("  ", (document.title, "bold")) if document.title else ()
    show((document.doc_id, "dim"), *title)
    show_text(document.text, indent=2)
    for name, value in document.metadata.items():
        show(f"{name}: {value}", indent=2)


def delete(
    index_path: IndexPath,
    doc_ids: DocIds = None,
    filter_text: FilterText = None,
    dry_run: DryRun = False,
    yes: DeleteYes = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete documents of INDEX: those with the given ids, or those that match --filter.

    Ids that INDEX lacks are counted. A filter that matches more than half of INDEX needs --yes. The
    texts leave the disk at the next merge, or with `lexpand compact`.
    """
    if bool(doc_ids) == (filter_text is not None):
        raise typer.BadParameter("give either ids or --filter TEXT")
    with Index.open(index_path) as index:
        index.check_fields(filter_text)
        wanted = (
            list(dict.fromkeys(doc_ids or ()))
            if filter_text is None
            else index.matching(filter_text)
        )
        if not wanted and filter_text is not None:
            raise DataError(
                f"no document of {index_path} matches {filter_text}: nothing was deleted"
            )
        there = index.documents_by_id(wanted) if filter_text is None else wanted
        if filter_text is not None and len(wanted) * 2 > len(index) and not (yes or dry_run):
            raise IndexStateError(
                f"{filter_text} matches {len(wanted):,} of the {len(index):,} documents of"
                f" {index_path}: nothing was deleted; check them with `lexpand delete --dry-run`,"
                " then add --yes"
            )
        deleted = len(there) if dry_run else index.delete(wanted)
        if not dry_run:
            index.commit()
        left = len(index)
    missing = len(wanted) - deleted
    if as_json:
        print_json({"deleted": deleted, "missing": missing, "documents": left, "dry_run": dry_run})
        return
    verb = "would be deleted" if dry_run else "deleted"
    show(f"{count(deleted, 'document')} {verb}" + (f", {missing:,} not found" if missing else ""))
    if dry_run:
        for doc_id in list(there)[:20]:
            show(doc_id, indent=2)
    show(f"{index_path} holds {count(left, 'document')}")


def fields(index_path: IndexPath, as_json: Json = False, verbose: Verbose = False) -> None:
    """List the metadata fields of INDEX with their types, counts and frequent values."""
    with Index.open(index_path) as index:
        found = index.fields()
    if as_json:
        print_json({"fields": [field.to_dict() for field in found]})
        return
    for field in found:
        kind = f"{', '.join(field.types)}{', a column' if field.column else ''}"
        show((field.name, "bold"), f"  {kind}, in {count(field.documents, 'document')}")
        if field.values:
            values = ", ".join(f"{value} ({number:,})" for value, number in field.values)
            show(values, indent=2)
    if not found:
        show("no document has metadata")
