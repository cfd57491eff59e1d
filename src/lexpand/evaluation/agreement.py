"""Agreement of two judges: Cohen's kappa."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Qrels
from lexpand.errors import DataError


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of two sets of judgments on the pairs that both judge.

    Attributes:
        pairs: the number of pairs of query and document that both judge.
        same: the share of them with the same grade.
        kappa: Cohen's kappa (Cohen 1960): 1 for full agreement, 0 for that of chance.
        weighted: the same with quadratic weights (Cohen 1968), so that near grades count as near.
        binary: kappa of relevant (grade >= 1) against not relevant.
    """

    pairs: int
    same: float
    kappa: float
    weighted: float
    binary: float


def agreement(first: Qrels, second: Qrels) -> Agreement:
    """Return the agreement of two sets of judgments.

    If both judges give one and the same grade to all pairs, chance explains everything, and kappa
    is 1 by convention.

    Raises:
        DataError: no pair is in both.
    """
    pairs = [
        (grade, second.judgments[query][document])
        for query, grades in first.judgments.items()
        for document, grade in grades.items()
        if document in second.judgments.get(query, {})
    ]
    if not pairs:
        raise DataError("both sets of judgments must judge some of the same pairs, and share none")
    table = np.array(pairs)
    return Agreement(
        len(pairs),
        float((table[:, 0] == table[:, 1]).mean()),
        _kappa(table, quadratic=False),
        _kappa(table, quadratic=True),
        _kappa((table >= 1).astype(np.int64), quadratic=False),
    )


def _kappa(pairs: NDArray[np.int64], *, quadratic: bool) -> float:
    """Return 1 - observed / expected disagreement of grades, int64 [pairs, 2]."""
    grades, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    distance = (grades[:, None] - grades[None, :]).astype(np.float64)
    weights = distance**2 if quadratic else (distance != 0).astype(np.float64)
    shares = [np.bincount(side, minlength=len(grades)) / len(pairs) for side in places.T]
    expected = float(shares[0] @ weights @ shares[1])
    observed = float(weights[places[:, 0], places[:, 1]].mean())
    return 1.0 if expected == 0 else 1 - observed / expected
