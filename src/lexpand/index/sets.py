"""Sets of a segment's units as bits: bit ``i % 64`` of word ``i // 64`` is ordinal i; None is every unit."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Set: TypeAlias = "NDArray[np.uint64] | None"


def as_set(mask: NDArray[np.bool_]) -> Set:
    """The units where ``mask``, bool [units], is true."""
    if mask.all():
        return None
    packed = np.packbits(mask, bitorder="little")
    padded = np.zeros(-(-len(mask) // 64) * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view(np.uint64)


def as_mask(units: Set, count: int) -> NDArray[np.bool_]:
    """The set as bool [count]."""
    if units is None:
        return np.ones(count, np.bool_)
    return np.unpackbits(units.view(np.uint8), count=count, bitorder="little").astype(np.bool_)


def both(first: Set, second: Set) -> Set:
    """The units of both sets."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def size(units: Set, count: int) -> int:
    """How many of ``count`` units are in the set."""
    return (
        count
        if units is None
        else int(np.bitwise_count(units).sum())
        if hasattr(np, "bitwise_count")
        else int(as_mask(units, count).sum())
    )
