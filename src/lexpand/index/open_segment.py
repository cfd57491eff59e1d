"""One segment as an index reads it: its postings, its words, its columns, and which of its passages are live."""

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

RowsOf = Callable[[Expression], NDArray[np.uint32]]

# What the sections of a segment hold, by the first kind of each range (docs/format.md).
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
    """A segment file that is what the catalog says it is. May be shared by threads.

    Attributes:
        entry: what the catalog says.
        native: its postings.
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
        """The row of its first passage."""
        return int(self.rows[0]) if len(self.rows) else -1

    @property
    def parts(self) -> Counter[str]:
        """Its bytes, by what they hold."""
        parts: Counter[str] = Counter()
        for kind, _, size in self.native.parts():
            parts[_PARTS[max(first for first in _PARTS if first <= kind)]] += size
        return parts

    @cached_property
    def spans(self) -> NDArray[np.uint32]:
        """First and end character of each passage, [passages, 2]."""
        return self.native.spans().reshape(-1, 2)

    @cached_property
    def has_chunks(self) -> bool:
        """Whether any document has more than one passage."""
        return bool(self.native.chunks().any())

    def chunk_of(self, ordinal: int) -> int | None:
        """Which of its document's chunks a passage is, from 0; None for a document of one passage."""
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
        """The ids of these passages' documents."""
        with self._naming_file():
            return self.doc_ids.at(ordinals)

    @cached_property
    def words(self) -> _native.WordField:
        """The field of words; the index must have one."""
        return self.native.words(WORD_FIELD)

    @cached_property
    def dictionary(self) -> list[str]:
        """Its words, ascending; a copy, made by the first caller."""
        return self.words.words()

    def column(self, name: str) -> Column | None:
        """A declared field of metadata; None where it is not declared."""
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
        """The passages whose document is not among the rows ``deleted``, which ascend."""
        first, end = (
            np.searchsorted(deleted, [self.rows.min(), int(self.rows.max()) + 1])
            if len(self.rows)
            else (0, 0)
        )
        if first == end:
            return None
        return as_set(~np.isin(self.rows, deleted[first:end], kind="table"))

    def matching(self, expression: Expression, rows_by_sql: RowsOf) -> Set:
        """The passages whose document's metadata match."""
        return as_set(evaluate(expression, self.column, self.rows, rows_by_sql))

    @contextmanager
    def _naming_file(self) -> Iterator[None]:
        try:
            yield
        except CorruptIndex as error:
            raise CorruptIndex(f"{self.path}: {error}") from error
