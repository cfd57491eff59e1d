"""Is a difference between two systems more than chance?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lexpand.errors import DataError


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same queries.

    Attributes:
        queries: the number of queries.
        before, after: the means of the systems.
        p: of the paired t test, two-sided; 1 if no query differs.
        wins, losses: queries that are better or worse with the second system.
    """

    queries: int
    before: float
    after: float
    p: float
    wins: int
    losses: int

    @property
    def difference(self) -> float:
        """The mean of the second system minus that of the first."""
        return self.after - self.before

    def is_better(self, level: float = 0.05) -> bool:
        """Return whether the second system is significantly better."""
        return self.difference > 0 and self.p < level

    def is_worse(self, level: float = 0.05) -> bool:
        """Return whether the second system is significantly worse."""
        return self.difference < 0 and self.p < level


def compare_means(before: Mapping[str, float], after: Mapping[str, float]) -> Comparison:
    """Compare two systems by a paired t test.

    See Smucker et al. 2007, *A comparison of statistical significance tests for information
    retrieval evaluation*.

    Args:
        before: a measure of the first system by query_id.
        after: the same of the second system, of the same queries.

    Raises:
        DataError: the queries differ, or there are fewer than two.
    """
    if before.keys() != after.keys() or len(before) < 2:
        raise DataError(
            f"both systems must have a value for the same queries, at least two, got {len(before)}"
            f" and {len(after)}"
        )
    import numpy as np
    from scipy.stats import ttest_rel

    one = np.array(list(before.values()))
    other = np.array([after[query] for query in before])
    differs = bool((one != other).any())
    constant = differs and float(np.ptp(other - one)) == 0
    p = 0.0 if constant else float(ttest_rel(other, one).pvalue) if differs else 1.0
    return Comparison(
        len(one),
        float(one.mean()),
        float(other.mean()),
        p,
        int((other > one).sum()),
        int((other < one).sum()),
    )
