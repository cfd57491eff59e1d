"""What a reader sees: the segments of one commit, their live passages, and those of them that a filter lets through."""

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
from lexpand.index.sets import Set, as_mask, both, size

# Filters whose sets are kept: a bit a passage and filter, 125 kB for a million passages.
_FILTERS = 64

# Passages that are looked at for a typical weight, and their largest weights that count.
_SAMPLE, _LARGEST = 256, 10


class Snapshot:
    """One commit, open for reading. May be shared by threads.

    Its lease keeps its files and rows in place until the last reference to the snapshot is gone:
    whoever reads holds it, and nobody gives it back by hand.

    Attributes:
        commit: the commit.
        segments: its segments, oldest rows first.
        live: of each, the passages whose documents are not deleted.
        largest_weights: of terms that were asked for (`Index.largest_weights`).
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
        self._turn = threading.Lock()
        self._filtered: OrderedDict[Expression, list[Set]] = OrderedDict()
        self.largest_weights: dict[int, float] = {}

    def lease_here(self, folder: Path) -> None:
        """Take a lease for this process, if it is a forked child without one; the parent's is left to the parent."""
        if self._lease.pid != os.getpid():
            self._lease = Lease.take(folder, self.commit.commit_id)

    @property
    def live_passages(self) -> int:
        """RankedPassages whose documents are not deleted."""
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
        """Live passages, and the words in them."""
        totals = [
            segment.words.totals(live)
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        return sum(passages for passages, _ in totals), sum(length for _, length in totals)

    @cached_property
    def inverse_document_frequencies(self) -> NDArray[np.float64]:
        """See `Index.inverse_document_frequencies`; of no segments, [0]. Read-only, for all share it."""
        counts = [
            segment.native.document_frequencies(SPARSE_FIELD, live)
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        having = np.sum(counts, axis=0, dtype=np.float64) if counts else np.zeros(0)
        found: NDArray[np.float64] = np.log1p((self.live_passages - having + 0.5) / (having + 0.5))
        found.setflags(write=False)
        return found

    @cached_property
    def typical_weight(self) -> float:
        """See `Index.typical_weight`; the sample depends on the live passages in their order alone, not on merges."""
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
        """Passages at even distances among the live ones."""
        ordinals = [
            np.flatnonzero(as_mask(live, segment.entry.passages))
            for segment, live in zip(self.segments, self.live, strict=True)
        ]
        starts = np.cumsum([0, *map(len, ordinals)])
        for place in (
            np.unique(np.linspace(0, starts[-1] - 1, _SAMPLE).astype(np.int64))
            if starts[-1]
            else ()
        ):
            number = int(np.searchsorted(starts, place, side="right")) - 1
            yield self.segments[number], int(ordinals[number][place - starts[number]])

    def allowed(self, expression: Expression | None, catalog: Catalog) -> list[Set]:
        """The live passages that a filter lets through; worked out once a snapshot."""
        if expression is None:
            return self.live
        with self._turn:
            if expression in self._filtered:
                self._filtered.move_to_end(expression)
                return self._filtered[expression]
        found = self._matching(expression, catalog)
        with self._turn:
            self._filtered[expression] = found
            if len(self._filtered) > _FILTERS:
                self._filtered.popitem(last=False)
        return found

    def documents(self, allowed: Sequence[Set]) -> RankedPassages:
        """The first passage of each document that has any in these sets, by row; scores are 0."""
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
        return [both(live, passages) for live, passages in zip(self.live, matching, strict=True)]

    def find(self, row: int) -> tuple[OpenSegment, list[int]] | None:
        """The segment of a document, and the ordinals of its passages; None where no segment has it."""
        for segment in self.segments:
            first, end = np.searchsorted(segment.rows, [row, row + 1])  # rows ascend in a segment
            if first < end:
                return segment, list(range(int(first), int(end)))
        return None


class Snapshots:
    """Opens snapshots of one index; a segment that is open stays open from one to the next.

    Raises:
        CorruptIndex: a file of the newest commit is damaged or gone.
    """

    def __init__(self, folder: Path, catalog: Catalog, schema: Schema, *, verify: bool) -> None:
        self._folder = folder
        self._catalog = catalog
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
            self._catalog.check_in_place()
            if self._catalog.last_commit() == current.commit:
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
                # Merges number their segments anew; neighbors are neighbors by row.
                segments.sort(key=lambda segment: segment.first_row)
                return Snapshot(commit, segments, deleted, lease)
            opened = {segment.entry: segment for segment in segments}
            lease.release()

    def _open_segment(self, entry: SegmentEntry) -> OpenSegment:
        return OpenSegment(
            self._folder / FOLDER / entry.file, entry, self._schema, verify=self._verify
        )
