"""RankedPassages that a search found, as arrays: a thousand of them cost little more than ten do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RankedPassages:
    """RankedPassages, best first.

    Attributes:
        scores: float64 [n].
        rows: uint32 [n], of their documents.
        segments: uint32 [n], places in `Snapshot.segments`.
        ordinals: uint32 [n], places in the segment.
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.uint32]
    segments: NDArray[np.uint32]
    ordinals: NDArray[np.uint32]

    @classmethod
    def concatenate(cls, parts: Sequence[RankedPassages]) -> RankedPassages:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0, np.uint32)
        return cls(
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            np.concatenate([none, *(part.rows for part in parts)]),
            np.concatenate([none, *(part.segments for part in parts)]),
            np.concatenate([none, *(part.ordinals for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: slice | Sequence[int] | NDArray[np.int64]) -> RankedPassages:
        """Those at these places."""
        return RankedPassages(
            self.scores[places], self.rows[places], self.segments[places], self.ordinals[places]
        )
