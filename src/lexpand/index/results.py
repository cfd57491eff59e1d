"""What an index answers with."""

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
    """Whether a document is in an index."""

    NEW = "new"
    SAME = "same doc_id, same content"
    OTHER = "same doc_id, other content"


class Match(NamedTuple):
    """A document found.

    Attributes:
        doc_id: its id.
        score: over stored weights.
        row: its row, which orders equal scores.
        span: the characters of its best chunk in `Document.full_text`; None in an index without
            chunks.
    """

    doc_id: str
    score: float
    row: int
    span: tuple[int, int] | None = None


class Matches(Sequence[Match]):
    """The documents found for one query, best first: a sequence of `Match`, each made when it is asked for.

    A thousand objects take longer to make than a thousand documents to find; whoever wants all of
    one kind takes the arrays. Equal to any sequence of equal matches.

    Attributes:
        doc_ids: the ids.
        scores: float64 [n], falling.
        rows: uint32 [n].
        spans: the characters of each one's best chunk; None in an index without chunks.
        notes: what there is to say of the ranking: a step that was cut short, or failed.
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
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment] # as of a list

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class StoredVector:
    """A document's vector as it is stored.

    Attributes:
        terms: uint32 [nnz], ascending.
        impacts: uint16 [nnz], at least 1.
        scale: float32; a stored weight is impact * scale, exact in float64.
        span: the characters of `Document.full_text` that it stands for: first and end.
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
    """What one word of a query adds to a document's BM25 score.

    Attributes:
        word: the word, analyzed.
        count: how often the query has it, or its weight there.
        frequency: how often the document has it.
        documents: live passages that have it.
        idf: log(1 + (N - documents + 0.5) / (documents + 0.5)).
        share: its part of the score: count * idf * frequency / (frequency + norm).
    """

    word: str
    count: float
    frequency: int
    documents: int
    idf: float
    share: float


@dataclass(frozen=True, slots=True)
class WordScore:
    """A document's BM25 score for a query, taken apart.

    Attributes:
        score: the sum of the shares in their order; search's to the bit.
        shares: of the query's words that the document has.
        absent: the query's other words, in its order, with count * idf of each.
        length: words of the document, or of its best chunk; ``average_length`` is that of all live
            passages.
        span: the characters of `Document.full_text` that it stands for: first and end.
    """

    score: float
    shares: tuple[WordShare, ...]
    absent: tuple[tuple[str, float], ...]
    length: int
    average_length: float
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        commit: the commit that searches see.
        space: whose vectors.
        segments, passages: of that commit; ``live_passages`` are those whose documents are not deleted.
        nnz: stored weights.
        segment_bytes, catalog_bytes: on disk.
        parts: bytes of the segments by what they hold.
        words: whether words are indexed.
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
