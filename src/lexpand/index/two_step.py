"""Two steps for one: the strongest terms of a query say which units are scored with all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lexpand.data import SparseVectors
from lexpand.encode import Pruning
from lexpand.errors import DataError
from lexpand.index.searching import Find
from lexpand.index.sets import Set, set_of
from lexpand.index.snapshot import Snapshot
from lexpand.index.units import Units

FindIn = Callable[[Sequence[Set], SparseVectors, float], Find]
"""A search of query vectors among some of the units, with an effort."""


@dataclass(frozen=True, slots=True)
class TwoStep:
    """How a search goes in two steps (OpenSearch's two-phase; Lassance et al. 2024, *Two-Step SPLADE*).

    Scores are those of one step, to the bit. What may be missing is a document that is not in the window.

    Attributes:
        terms: which of a query's terms the first step searches with; OpenSearch's default is this ratio of 0.4.
        window: documents (of those with several chunks: chunks) that the second step scores, or ``k`` if that is more.

    Raises:
        DataError: the window is below 1.
    """

    terms: Pruning = field(default_factory=lambda: Pruning(ratio=0.4))
    window: int = 200

    def __post_init__(self) -> None:
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 1:
            raise DataError(f"two steps with a window of {self.window!r}: at least one document must be scored")


def find_in_two_steps(
    snapshot: Snapshot,
    allowed: Sequence[Set],
    queries: SparseVectors,
    two_step: TwoStep,
    find_in: FindIn,
    *,
    effort: float,
    threads: int,
) -> Find:
    """The same search twice: with few terms among the allowed units, then with all terms among what that found.

    The effort is that of the first step; the second scores the whole window.
    """
    first = find_in(allowed, two_step.terms.apply(queries), effort)

    def rescored(number: int, window: Units, k: int) -> Units:
        sets = [
            set_of(window.ordinals[window.segments == place], segment.entry.units)
            for place, segment in enumerate(snapshot.segments)
        ]
        return find_in(sets, queries[[number]], 1.0)([0], k)[0]

    def find(numbers: Sequence[int], k: int) -> list[Units]:
        windows = first(numbers, max(k, two_step.window) if k else 0)
        if threads == 1 or len(numbers) == 1:
            return [rescored(number, window, k) for number, window in zip(numbers, windows, strict=True)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(rescored, numbers, windows, [k] * len(numbers)))

    return find
