"""The result types of an index."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from lexpand.data import VectorSpace
from lexpand.index.catalog import FILE, Commit
from lexpand.index.schema import SPARSE_FIELD, Schema

if TYPE_CHECKING:
    from lexpand.index.snapshot import Snapshot


class Presence(Enum):
    """Whether a document is in an index, and with which content."""

    NEW = "new"
    SAME = "same doc_id, same content"
    OTHER = "same doc_id, different content"


class Match(NamedTuple):
    """A document that a search found.

    Attributes:
        doc_id: the id of the document.
        score: the score over stored weights.
        row: the row of the document, which orders equal scores.
        span: the (first, end) characters of the best chunk in `Document.full_text`; None in an
            index without chunks.
    """

    doc_id: str
    score: float
    row: int
    span: tuple[int, int] | None = None


class Matches(Sequence[Match]):
    """The documents found for one query, best first: a lazy sequence of `Match`.

    Making a thousand `Match` objects takes longer than finding a thousand documents, so the arrays
    are faster for bulk access. A `Matches` equals any sequence of equal matches.

    Attributes:
        doc_ids: the ids.
        scores: float64 [n], descending.
        rows: uint32 [n].
        spans: the (first, end) characters of the best chunks; None in an index without chunks.
        notes: notes on the ranking, such as a step that failed or was stopped early.
    """

    __slots__ = ("doc_ids", "notes", "rows", "scores", "spans")

    def __init__(
        self,
        doc_ids: list[str],
        scores: NDArray[np.float64],
        rows: NDArray[np.uint32],
        spans: list[tuple[int, int]] | None = None,
        notes: tuple[Any, ...] = (),
    ) -> None:
        self.notes = notes
        self.doc_ids = doc_ids
        self.scores = scores
        self.rows = rows
        self.spans = spans

    def __len__(self) -> int:
        return len(self.doc_ids)

    @overload
    def __getitem__(self, place: int) -> Match: ...
    @overload
    def __getitem__(self, place: slice) -> Matches: ...
    def __getitem__(self, place: int | slice) -> Match | Matches:
        spans = None if self.spans is None else self.spans[place]
        if isinstance(place, slice):
            assert not isinstance(spans, tuple)
            return Matches(
                self.doc_ids[place], self.scores[place], self.rows[place], spans, self.notes
            )
        assert not isinstance(spans, list)
        return Match(self.doc_ids[place], float(self.scores[place]), int(self.rows[place]), spans)

    def __iter__(self) -> Iterator[Match]:
        spans = itertools.repeat(None) if self.spans is None else self.spans
        return map(
            Match._make,
            zip(self.doc_ids, self.scores.tolist(), self.rows.tolist(), spans, strict=False),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            own == others for own, others in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment] # unhashable, like a list

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class StoredVector:
    """The stored vector of a passage.

    Attributes:
        terms: uint32 [nnz], ascending.
        impacts: uint16 [nnz], at least 1.
        scale: float32; a stored weight is impact * scale, exact in float64.
        span: the (first, end) characters of the passage in `Document.full_text`.
    """

    terms: NDArray[np.uint32]
    impacts: NDArray[np.uint16]
    scale: float
    span: tuple[int, int]

    @property
    def weights(self) -> NDArray[np.float64]:
        """The stored weights, float64 [nnz]."""
        return self.impacts.astype(np.float64) * self.scale


@dataclass(frozen=True, slots=True)
class WordShare:
    """The share of one query word in a document's BM25 score.

    Attributes:
        word: the analyzed word.
        count: its frequency or weight in the query.
        frequency: its frequency in the passage.
        documents: the number of live passages with the word.
        idf: log(1 + (N - documents + 0.5) / (documents + 0.5)).
        share: count * idf * frequency / (frequency + norm).
    """

    word: str
    count: float
    frequency: int
    documents: int
    idf: float
    share: float


@dataclass(frozen=True, slots=True)
class WordScore:
    """A document's BM25 score for a query, with the share of each word.

    Attributes:
        score: the sum of the shares in their order; equal to the score of a search to the bit.
        shares: the shares of the query words that the passage has.
        absent: the other query words, in order of the query, with count * idf of each.
        length: the number of words in the document, or in its best chunk.
        average_length: the mean number of words in the live passages.
        span: the (first, end) characters of the passage in `Document.full_text`.
    """

    score: float
    shares: tuple[WordShare, ...]
    absent: tuple[tuple[str, float], ...]
    length: int
    average_length: float
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """Statistics of an index.

    Attributes:
        commit: the commit that searches see.
        space: the vector space of the vectors.
        segments: the number of segments.
        passages: the number of passages in the segments.
        live_passages: the number of passages whose documents are not deleted.
        nnz: the number of stored weights.
        segment_bytes: the size of the segments on disk.
        catalog_bytes: the size of the catalog on disk.
        parts: the bytes of the segments by content.
        words: whether the index has a lexical field.
        columns: the type of each column.
    """

    commit: Commit
    space: VectorSpace
    segments: int
    passages: int
    live_passages: int
    nnz: int
    segment_bytes: int
    catalog_bytes: int
    parts: Mapping[str, int]
    words: bool
    columns: Mapping[str, str]


def describe(path: Path, schema: Schema, snapshot: Snapshot) -> IndexInfo:
    """See `Index.info`."""
    return IndexInfo(
        commit=snapshot.commit,
        space=schema.space,
        segments=len(snapshot.segments),
        passages=sum(segment.entry.passages for segment in snapshot.segments),
        live_passages=snapshot.live_passages,
        nnz=sum(segment.native.nnz(SPARSE_FIELD) for segment in snapshot.segments),
        segment_bytes=sum(segment.entry.bytes for segment in snapshot.segments),
        catalog_bytes=sum(file.stat().st_size for file in path.glob(f"{FILE}*")),
        parts=sum((segment.parts for segment in snapshot.segments), Counter()),
        words=schema.words is not None,
        columns={name: column_type.value for name, column_type in schema.columns.items()},
    )
