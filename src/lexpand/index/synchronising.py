"""A source and an index made the same: what is new is added, what changed replaced, what vanished deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lexpand.data import Document
from lexpand.encode import Encoder
from lexpand.errors import RowError
from lexpand.index.index import Index
from lexpand.index.ingestion import COMMIT_EVERY, IngestReport, OnDuplicate, ingest


@dataclass(slots=True)
class SyncReport:
    """What became of the documents.

    Attributes:
        ingest: of those in the source; ``added`` has the replaced ones too.
        deleted: documents that the source does not have any more.
        kept: documents that the source may have in a row that could not be read; they are left alone.
    """

    ingest: IngestReport
    deleted: int = 0
    kept: int = 0


def sync(
    index: Index,
    encoder: Encoder,
    documents: Iterable[Document],
    *,
    refused: list[RowError],
    commit_every: int = COMMIT_EVERY,
    on_done: Callable[[int], None] | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Make the index hold exactly the documents of a source; nothing is encoded twice.

    Deletes last, and only where the source was read to its end. A row that was refused (``refused`` grows while
    ``documents`` are read) keeps its document if its id could be read; if not, it may be any one, and nothing is
    deleted.

    Args:
        index: where to.
        encoder: the index's model.
        documents: all documents of the source.
        refused: rows of the source that could not be read, as the reader lists them.
        commit_every: see `ingest`.
        on_done: see `ingest`.
        report: filled as the work goes on, and returned.

    Raises:
        ContractMismatch, IndexLocked, StorageError: see `ingest`.
    """
    report = report or SyncReport(IngestReport(refused=refused))
    seen: set[str] = set()
    ingest(
        index,
        encoder,
        _noting(documents, seen),
        on_duplicate=OnDuplicate.REPLACE,
        commit_every=commit_every,
        on_done=on_done,
        report=report.ingest,
    )
    vanished = [doc_id for doc_id in index.doc_ids() if doc_id not in seen]
    if any(row.doc_id is None for row in refused):
        report.kept = len(vanished)
        return report
    unread = {row.doc_id for row in refused}
    gone = [doc_id for doc_id in vanished if doc_id not in unread]
    report.kept = len(vanished) - len(gone)
    report.deleted = index.delete(gone)
    index.commit()
    return report


def _noting(documents: Iterable[Document], seen: set[str]) -> Iterator[Document]:
    for document in documents:
        seen.add(document.doc_id)
        yield document
