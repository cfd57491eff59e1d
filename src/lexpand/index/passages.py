"""Ranked passages as arrays, which makes a thousand results about as cheap as ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RankedPassages:
    """Passages of a search, best first.

    Attributes:
        scores: float64 [n].
        rows: uint32 [n], the rows of their documents.
        segments: uint32 [n], positions in `Snapshot.segments`.
        ordinals: uint32 [n], positions in the segment.
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.uint32]
    segments: NDArray[np.uint32]
    ordinals: NDArray[np.uint32]

    @classmethod
    def concatenate(cls, parts: Sequence[RankedPassages]) -> RankedPassages:
        """Return the passages of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        empty = np.zeros(0, np.uint32)
        return cls(
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            np.concatenate([empty, *(part.rows for part in parts)]),
            np.concatenate([empty, *(part.segments for part in parts)]),
            np.concatenate([empty, *(part.ordinals for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: slice | Sequence[int] | NDArray[np.int64]) -> RankedPassages:
        """Return the passages at these positions."""
        return RankedPassages(
            self.scores[places], self.rows[places], self.segments[places], self.ordinals[places]
        )
