"""The snapshot that an index's searches see, and the way to the next one."""

from __future__ import annotations

import threading
from pathlib import Path

from lexpand.errors import CorruptIndex, IndexStateError, StorageError
from lexpand.index.catalogue import Catalogue, SegmentEntry
from lexpand.index.leases import Lease
from lexpand.index.open_segment import OpenSegment
from lexpand.index.schema import Schema
from lexpand.index.segment_files import FOLDER
from lexpand.index.snapshot import Snapshot


class Snapshots:
    """Opens snapshots of one index; a segment that is open stays open from one to the next.

    Raises:
        CorruptIndex: a file of the newest commit is damaged or gone.
    """

    def __init__(self, folder: Path, catalogue: Catalogue, schema: Schema, *, verify: bool) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._schema = schema
        self._verify = verify
        self._turn = threading.Lock()
        self._current: Snapshot | None = self._open_newest({})

    @property
    def current(self) -> Snapshot:
        """The snapshot that searches see.

        Raises:
            IndexStateError: the index is closed.
        """
        current = self._current
        if current is None:
            raise IndexStateError(f"{self._folder} is closed: open it again")
        current.lease_here(self._folder)
        return current

    def refresh(self) -> bool:
        """Go to the newest commit; whether there was a newer one."""
        with self._turn:
            current = self.current
            self._catalogue.check_in_place()
            if self._catalogue.last_commit() == current.commit:
                return False
            self._current = self._open_newest(
                {segment.entry: segment for segment in current.segments}
            )
            return True

    def close(self) -> None:
        """Forget the snapshot; who still reads it keeps it."""
        with self._turn:
            self._current = None

    def _open_newest(self, opened: dict[SegmentEntry, OpenSegment]) -> Snapshot:
        """The newest commit, leased. Where another one comes meanwhile, and may have removed files, again."""
        while True:
            commit = self._catalogue.last_commit()
            lease = Lease.take(self._folder, commit.commit_id)
            try:
                entries = self._catalogue.segments(commit.commit_id)
                segments = [opened.get(entry) or self._open_segment(entry) for entry in entries]
                deleted = self._catalogue.deleted_rows(commit.commit_id)
            except (StorageError, CorruptIndex):
                lease.release()
                if self._catalogue.last_commit() == commit:
                    raise
                continue
            except BaseException:
                lease.release()
                raise
            if self._catalogue.last_commit() == commit:
                # Merges number their segments anew; neighbours are neighbours by row.
                segments.sort(key=lambda segment: segment.first_row)
                return Snapshot(commit, segments, deleted, lease)
            opened = {segment.entry: segment for segment in segments}
            lease.release()

    def _open_segment(self, entry: SegmentEntry) -> OpenSegment:
        return OpenSegment(
            self._folder / FOLDER / entry.file, entry, self._schema, verify=self._verify
        )
