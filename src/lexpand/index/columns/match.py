"""Evaluation of a condition over a column. `filters.matches` is the reference implementation."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.data.vector_checks import AnyArray
from lexpand.index.columns.layout import Column
from lexpand.index.columns.types import ColumnType
from lexpand.index.filters import Condition, Exists, OneOf, Range
from lexpand.index.filters.intervals import float_interval, integer_interval
from lexpand.index.filters.values import Scalar, kind_of

Mask: TypeAlias = NDArray[np.bool_]

# Up to this number of values, comparing with each one is fastest: 0.2 ms per value for a million
# int64.
_FEW = 16

# If at most one value in this many matches, it is faster to look up the passages of the matches
# than to count along all values.
_RARE = 64

# The largest lookup table of integers, in bytes: it fits in the L2 cache.
_TABLE = 2**19


def match_column(column: Column, condition: Condition, passages: int) -> Mask:
    """Return whether each passage matches, bool [passages]; values of another type do not match."""
    if isinstance(condition, Exists):
        if column.starts is None:
            return np.ones(passages, np.bool_)
        return np.greater(column.starts[1:], column.starts[:-1])
    assert isinstance(condition, OneOf | Range)
    return _any_of_passage(column, _matching_values(column, condition))


def _any_of_passage(column: Column, matching: Mask) -> Mask:
    """Return whether any value of each passage matches, from bool [nnz] to bool [passages]."""
    if column.starts is None:
        return matching
    if np.count_nonzero(matching) * _RARE <= len(matching):
        mask = np.zeros(len(column.starts) - 1, np.bool_)
        mask[np.searchsorted(column.starts, np.flatnonzero(matching), side="right") - 1] = True
        return mask
    before = np.zeros(len(matching) + 1, np.uint32)
    np.cumsum(matching, dtype=np.uint32, out=before[1:])
    at_starts = before[column.starts]
    return np.not_equal(at_starts[1:], at_starts[:-1])


def _matching_values(column: Column, condition: OneOf | Range) -> Mask:
    if isinstance(condition, OneOf):
        targets = [value for value in condition.values if column.type.holds(value)]
        return _equals_any(column, targets)
    if kind_of(condition.bounds[0].value) != column.type.kind:
        return np.zeros(len(column.values), np.bool_)
    first, last = _interval(column, condition)
    if first > last:
        return np.zeros(len(column.values), np.bool_)
    mask: Mask = column.values >= column.values.dtype.type(first)
    mask &= column.values <= column.values.dtype.type(last)
    return mask


def _interval(column: Column, condition: Range) -> tuple[int, int] | tuple[float, float]:
    """Return the first and last stored value in a range; first > last if the range is empty."""
    if column.type is ColumnType.KEYWORD:
        return _code_interval(column.strings, condition)
    if column.type is ColumnType.INTEGER:
        return integer_interval(condition)
    return float_interval(condition)


def _code_interval(strings: Sequence[str], condition: Range) -> tuple[int, int]:
    """Return the numbers of the first and last string in a range; first > last if it is empty."""
    first, last = 0, len(strings) - 1
    if condition.lower is not None:
        value, inclusive = str(condition.lower.value), condition.lower.inclusive
        first = bisect_left(strings, value) if inclusive else bisect_right(strings, value)
    if condition.upper is not None:
        value, inclusive = str(condition.upper.value), condition.upper.inclusive
        last = (bisect_right(strings, value) if inclusive else bisect_left(strings, value)) - 1
    return first, last


def _equals_any(column: Column, targets: Sequence[Scalar]) -> Mask:
    if column.type is ColumnType.KEYWORD:
        codes = _codes(column.strings, targets)
        return _in_by_table(column.values, codes, 0, len(column.strings))
    array = np.sort(np.array(targets, column.values.dtype))
    if len(array) <= _FEW:
        return _in_by_comparison(column.values, array)
    if column.type is ColumnType.NUMBER:
        return _in_by_bisection(column.values, array)
    first, span = int(array[0]), int(array[-1]) - int(array[0]) + 1
    if span <= _TABLE:
        return _in_by_table(column.values, array, first, span)
    return _in_by_hash(column.values, array)


def _codes(strings: Sequence[str], targets: Sequence[Scalar]) -> AnyArray:
    candidates = ((bisect_left(strings, str(target)), target) for target in targets)
    codes = [code for code, target in candidates if code < len(strings) and strings[code] == target]
    return np.array(codes, np.uint32)


def _in_by_comparison(values: AnyArray, targets: AnyArray) -> Mask:
    mask = np.zeros(len(values), np.bool_)
    for target in targets:
        mask |= values == target
    return mask


def _in_by_table(values: AnyArray, targets: AnyArray, first: int, span: int) -> Mask:
    """Test membership by a table over ``first`` to ``first + span``, where all targets lie."""
    if len(targets) <= 1:
        return _in_by_comparison(values, targets)
    table = np.zeros(span + 1, np.bool_)
    table[targets - first] = True
    if values.dtype == np.uint32:
        return table.take(values)
    # Below `first`, the difference wraps round to a large number. Like every value beyond the span,
    # it selects the last entry, which is false.
    places = np.minimum((values - first).view(np.uint64), np.uint64(span))
    return table.take(places.view(np.int64))


def _in_by_bisection(values: AnyArray, targets: AnyArray) -> Mask:
    """Test membership by bisection of the targets, which ascend."""
    places = np.minimum(np.searchsorted(targets, values), len(targets) - 1)
    return np.equal(targets[places], values)


def _in_by_hash(values: NDArray[np.int64], targets: NDArray[np.int64]) -> Mask:
    """Test membership by a table of 2^16 hashes, and by bisection for the values that pass."""
    table = np.zeros(2**16, np.bool_)
    table[_hashes(targets)] = True
    places = np.flatnonzero(table.take(_hashes(values)))
    mask = np.zeros(len(values), np.bool_)
    mask[places] = _in_by_bisection(values[places], targets)
    return mask


def _hashes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the 16 highest bits of the product with 2^64 / phi (Knuth, volume 3, section 6.4)."""
    products = values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (products >> np.uint64(48)).view(np.int64)
