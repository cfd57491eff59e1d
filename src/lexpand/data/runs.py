"""Weights of many rows in any order, brought together: where does each row's term begin?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Runs(NamedTuple):
    """Weights sorted by row and term; those of one row's term are a run.

    Attributes:
        order: int64 [n], the places of the weights in their new order.
        starts: int64 [m], where each run begins in that order.
        indptr: int64 [rows + 1], the runs of each row, as CSR has them.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    indptr: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.int64]:
        """int64 [m], the place of each run's first weight."""
        return self.order[self.starts]


def runs_of(
    owners: NDArray[np.int64],
    terms: NDArray[np.integer],
    rows: int,
    *,
    within: tuple[NDArray[np.generic], ...] = (),
) -> Runs:
    """Sort weights into runs.

    Args:
        owners: int [n], the row of each weight.
        terms: int [n], its term.
        rows: how many rows there are.
        within: keys by which the weights of a run ascend, the most important last; without any they
            keep their order.
    """
    order = np.lexsort((*within, terms, owners))
    owners, terms = owners[order], terms[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (owners[1:] != owners[:-1]) | (terms[1:] != terms[:-1])
    starts = np.flatnonzero(is_first)
    return Runs(
        order, starts, np.concatenate([[0], np.cumsum(np.bincount(owners[starts], minlength=rows))])
    )
