"""Ranges of exact numbers as closed intervals of what an array holds: int64 or float64."""

from __future__ import annotations

import math

from lexpand.index.filters.expression import Range

INT64 = (-(2**63), 2**63 - 1)
"""The smallest and the largest int64."""


def integer_interval(condition: Range) -> tuple[int, int]:
    """The first and the last int64 in a range of numbers; 1 and 0 where there is none."""
    first, last = INT64
    if condition.lower is not None:
        value, inclusive = as_number(condition.lower.value), condition.lower.inclusive
        first = max(first, math.ceil(value) if inclusive else math.floor(value) + 1)
    if condition.upper is not None:
        value, inclusive = as_number(condition.upper.value), condition.upper.inclusive
        last = min(last, math.floor(value) if inclusive else math.ceil(value) - 1)
    return (first, last) if first <= last else (1, 0)


def float_interval(condition: Range) -> tuple[float, float]:
    """The first and the last float64 in a range of numbers; infinite where a bound is missing or beyond them."""
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
    """The float64 nearest to a number; infinite where the number is beyond them."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_number(value: int | float | str) -> int | float:
    """A bound's value, where the range is one of numbers."""
    assert not isinstance(value, str)
    return value
