"""The merge policy: which neighboring segments become one.

Segments of similar size are merged, which keeps their number low and rewrites passages rarely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FACTOR = 8
"""The number of segments of one level that are merged.

A passage is rewritten once each time that its segment grows by this factor.
"""

_SMALL = 1_000
"""The number of passages below which all segments are of the lowest level."""

_DEAD_SHARE = 1 / 3
"""The share of dead passages above which a segment is rewritten without them."""


@dataclass(frozen=True, slots=True)
class Size:
    """The number of passages of a segment, and the number of live ones."""

    passages: int
    live: int


def choose_merge(sizes: Sequence[Size]) -> slice | None:
    """Return the neighboring segments to merge, or None.

    The policy is that of a log-structured merge. It takes the lowest level that 8 neighboring
    segments do not exceed, or else a segment with many dead passages. Only neighbors are merged, so
    that rows ascend within a segment.
    """
    levels = [_level(size.live) for size in sizes]
    for level in sorted(set(levels)):
        for start, end in _true_ranges([other <= level for other in levels]):
            if end - start >= _FACTOR:
                return slice(start, end)
    for i, size in enumerate(sizes):
        if size.live < size.passages * (1 - _DEAD_SHARE) or not size.passages:
            return slice(i, i + 1)
    return None


def _level(live: int) -> int:
    return int(math.log(max(live, _SMALL) / _SMALL, _FACTOR))


def _true_ranges(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the ranges of consecutive true flags, as (first, end)."""
    runs: list[tuple[int, int]] = []
    for i, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == i:
            runs[-1] = (runs[-1][0], i + 1)
        elif flag:
            runs.append((i, i + 1))
    return runs
