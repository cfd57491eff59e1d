"""`lexpand get` and `lexpand delete`: documents by their ids."""

from __future__ import annotations

from typing import Annotated

import typer

from lexpand.cli.options import DocIds, FilterText, IndexPath, Json, Verbose
from lexpand.cli.output import count, print_json, show
from lexpand.errors import DataError
from lexpand.index import Index


def get(
    index_path: IndexPath,
    doc_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of documents.")],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print documents of INDEX as they were added."""
    with Index.open(index_path) as index:
        documents = [index.document(doc_id) for doc_id in doc_ids]
    for document in documents:
        if as_json:
            facts = {"doc_id": document.doc_id, "title": document.title, "text": document.text}
            print_json({**facts, "metadata": document.metadata})
            continue
        title = ("  ", (document.title, "bold")) if document.title else ()
        show((document.doc_id, "dim"), *title)
        show(document.text, indent=2)
        for name, value in document.metadata.items():
            show(f"{name}: {value}", indent=2)


def delete(
    index_path: IndexPath,
    doc_ids: DocIds = None,
    filter_text: FilterText = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete documents of INDEX: those with the given ids, or those that match --filter.

    Ids that INDEX lacks are left alone and counted. The texts leave the disk with a later merge, or `lexpand compact`.
    """
    if bool(doc_ids) == (filter_text is not None):
        raise typer.BadParameter("give ids, or --filter TEXT")
    with Index.open(index_path) as index:
        wanted = list(doc_ids or ()) if filter_text is None else index.matching(filter_text)
        if not wanted and filter_text is not None:
            raise DataError(f"no document of {index_path} matches {filter_text}: nothing was deleted")
        deleted = index.delete(wanted)
        index.commit()
        left = len(index)
    missing = len(set(wanted)) - deleted
    if as_json:
        print_json({"deleted": deleted, "missing": missing, "documents": left})
        return
    show(f"{count(deleted, 'document')} deleted" + (f", {missing:,} were not there" if missing else ""))
    show(f"{index_path} holds {count(left, 'document')}")
