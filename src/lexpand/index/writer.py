"""The write side of an index: pending changes, commits, merges, and removal of unread files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lexpand.data import Document, SparseVectors
from lexpand.errors import DataError, DuplicateDocument, IndexStateError, StorageError, VectorError
from lexpand.index.catalog import Catalog, Change, Commit, SegmentEntry
from lexpand.index.columns import check_metadata
from lexpand.index.database import is_full
from lexpand.index.leases import oldest_leased
from lexpand.index.merging import Size, choose_merge
from lexpand.index.pending import Pending
from lexpand.index.results import Presence
from lexpand.index.segment_files import SegmentFiles, Spans
from lexpand.index.sets import size
from lexpand.index.snapshot import Snapshots
from lexpand.index.writer_lock import WriterLock

_ROW_LIMIT = 2**32 - 1

COMMIT_EVERY = 10_000
"""The number of documents between two commits of a stream; each commit makes one segment."""


class Writer:
    """The writer of one index. Holds the writer lock from the first change until `close`.

    Args:
        folder: the folder of the index.
        catalog: the catalog of the index.
        snapshots: the snapshots, which are refreshed after each commit.
        memory: the bytes for building posting lists.
    """

    def __init__(self, folder: Path, catalog: Catalog, snapshots: Snapshots, memory: int) -> None:
        self._folder = folder
        self._catalog = catalog
        self._snapshots = snapshots
        self._schema = catalog.schema()
        self._files = SegmentFiles(folder, self._schema, memory)
        self._lock = WriterLock(folder)
        self._pending = Pending()

    @property
    def waiting(self) -> int:
        """The number of documents to add."""
        return len(self._pending)

    def presence(self, documents: Sequence[Document]) -> list[Presence]:
        """See `Index.presence`."""
        stored = self._catalog.content_hashes([document.doc_id for document in documents])
        found = []
        for document in documents:
            _, committed = stored.get(document.doc_id, (None, None))
            content_hash = self._pending.content_hash(document.doc_id, committed)
            if content_hash is None:
                found.append(Presence.NEW)
            else:
                found.append(
                    Presence.SAME if content_hash == document.content_hash else Presence.OTHER
                )
        return found

    def add(
        self,
        documents: Sequence[Document],
        vectors: SparseVectors,
        chunks: Sequence[Spans] | None,
        *,
        replace: bool,
    ) -> int:
        """See `Index.add` and `Index.replace`."""
        spans = _spans(documents, chunks)
        if sum(map(len, spans)) != len(vectors):
            what = "document" if chunks is None else "chunk"
            raise VectorError(
                f"vectors must have one row per {what},"
                f" got {len(vectors)} rows for {sum(map(len, spans))} {what}s"
            )
        for document in documents:
            check_metadata(self._schema.columns, document)
        self.lock()
        chosen = self._choose(documents, replace)
        rows = self._catalog.next_row() + len(self._pending.doc_ids) + len(chosen)
        if rows > _ROW_LIMIT:
            raise IndexStateError(
                f"an index must have at most {_ROW_LIMIT} documents, deleted ones included,"
                f" got {rows}: create a second index"
            )
        if chosen:
            owner = np.repeat(np.arange(len(documents)), [len(s) for s in spans])
            kept = vectors[np.isin(owner, chosen)]
            self._pending.add([documents[i] for i in chosen], [spans[i] for i in chosen], kept)
        return len(chosen)

    def delete(self, doc_ids: Sequence[str]) -> int:
        """See `Index.delete`."""
        self.lock()
        requested = list(dict.fromkeys(doc_ids))
        stored = self._catalog.content_hashes(requested)
        present = [
            i
            for i in requested
            if self._pending.content_hash(i, stored.get(i, (0, None))[1]) is not None
        ]
        self._pending.delete(present)
        return len(present)

    def commit(self) -> Commit:
        """See `Index.commit`."""
        if self._pending:
            self._commit_pending()
            # The changes are already safe. A merge that the disk refuses is tried again at the
            # next commit.
            with contextlib.suppress(StorageError):
                self._merge_while_due()
        return self._snapshots.current.commit

    def rollback(self) -> None:
        """See `Index.rollback`."""
        self._pending = Pending()

    def compact(self) -> Commit:
        """See `Index.compact`."""
        self.lock()
        self.commit()
        # Its files can be removed only once the old snapshot is released, so no local refers to it.
        segments = self._segments_to_merge()
        if segments:
            self._merge(slice(0, segments))
        self._remove_unread()
        self._catalog.database.shrink()
        return self._snapshots.current.commit

    def _segments_to_merge(self) -> int:
        """Return the number of segments, or 0 if there is one without deleted documents."""
        snapshot = self._snapshots.current
        whole = len(snapshot.segments) == 1 and snapshot.live[0] is None
        return 0 if whole else len(snapshot.segments)

    def close(self) -> None:
        """Discard pending changes and release the writer lock."""
        self.rollback()
        self._lock.release()

    def lock(self) -> None:
        """Take the writer lock, see the newest commit, and remove files of interrupted writers."""
        # This comes first: taking the lock would create a missing folder, and the removal could
        # delete files of another index.
        self._catalog.check_in_place()
        if self._lock.held:
            return
        self._lock.acquire()
        try:
            self._snapshots.refresh()
            self._remove_unread()
        except BaseException:
            self._lock.release()
            raise

    def _choose(self, documents: Sequence[Document], replace: bool) -> list[int]:
        """Return the positions of the documents to add.

        Raises:
            DuplicateDocument: a doc_id has different contents.
        """
        chosen: list[int] = []
        first: dict[str, Document] = {}
        for i, (document, presence) in enumerate(
            zip(documents, self.presence(documents), strict=True)
        ):
            earlier = first.setdefault(document.doc_id, document)
            same = earlier is document or earlier.content_hash == document.content_hash
            if not same or (presence is Presence.OTHER and not replace):
                where = f" ({document.source})" if document.source else ""
                raise DuplicateDocument(
                    f"doc_id {document.doc_id!r}{where} is already taken by a document with "
                    "different content: choose another id, replace the document, or leave it out"
                )
            if presence is not Presence.SAME and earlier is document:
                chosen.append(i)
        return chosen

    def _commit_pending(self) -> None:
        self._catalog.check_in_place()
        first_row = self._catalog.next_row()
        new = self._snapshots.current.commit.commit_id + 1
        deleted = [row for row, _ in self._catalog.content_hashes(self._pending.doc_ids).values()]
        if not len(self._pending):
            return self._publish(Change(deleted=deleted)) if deleted else self.rollback()
        batch = self._pending.batch()
        segments = [self._files.write(batch, first_row, new)]
        return self._publish(Change(batch.documents, first_row, deleted, segments))

    def _publish(self, change: Change) -> None:
        """Commit, and refresh the snapshot.

        If the commit fails and cannot appear later, the files of its segments are removed.
        """
        before, full = self._snapshots.current.commit.commit_id, False
        try:
            self._catalog.commit(change)
        except StorageError as error:
            full = is_full(error)
            raise
        finally:
            # The catalog decides, not the exception: Ctrl-C may come right after the commit point.
            if self._catalog.last_commit().commit_id > before:
                if change.documents or change.deleted:
                    self._pending = Pending()
                self._snapshots.refresh()
            elif full or self._catalog.database.fold_log():
                self._remove_files(change.segments)

    def _remove_files(self, segments: Sequence[SegmentEntry]) -> None:
        for entry in segments:
            self._files.remove(entry.file)

    def _merge_while_due(self) -> None:
        merged = False
        while (due := self._due()) is not None:
            self._merge(due)
            merged = True
        if merged:
            self._remove_unread()

    def _due(self) -> slice | None:
        snapshot = self._snapshots.current
        pairs = zip(snapshot.segments, snapshot.live, strict=True)
        sizes = [
            Size(segment.entry.passages, size(live, segment.entry.passages))
            for segment, live in pairs
        ]
        return choose_merge(sizes)

    def _merge(self, chosen: slice) -> None:
        """Merge neighboring segments without the passages of deleted documents, in one commit."""
        snapshot = self._snapshots.current
        segments, live = snapshot.segments[chosen], snapshot.live[chosen]
        entries = [segment.entry for segment in segments]
        kept = sum(
            size(passages, entry.passages) for passages, entry in zip(live, entries, strict=True)
        )
        new = [self._files.merge(segments, live, snapshot.commit.commit_id + 1)] if kept else []
        self._publish(Change(segments=new, retired=[entry.file for entry in entries]))

    def _remove_unread(self) -> None:
        """Remove files and rows that no snapshot reads, and files of interrupted writers."""
        newest = self._snapshots.current
        oldest = oldest_leased(self._folder, newest.commit.commit_id)
        self._catalog.drop_segments(oldest)
        self._files.remove_all_but(self._catalog.segment_files())
        deleted = self._catalog.deleted_rows(oldest)
        if not len(deleted):
            return
        if oldest == newest.commit.commit_id:
            for segment in newest.segments:
                deleted = deleted[~np.isin(deleted, segment.rows)]
            if len(deleted):
                self._catalog.drop_documents(deleted.tolist())


def _spans(documents: Sequence[Document], chunks: Sequence[Spans] | None) -> Sequence[Spans]:
    """Return the chunks of each document after checking them; by default one per document."""
    if chunks is None:
        return [[(0, len(document.full_text))] for document in documents]
    if len(chunks) != len(documents):
        raise DataError(
            "chunks must have one list per document,"
            f" got {len(chunks)} lists for {len(documents)} documents"
        )
    for document, spans in zip(documents, chunks, strict=True):
        length = len(document.full_text)
        if not spans or any(not 0 <= first <= end <= length for first, end in spans):
            raise DataError(
                f"document {document.doc_id!r} must have at least one chunk,"
                f" each (first, end) within its {length} characters, got {list(spans)}"
            )
    return chunks
