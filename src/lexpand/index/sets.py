"""Sets of a segment's passages as bit arrays.

Bit ``i % 64`` of word ``i // 64`` stands for ordinal i. None is the set of all passages.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Set: TypeAlias = "NDArray[np.uint64] | None"


def as_set(mask: NDArray[np.bool_]) -> Set:
    """Return the set of passages where ``mask``, bool [passages], is true."""
    if mask.all():
        return None
    packed = np.packbits(mask, bitorder="little")
    padded = np.zeros(-(-len(mask) // 64) * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view(np.uint64)


def as_mask(passages: Set, count: int) -> NDArray[np.bool_]:
    """Return the set as bool [count]."""
    if passages is None:
        return np.ones(count, np.bool_)
    return np.unpackbits(passages.view(np.uint8), count=count, bitorder="little").astype(np.bool_)


def intersection(first: Set, second: Set) -> Set:
    """Return the passages that are in both sets."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def size(passages: Set, count: int) -> int:
    """Return the number of passages in the set, of ``count`` in the segment."""
    if passages is None:
        return count
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return int(np.bitwise_count(passages).sum())
    return int(as_mask(passages, count).sum())
