"""What an index answers with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lexpand.data import VectorSpace
from lexpand.index.catalogue import Commit


class Presence(Enum):
    """Whether a document is in an index."""

    NEW = "new"
    SAME = "same doc_id, same content"
    OTHER = "same doc_id, other content"


@dataclass(frozen=True, slots=True)
class Match:
    """A document found: its score over stored weights, and its row, which orders equal scores."""

    doc_id: str
    score: float
    row: int


@dataclass(frozen=True, slots=True)
class StoredVector:
    """A document's vector as it is stored.

    Attributes:
        terms: uint32 [nnz], ascending.
        impacts: uint16 [nnz], at least 1.
        scale: float32; a stored weight is impact * scale, exact in float64.
    """

    terms: NDArray[np.uint32]
    impacts: NDArray[np.uint16]
    scale: float

    @property
    def weights(self) -> NDArray[np.float64]:
        """The stored weights, float64 [nnz]."""
        return self.impacts.astype(np.float64) * self.scale


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds: the newest commit, its segments with their bytes, units and stored weights."""

    commit: Commit
    space: VectorSpace
    segments: int
    units: int
    nnz: int
    segment_bytes: int
    catalogue_bytes: int
