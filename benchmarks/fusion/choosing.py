"""Which way is best? Chosen on some collections, reported on another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fusion.ways import Figures, Way

Measured = Mapping[str, Mapping[Way, Figures]]
"""Of each collection, what each way reached."""

Score = Callable[[str, float], float]
"""What an nDCG@10 on a collection is worth in the mean that chooses."""


def best_without(measured: Measured, ways: Sequence[Way], without: str | None, score: Score) -> Way:
    """The way of the best mean over all collections but one; equally good ones by their names."""

    def mean(way: Way) -> float:
        return float(np.mean([score(name, found[way][0]) for name, found in measured.items() if name != without]))

    return max(ways, key=lambda way: (mean(way), str(way)))


def left_out(measured: Measured, ways: Sequence[Way], score: Score) -> dict[str, Way]:
    """Of each collection the way that is best on the others."""
    return {name: best_without(measured, ways, name, score) for name in measured}


def mean_of(measured: Measured, chosen: Mapping[str, Way]) -> Figures:
    """The means of what the chosen ways reach."""
    ndcg, recall = np.mean([measured[name][way] for name, way in chosen.items()], axis=0).tolist()
    return ndcg, recall


def compare(
    measured: Measured, one: Callable[[Way], Way | None], ways: Sequence[Way]
) -> tuple[dict[str, float], dict[str, float]]:
    """Of each collection what one change of a way does to its nDCG@10: the mean over ways, and how often it is better.

    Args:
        measured: the figures.
        one: a way without the change to the same with it; None where there is none.
        ways: those that are looked at.
    """
    pairs = [(way, other) for way in ways if (other := one(way)) is not None]
    means, better = {}, {}
    for name, found in measured.items():
        gains = np.array([found[other][0] - found[way][0] for way, other in pairs])
        means[name], better[name] = float(gains.mean()), float((gains > 0).mean())
    return means, better
