"""What an index answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand.data import VectorSpace
from lexpand.index.catalogue import Commit


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
        span: the characters of its best chunk in `Document.full_text`; None in an index without chunks.
    """

    doc_id: str
    score: float
    row: int
    span: tuple[int, int] | None = None


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
class IndexInfo:
    """What an index holds.

    Attributes:
        commit: the commit that searches see.
        space: whose vectors.
        segments, units: of that commit; ``live_units`` are those whose documents are not deleted.
        nnz: stored weights.
        segment_bytes, catalogue_bytes: on disk.
        parts: bytes of the segments by what they hold.
        words: whether words are indexed.
        columns: the type of each column.
    """

    commit: Commit
    space: VectorSpace
    segments: int
    units: int
    live_units: int
    nnz: int
    segment_bytes: int
    catalogue_bytes: int
    parts: Mapping[str, int]
    words: bool
    columns: Mapping[str, str]
