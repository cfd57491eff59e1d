"""Sets of a segment's passages as bits: bit ``i % 64`` of word ``i // 64`` is ordinal i; None is every passage."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Set: TypeAlias = "NDArray[np.uint64] | None"


def as_set(mask: NDArray[np.bool_]) -> Set:
    """The passages where ``mask``, bool [passages], is true."""
    if mask.all():
        return None
    packed = np.packbits(mask, bitorder="little")
    padded = np.zeros(-(-len(mask) // 64) * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view(np.uint64)


def as_mask(passages: Set, count: int) -> NDArray[np.bool_]:
    """The set as bool [count]."""
    if passages is None:
        return np.ones(count, np.bool_)
    return np.unpackbits(passages.view(np.uint8), count=count, bitorder="little").astype(np.bool_)


def both(first: Set, second: Set) -> Set:
    """The passages of both sets."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def size(passages: Set, count: int) -> int:
    """How many of ``count`` passages are in the set."""
    return (
        count
        if passages is None
        else int(np.bitwise_count(passages).sum())
        if hasattr(np, "bitwise_count")
        else int(as_mask(passages, count).sum())
    )
