"""A condition over a column: which of its passages fulfill it. `filters.matches` is the slow twin."""

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

# Up to here, comparing with each value in turn is the fastest; a million int64 take 0.2 ms a value.
_FEW = 16

# Where at most one value in so many fulfills a condition, finding the passages of these is quicker than
# counting along all.
_RARE = 64

# The widest table of wanted integers, in bytes: a processor's second cache.
_TABLE = 2**19


def match_column(column: Column, condition: Condition, passages: int) -> Mask:
    """Whether each passage fulfills a condition, bool [passages]; a value of another type fulfills none."""
    if isinstance(condition, Exists):
        return (
            np.ones(passages, np.bool_)
            if column.starts is None
            else np.greater(column.starts[1:], column.starts[:-1])
        )
    assert isinstance(condition, OneOf | Range)
    return _any_of_passage(column, _match_values(column, condition))


def _any_of_passage(column: Column, fulfilled: Mask) -> Mask:
    """Whether any value of each passage is: bool [nnz] to bool [passages]."""
    if column.starts is None:
        return fulfilled
    if np.count_nonzero(fulfilled) * _RARE <= len(fulfilled):
        found = np.zeros(len(column.starts) - 1, np.bool_)
        found[np.searchsorted(column.starts, np.flatnonzero(fulfilled), side="right") - 1] = True
        return found
    before = np.zeros(len(fulfilled) + 1, np.uint32)
    np.cumsum(fulfilled, dtype=np.uint32, out=before[1:])
    at_starts = before[column.starts]
    return np.not_equal(at_starts[1:], at_starts[:-1])


def _match_values(column: Column, condition: OneOf | Range) -> Mask:
    if isinstance(condition, OneOf):
        wanted = [value for value in condition.values if column.type.holds(value)]
        return _equals_any(column, wanted)
    if kind_of(condition.bounds[0].value) != column.type.kind:
        return np.zeros(len(column.values), np.bool_)
    first, last = _interval(column, condition)
    if first > last:
        return np.zeros(len(column.values), np.bool_)
    found: Mask = column.values >= column.values.dtype.type(first)
    found &= column.values <= column.values.dtype.type(last)
    return found


def _interval(column: Column, condition: Range) -> tuple[int, int] | tuple[float, float]:
    """The range as first and last stored value; the first is above the last where none can lie in it."""
    if column.type is ColumnType.KEYWORD:
        return _code_interval(column.strings, condition)
    return (
        integer_interval(condition)
        if column.type is ColumnType.INTEGER
        else float_interval(condition)
    )


def _code_interval(strings: Sequence[str], condition: Range) -> tuple[int, int]:
    """The first and the last string in a range, by number; the first is above the last where there is none."""
    first, last = 0, len(strings) - 1
    if condition.lower is not None:
        value, inclusive = str(condition.lower.value), condition.lower.inclusive
        first = bisect_left(strings, value) if inclusive else bisect_right(strings, value)
    if condition.upper is not None:
        value, inclusive = str(condition.upper.value), condition.upper.inclusive
        last = (bisect_right(strings, value) if inclusive else bisect_left(strings, value)) - 1
    return first, last


def _equals_any(column: Column, wanted: Sequence[Scalar]) -> Mask:
    if column.type is ColumnType.KEYWORD:
        return _is_listed(column.values, _codes(column.strings, wanted), 0, len(column.strings))
    array = np.sort(np.array(wanted, column.values.dtype))
    if len(array) <= _FEW:
        return _equals_few(column.values, array)
    if column.type is ColumnType.NUMBER:
        return _is_found(column.values, array)
    first, span = int(array[0]), int(array[-1]) - int(array[0]) + 1
    if span <= _TABLE:
        return _is_listed(column.values, array, first, span)
    return _is_scattered(column.values, array)


def _codes(strings: Sequence[str], wanted: Sequence[Scalar]) -> AnyArray:
    found = ((bisect_left(strings, str(value)), value) for value in wanted)
    return np.array(
        [code for code, value in found if code < len(strings) and strings[code] == value], np.uint32
    )


def _equals_few(values: AnyArray, wanted: AnyArray) -> Mask:
    found = np.zeros(len(values), np.bool_)
    for value in wanted:
        found |= values == value
    return found


def _is_listed(values: AnyArray, wanted: AnyArray, first: int, span: int) -> Mask:
    """Membership by a table over ``first`` to ``first + span``; the wanted values lie within, others may not."""
    if len(wanted) <= 1:
        return _equals_few(values, wanted)
    table = np.zeros(span + 1, np.bool_)
    table[wanted - first] = True
    if values.dtype == np.uint32:
        return table.take(values)
    # Below `first`, the difference wraps round to a large number, which like all past the span
    # meets the last entry.
    places = np.minimum((values - first).view(np.uint64), np.uint64(span))
    return table.take(places.view(np.int64))


def _is_found(values: AnyArray, wanted: AnyArray) -> Mask:
    """Membership by bisection of the wanted values, which ascend."""
    places = np.minimum(np.searchsorted(wanted, values), len(wanted) - 1)
    return np.equal(wanted[places], values)


def _is_scattered(values: NDArray[np.int64], wanted: NDArray[np.int64]) -> Mask:
    """Membership by a table of 2^16 hashes; what it lets through is bisected."""
    table = np.zeros(2**16, np.bool_)
    table[_hashes(wanted)] = True
    places = np.flatnonzero(table.take(_hashes(values)))
    found = np.zeros(len(values), np.bool_)
    found[places] = _is_found(values[places], wanted)
    return found


def _hashes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The 16 highest bits of the product with 2^64 / the golden ratio (Knuth, volume 3, section 6.4)."""
    return ((values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)).view(
        np.int64
    )
