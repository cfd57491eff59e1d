"""A source and an index made the same: what is new is added, what changed replaced, what vanished deleted."""

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

# Documents whose presence is looked up at a time.
_AT_ONCE = 1000


@dataclass(slots=True)
class SyncReport:
    """What became of the documents, or of a plan what would.

    Attributes:
        ingest: of those in the source; ``added`` has the replaced ones too.
        deleted: documents that the source does not have any more.
        kept: documents that the source may have in a row that could not be read; they are left
            alone.
    """

    ingest: IngestReport = field(default_factory=IngestReport)
    deleted: int = 0
    kept: int = 0

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**self.ingest.to_dict(), "deleted": self.deleted, "kept": self.kept}


@dataclass(slots=True)
class SyncPlan:
    """What a sync would do, worked out without encoding.

    Attributes:
        new, changed, unchanged: documents of the source.
        refused: rows of the source that cannot be used.
        gone: ids of the index that the source lacks, which would be deleted.
        kept: documents that the source may have in a row that could not be read.
        held: documents in the index.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[RowError] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    kept: int = 0
    held: int = 0

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "refused": [row.to_dict() for row in self.refused]}


def plan_sync(index: Index, documents: Iterable[Document], refused: list[RowError]) -> SyncPlan:
    """What `sync` would do with these documents; nothing is encoded or changed.

    Args:
        index: the index.
        documents: all documents of the source.
        refused: rows of the source that could not be read, which grows while ``documents`` are
            read.
    """
    index.refresh()
    plan, seen = SyncPlan(refused=refused, held=len(index)), set[str]()
    stream = _once_each(documents, seen, refused)
    while batch := list(islice(stream, _AT_ONCE)):
        found = index.presence(batch)
        plan.new += found.count(Presence.NEW)
        plan.changed += found.count(Presence.OTHER)
        plan.unchanged += found.count(Presence.SAME)
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
    """Make the index hold exactly the documents of a source; nothing is encoded twice.

    Deletes last, and only where the source was read to its end. A row that was refused (``refused``
    grows while ``documents`` are read) keeps its document if its id could be read; if not, it may
    be any one, and nothing is deleted. Of two rows with one id and different contents the first is
    taken and the second refused.

    Args:
        index: where to.
        encoder: the index's model.
        documents: all documents of the source.
        refused: rows of the source that could not be read, as the reader lists them.
        force: delete even if more than half of the index would go.
        commit_every: see `ingest`.
        on_done: see `ingest`.
        report: filled as the work goes on, and returned.

    Raises:
        IndexStateError: more than half of the index would be deleted, and ``force`` was not given.
            What the source has was added by then.
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
    """Raise if more than half of an index would be deleted.

    Raises:
        IndexStateError: see above.
    """
    if gone * 2 > held and not force:
        raise IndexStateError(
            f"the source lacks {gone:,} of the {held:,} documents of {index.path}, and no more than half are deleted"
            " without asking: check that it is the right source, then add --yes (force=True)"
        )


def _gone(index: Index, seen: set[str], refused: Sequence[RowError]) -> tuple[list[str], int]:
    """The ids that the source lacks, and how many others it may have in rows that could not be read."""
    vanished = [doc_id for doc_id in index.doc_ids() if doc_id not in seen]
    if any(row.doc_id is None for row in refused):
        return [], len(vanished)
    unread = {row.doc_id for row in refused}
    gone = [doc_id for doc_id in vanished if doc_id not in unread]
    return gone, len(vanished) - len(gone)


def _once_each(
    documents: Iterable[Document], seen: set[str], refused: list[RowError]
) -> Iterator[Document]:
    """The documents, of each id the first; another one with another content is refused."""
    contents: dict[str, bytes] = {}
    for document in documents:
        first = contents.setdefault(document.doc_id, document.content_hash)
        if document.doc_id not in seen:
            seen.add(document.doc_id)
            yield document
        elif first != document.content_hash:
            reason = "the id came before in this source with another content: the first row is kept"
            refused.append(RowError(document.source or "documents", reason, document.doc_id))
