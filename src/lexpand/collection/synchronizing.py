"""Synchronize an index with a source: add new, replace changed, and delete missing documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from lexpand.collection.ingestion import IngestReport, OnDuplicate, ingest
from lexpand.data import Document
from lexpand.encode import Encoder
from lexpand.errors import IndexStateError, RowError
from lexpand.index import COMMIT_EVERY, Index, Presence

# Documents per lookup in the index.
_BATCH = 1000


@dataclass(slots=True)
class SyncReport:
    """Counts of a synchronization.

    Attributes:
        ingest: the counts of the documents in the source; ``added`` includes replaced ones.
        deleted: documents that were deleted because the source lacks them.
        kept: documents that were not deleted because an unreadable row may be theirs.
    """

    ingest: IngestReport = field(default_factory=IngestReport)
    deleted: int = 0
    kept: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {**self.ingest.to_dict(), "deleted": self.deleted, "kept": self.kept}


@dataclass(slots=True)
class SyncPlan:
    """The changes that a synchronization would make.

    Attributes:
        new: the number of documents of the source that the index lacks.
        changed: the number of documents that the index has with different content.
        unchanged: the number of documents that the index has with the same content.
        refused: rows of the source that cannot be used.
        gone: ids of the index that the source lacks. They would be deleted.
        kept: the number of documents that would not be deleted because an unreadable row may be
            theirs.
        held: the number of documents in the index.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[RowError] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    kept: int = 0
    held: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {**asdict(self), "refused": [row.to_dict() for row in self.refused]}


def plan_sync(index: Index, documents: Iterable[Document], refused: list[RowError]) -> SyncPlan:
    """Return what `sync` would do, without encoding or changing anything.

    Args:
        index: the index.
        documents: all documents of the source.
        refused: rows of the source that could not be read. The list grows while ``documents`` is
            read.
    """
    index.refresh()
    plan, seen = SyncPlan(refused=refused, held=len(index)), set[str]()
    stream = _once_each(documents, seen, refused)
    while batch := list(islice(stream, _BATCH)):
        presence = index.presence(batch)
        plan.new += presence.count(Presence.NEW)
        plan.changed += presence.count(Presence.OTHER)
        plan.unchanged += presence.count(Presence.SAME)
    plan.gone, plan.kept = _gone(index, seen, refused)
    return plan


def sync(
    index: Index,
    encoder: Encoder,
    documents: Iterable[Document],
    *,
    refused: list[RowError],
    force: bool = False,
    commit_every: int = COMMIT_EVERY,
    on_done: Callable[[int], None] | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Make the index hold exactly the documents of a source.

    Unchanged documents are not encoded again. Documents are deleted last, and only if the source
    was read to its end. If an unreadable row has an id, the document with this id stays. If it has
    no id, it may be any document, so nothing is deleted. If two rows have one id and different
    contents, the first is used and the second refused.

    Args:
        index: the index.
        encoder: the model of the index.
        documents: all documents of the source.
        refused: rows of the source that could not be read. The reader extends the list while
            ``documents`` is read.
        force: whether more than half of the index may be deleted.
        commit_every: see `ingest`.
        on_done: see `ingest`.
        report: a report to update and return.

    Raises:
        IndexStateError: more than half of the index would be deleted, and ``force`` is false. New
            and changed documents were stored before.
        ContractMismatch, IndexLocked, StorageError: see `ingest`.
    """
    report = report or SyncReport(IngestReport(refused=refused))
    index.refresh()
    held, seen = len(index), set[str]()
    ingest(
        index,
        encoder,
        _once_each(documents, seen, refused),
        on_duplicate=OnDuplicate.REPLACE,
        commit_every=commit_every,
        on_done=on_done,
        report=report.ingest,
    )
    gone, report.kept = _gone(index, seen, refused)
    check_deletions(index, len(gone), held, force)
    report.deleted = index.delete(gone)
    index.commit()
    return report


def check_deletions(index: Index, gone: int, held: int, force: bool) -> None:
    """Check that at most half of an index would be deleted.

    Raises:
        IndexStateError: more than half would be deleted, and ``force`` is false.
    """
    if gone * 2 > held and not force:
        raise IndexStateError(
            f"the source lacks {gone:,} of the {held:,} documents of {index.path}, and more than"
            " half are not deleted without confirmation: check that it is the right source, then"
            " confirm it with force=True (--yes on the command line)"
        )


def _gone(index: Index, seen: set[str], refused: Sequence[RowError]) -> tuple[list[str], int]:
    """Return the ids to delete, and the number of missing ids that unreadable rows may have."""
    missing = [doc_id for doc_id in index.doc_ids() if doc_id not in seen]
    if any(row.doc_id is None for row in refused):
        return [], len(missing)
    unread = {row.doc_id for row in refused}
    gone = [doc_id for doc_id in missing if doc_id not in unread]
    return gone, len(missing) - len(gone)


def _once_each(
    documents: Iterable[Document], seen: set[str], refused: list[RowError]
) -> Iterator[Document]:
    """Yield the first document of each id; refuse others whose content differs."""
    contents: dict[str, bytes] = {}
    for document in documents:
        first = contents.setdefault(document.doc_id, document.content_hash)
        if document.doc_id not in seen:
            seen.add(document.doc_id)
            yield document
        elif first != document.content_hash:
            reason = (
                "an id must be unique in a source, got that of an earlier row with different "
                "content: the first row is kept"
            )
            refused.append(RowError(document.source or "documents", reason, document.doc_id))
