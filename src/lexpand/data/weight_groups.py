"""Group the weights of many sparse vectors by row and term."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class WeightGroups(NamedTuple):
    """Weights sorted by row and term. The weights of one row and term form a group.

    Attributes:
        order: int64 [n], the positions of the weights in sorted order.
        starts: int64 [groups], where each group begins in that order.
        indptr: int64 [rows + 1], the groups of each row, as in CSR.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    indptr: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.int64]:
        """int64 [groups], the position of the first weight of each group."""
        return self.order[self.starts]


def group_weights(
    owners: NDArray[np.int64],
    terms: NDArray[np.integer],
    rows: int,
    *,
    within: tuple[NDArray[np.generic], ...] = (),
) -> WeightGroups:
    """Sort weights by row and term, and find the groups.

    Args:
        owners: int [n], the row of each weight.
        terms: int [n], its term.
        rows: the number of rows.
        within: keys by which the weights of a group ascend, the most important last. Without keys
            they keep their order.
    """
    order = np.lexsort((*within, terms, owners))
    owners, terms = owners[order], terms[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (owners[1:] != owners[:-1]) | (terms[1:] != terms[:-1])
    starts = np.flatnonzero(is_first)
    return WeightGroups(
        order, starts, np.concatenate([[0], np.cumsum(np.bincount(owners[starts], minlength=rows))])
    )
