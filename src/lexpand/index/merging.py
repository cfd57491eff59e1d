"""Which segments should become one? Neighbors of like size: a search meets few, and no passage is rewritten often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FACTOR = 8
"""Segments of like size that become one: each passage is rewritten once for every factor of 8 that its segment grows."""

_SMALL = 1_000
"""RankedPassages below which segments count as of like size."""

_DEAD_SHARE = 1 / 3
"""Of a segment's passages: from here on it is rewritten without the dead."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a segment: its passages, and how many of them are live."""

    passages: int
    live: int


def choose(sizes: Sequence[Size]) -> slice | None:
    """The neighboring segments to make one, or None.

    The policy is that of a log-structured merge: the smallest level that has 8 neighbors, or what
    has many dead passages. Neighbors, so that rows go on ascending within a segment.
    """
    levels = [_level(size.live) for size in sizes]
    for level in sorted(set(levels)):
        for start, end in _runs([other <= level for other in levels]):
            if end - start >= _FACTOR:
                return slice(start, end)
    for i, size in enumerate(sizes):
        if size.live < size.passages * (1 - _DEAD_SHARE) or not size.passages:
            return slice(i, i + 1)
    return None


def _level(live: int) -> int:
    return int(math.log(max(live, _SMALL) / _SMALL, _FACTOR))


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Where neighbors are all true: first and end."""
    runs: list[tuple[int, int]] = []
    for i, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == i:
            runs[-1] = (runs[-1][0], i + 1)
        elif flag:
            runs.append((i, i + 1))
    return runs
