"""Ranges of exact numbers as closed intervals of int64 or float64."""

from __future__ import annotations

import math

from lexpand.index.filters.expression import Range

INT64 = (-(2**63), 2**63 - 1)
"""The smallest and the largest int64."""


def integer_interval(condition: Range) -> tuple[int, int]:
    """Return the first and last int64 in a range of numbers; (1, 0) if the range has none."""
    first, last = INT64
    if condition.lower is not None:
        value, inclusive = as_number(condition.lower.value), condition.lower.inclusive
        first = max(first, math.ceil(value) if inclusive else math.floor(value) + 1)
    if condition.upper is not None:
        value, inclusive = as_number(condition.upper.value), condition.upper.inclusive
        last = min(last, math.floor(value) if inclusive else math.ceil(value) - 1)
    return (first, last) if first <= last else (1, 0)


def float_interval(condition: Range) -> tuple[float, float]:
    """Return the first and last float64 in a range of numbers.

    An end is infinite if the bound is missing or beyond float64.
    """
    first, last = -math.inf, math.inf
    if condition.lower is not None:
        value, inclusive = as_number(condition.lower.value), condition.lower.inclusive
        first = nearest_float(value)
        if first < value or (first == value and not inclusive):
            first = math.nextafter(first, math.inf)
    if condition.upper is not None:
        value, inclusive = as_number(condition.upper.value), condition.upper.inclusive
        last = nearest_float(value)
        if last > value or (last == value and not inclusive):
            last = math.nextafter(last, -math.inf)
    return first, last


def nearest_float(value: int | float) -> float:
    """Return the float64 nearest to a number; infinite if the number is beyond float64."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_number(value: int | float | str) -> int | float:
    """Return the value of a bound, which must be a number."""
    assert not isinstance(value, str)
    return value
