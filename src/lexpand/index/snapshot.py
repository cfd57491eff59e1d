"""Snapshots: the segments of one commit, their live passages, and those that match a filter."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import CorruptIndex, IndexStateError, StorageError
from lexpand.index.catalog import Catalog, Commit, SegmentEntry
from lexpand.index.filters import Expression
from lexpand.index.leases import Lease
from lexpand.index.open_segment import OpenSegment
from lexpand.index.passages import RankedPassages
from lexpand.index.schema import SPARSE_FIELD, Schema
from lexpand.index.segment_files import FOLDER
from lexpand.index.sets import Set, as_mask, intersection, size

# The number of filters whose results are cached. Each takes a bit per passage: 125 kB for a million
# passages.
_CACHED_FILTERS = 64

# The sample for a typical weight: the number of passages, and of largest weights in each.
_SAMPLE, _LARGEST = 256, 10


class Snapshot:
    """One commit, open for reading. Threads may share it.

    The lease of a snapshot keeps its files and rows in place until the last reference to the
    snapshot is gone. There is no explicit release.

    Attributes:
        commit: the commit.
        segments: its segments, in ascending order of their rows.
        live: the passages of each segment whose documents are not deleted.
        largest_weights: the cached results of `Index.largest_weights`, by term.
    """

    def __init__(
        self,
        commit: Commit,
        segments: Sequence[OpenSegment],
        deleted: NDArray[np.uint32],
        lease: Lease,
    ) -> None:
        self.commit = commit
        self.segments = list(segments)
        self.live: list[Set] = [segment.live(deleted) for segment in segments]
        self._lease = lease
        self._lock = threading.Lock()
        self._filtered: OrderedDict[Expression, list[Set]] = OrderedDict()
        self.largest_weights: dict[int, float] = {}

    def ensure_lease(self, folder: Path) -> None:
        """Take a lease for this process if it is a forked child; the parent keeps its own."""
        if self._lease.pid != os.getpid():
            self._lease = Lease.take(folder, self.commit.commit_id)

    @property
    def live_passages(self) -> int:
        """The number of passages whose documents are not deleted."""
        return sum(
            size(live, segment.entry.passages)
            for segment, live in zip(self.segments, self.live, strict=True)
        )

    @cached_property
    def has_chunks(self) -> bool:
        """Whether any document has more than one passage."""
        return any(segment.has_chunks for segment in self.segments)

    @cached_property
    def word_totals(self) -> tuple[int, int]:
        """The number of live passages, and the number of words in them."""
        totals = [
            segment.words.totals(live)
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        return sum(passages for passages, _ in totals), sum(length for _, length in totals)

    def document_frequencies(self) -> NDArray[np.float64]:
        """See `Index.document_frequencies`. Of shape [0] without segments."""
        counts = [
            segment.native.document_frequencies(SPARSE_FIELD, live)
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        return np.sum(counts, axis=0, dtype=np.float64) if counts else np.zeros(0)

    @cached_property
    def inverse_document_frequencies(self) -> NDArray[np.float64]:
        """See `Index.inverse_document_frequencies`; read-only. Of shape [0] without segments."""
        df = self.document_frequencies()
        idf: NDArray[np.float64] = np.log1p((self.live_passages - df + 0.5) / (df + 0.5))
        idf.setflags(write=False)
        return idf

    @cached_property
    def typical_weight(self) -> float:
        """See `Index.typical_weight`; the sample depends on live passages only, not on merges."""
        vectors = (
            segment.native.vector(SPARSE_FIELD, ordinal) for segment, ordinal in self._sample()
        )
        largest = [
            np.sort(impacts * scale)[-_LARGEST:].mean()
            for _, impacts, scale in vectors
            if len(impacts)
        ]
        return float(np.mean(largest)) if largest else 1.0

    def _sample(self) -> Iterator[tuple[OpenSegment, int]]:
        """Yield evenly spaced live passages."""
        ordinals = [
            np.flatnonzero(as_mask(live, segment.entry.passages))
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        starts = np.cumsum([0, *map(len, ordinals)])
        if not starts[-1]:
            return
        for place in np.unique(np.linspace(0, starts[-1] - 1, _SAMPLE).astype(np.int64)):
            number = int(np.searchsorted(starts, place, side="right")) - 1
            yield self.segments[number], int(ordinals[number][place - starts[number]])

    def allowed(self, expression: Expression | None, catalog: Catalog) -> list[Set]:
        """Return the live passages of each segment that match a filter; cached."""
        if expression is None:
            return self.live
        with self._lock:
            if expression in self._filtered:
                self._filtered.move_to_end(expression)
                return self._filtered[expression]
        found = self._matching(expression, catalog)
        with self._lock:
            self._filtered[expression] = found
            if len(self._filtered) > _CACHED_FILTERS:
                self._filtered.popitem(last=False)
        return found

    def documents(self, allowed: Sequence[Set]) -> RankedPassages:
        """Return the first passage of each document in these sets, by row; scores are 0."""
        parts = []
        for place, (segment, passages) in enumerate(zip(self.segments, allowed, strict=True)):
            ordinals = np.flatnonzero(as_mask(passages, segment.entry.passages)).astype(np.uint32)
            rows, first = np.unique(segment.rows[ordinals], return_index=True)
            parts.append(
                RankedPassages(
                    np.zeros(len(rows)), rows, np.full(len(rows), place, np.uint32), ordinals[first]
                )
            )
        return RankedPassages.concatenate(parts)

    def _matching(self, expression: Expression, catalog: Catalog) -> list[Set]:
        rows: dict[Expression, NDArray[np.uint32]] = {}

        def rows_by_sql(part: Expression) -> NDArray[np.uint32]:
            if part not in rows:
                rows[part] = catalog.matching_rows(part)
            return rows[part]

        matching = [segment.matching(expression, rows_by_sql) for segment in self.segments]
        return [
            intersection(live, passages) for live, passages in zip(self.live, matching, strict=True)
        ]

    def find(self, row: int) -> tuple[OpenSegment, list[int]] | None:
        """Return the segment and ordinals of a document's passages; None if no segment has them."""
        for segment in self.segments:
            first, end = np.searchsorted(segment.rows, [row, row + 1])  # rows ascend in a segment
            if first < end:
                return segment, list(range(int(first), int(end)))
        return None


class Snapshots:
    """The current snapshot of an index. Open segments are reused by the next snapshot.

    Raises:
        CorruptIndex: a file of the newest commit is damaged or missing.
    """

    def __init__(self, folder: Path, catalog: Catalog, schema: Schema, *, verify: bool) -> None:
        self._folder = folder
        self._catalog = catalog
        self._schema = schema
        self._verify = verify
        self._lock = threading.Lock()
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
        current.ensure_lease(self._folder)
        return current

    def refresh(self) -> bool:
        """Open the newest commit; return whether there was a newer one."""
        with self._lock:
            current = self.current
            self._catalog.check_in_place()
            if self._catalog.last_commit() == current.commit:
                return False
            self._current = self._open_newest(
                {segment.entry: segment for segment in current.segments}
            )
            return True

    def close(self) -> None:
        """Drop the reference to the snapshot; other references keep it open."""
        with self._lock:
            self._current = None

    def _open_newest(self, opened: dict[SegmentEntry, OpenSegment]) -> Snapshot:
        """Open the newest commit with a lease.

        A later commit may remove files before the lease is visible to its writer. In that case the
        newer commit is opened.
        """
        while True:
            commit = self._catalog.last_commit()
            lease = Lease.take(self._folder, commit.commit_id)
            try:
                entries = self._catalog.segments(commit.commit_id)
                segments = [opened.get(entry) or self._open_segment(entry) for entry in entries]
                deleted = self._catalog.deleted_rows(commit.commit_id)
            except (StorageError, CorruptIndex):
                lease.release()
                if self._catalog.last_commit() == commit:
                    raise
                continue
            except BaseException:
                lease.release()
                raise
            if self._catalog.last_commit() == commit:
                # A merge gives its segment a new number, so the order is that of the rows.
                segments.sort(key=lambda segment: segment.first_row)
                return Snapshot(commit, segments, deleted, lease)
            opened = {segment.entry: segment for segment in segments}
            lease.release()

    def _open_segment(self, entry: SegmentEntry) -> OpenSegment:
        return OpenSegment(
            self._folder / FOLDER / entry.file, entry, self._schema, verify=self._verify
        )
