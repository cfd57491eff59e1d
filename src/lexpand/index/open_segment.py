"""An open segment: its postings, lexical field, columns and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.errors import CorruptIndex
from lexpand.index.catalog import SegmentEntry
from lexpand.index.columns import Column, evaluate, open_column
from lexpand.index.doc_ids import NO_FIELD, DocIds
from lexpand.index.filters import Expression
from lexpand.index.schema import WORD_FIELD, Schema
from lexpand.index.sets import Set, as_set

RowsBySql = Callable[[Expression], NDArray[np.uint32]]

# The content of a segment's sections, by the first kind of each range (docs/format.md).
_PARTS = {
    1: "passages",
    16: "forward index",
    21: "postings",
    26: "directory",
    29: "dense rows",
    48: "words",
    80: "columns",
    96: "ids",
}


class OpenSegment:
    """A segment file that matches its entry in the catalog. Threads may share it.

    Attributes:
        entry: the entry of the catalog.
        path: the file.
        native: the native segment, with the postings.
    """

    def __init__(self, path: Path, entry: SegmentEntry, schema: Schema, *, verify: bool) -> None:
        self.entry = entry
        self.path = path
        self.native = _native.Segment.open(path, verify=verify)
        self._schema = schema
        self._columns: dict[str, Column] = {}
        found = self.native.passages, self.native.bytes, self.native.checksum
        if found != (entry.passages, entry.bytes, entry.checksum):
            raise CorruptIndex(
                f"{path} is not the segment that the catalog names: restore it from a copy"
            )

    @cached_property
    def rows(self) -> NDArray[np.uint32]:
        """The row of each passage's document."""
        return self.native.rows()

    @property
    def first_row(self) -> int:
        """The row of the first passage; -1 if the segment is empty."""
        return int(self.rows[0]) if len(self.rows) else -1

    @property
    def parts(self) -> Counter[str]:
        """The number of bytes by content: passages, forward index, postings and so on."""
        parts: Counter[str] = Counter()
        for kind, _, size in self.native.parts():
            parts[_PARTS[max(first for first in _PARTS if first <= kind)]] += size
        return parts

    @cached_property
    def spans(self) -> NDArray[np.uint32]:
        """The first and end character of each passage, uint32 [passages, 2]."""
        return self.native.spans().reshape(-1, 2)

    @cached_property
    def has_chunks(self) -> bool:
        """Whether any document has more than one passage."""
        return bool(self.native.chunks().any())

    def chunk_of(self, ordinal: int) -> int | None:
        """Return a passage's number in its document, from 0; None if it is the only passage."""
        row, around = self.rows[ordinal], self.rows[max(0, ordinal - 1) : ordinal + 2]
        return int(self._chunks[ordinal]) if np.count_nonzero(around == row) > 1 else None

    @cached_property
    def _chunks(self) -> NDArray[np.uint32]:
        return self.native.chunks()

    @cached_property
    def doc_ids(self) -> DocIds:
        """The id of each passage's document."""
        with self._naming_file():
            return DocIds.open(lambda kind: self.native.extra(kind, NO_FIELD), self.entry.passages)

    def doc_ids_at(self, ordinals: NDArray[np.uint32]) -> list[str]:
        """Return the ids of these passages' documents."""
        with self._naming_file():
            return self.doc_ids.at(ordinals)

    @cached_property
    def words(self) -> _native.WordField:
        """The lexical field, which the index must have."""
        return self.native.words(WORD_FIELD)

    @cached_property
    def dictionary(self) -> list[str]:
        """The words of the lexical field, ascending; copied on first use."""
        return self.words.words()

    def column(self, name: str) -> Column | None:
        """Return the column of a metadata field; None if the field is not a column."""
        field = self._schema.column_fields().get(name)
        if field is None:
            return None
        if name not in self._columns:
            with self._naming_file():
                self._columns[name] = open_column(
                    self._schema.columns[name],
                    lambda kind: self.native.extra(kind, field),
                    self.entry.passages,
                )
        return self._columns[name]

    def live(self, deleted: NDArray[np.uint32]) -> Set:
        """Return the passages whose row is not in ``deleted``, which ascends."""
        first, end = (
            np.searchsorted(deleted, [self.rows.min(), int(self.rows.max()) + 1])
            if len(self.rows)
            else (0, 0)
        )
        if first == end:
            return None
        return as_set(~np.isin(self.rows, deleted[first:end], kind="table"))

    def matching(self, expression: Expression, rows_by_sql: RowsBySql) -> Set:
        """Return the passages whose documents match a filter."""
        return as_set(evaluate(expression, self.column, self.rows, rows_by_sql))

    @contextmanager
    def _naming_file(self) -> Iterator[None]:
        try:
            yield
        except CorruptIndex as error:
            raise CorruptIndex(f"{self.path}: {error}") from error
