"""Check the limits of sparse vectors over whole arrays; errors name the row and the value."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lexpand.errors import VectorError

VOCABULARY_LIMIT = 2**18
"""The largest number of terms of a vocabulary."""

TERMS_LIMIT = 2**16
"""The largest number of terms of one vector."""

# An array whose dtype is not checked yet.
AnyArray: TypeAlias = NDArray[Any]


def check_vocabulary_size(value: int) -> int:
    """Return a vocabulary size as an int if it is an integer from 1 to 2^18.

    Raises:
        VectorError: the size is not such an integer.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise VectorError(f"vocabulary_size must be an integer, got {value!r}")
    if not 1 <= value <= VOCABULARY_LIMIT:
        raise VectorError(f"vocabulary_size must be from 1 to {VOCABULARY_LIMIT}, got {value}")
    return int(value)


def check_indptr(values: ArrayLike, nnz: int) -> NDArray[np.int64]:
    """Check the positions at which rows start and end.

    Args:
        values: integers [n + 1] from 0 to nnz, never falling, with steps of at most 2^16.
        nnz: the number of terms of all rows.

    Returns:
        int64 [n + 1], read-only.

    Raises:
        VectorError: a limit is broken.
    """
    array = _one_dimensional(values, "indptr", "iu")
    if not array.size or array[0] != 0 or array[-1] != nnz:
        ends = f"{array[0]} to {array[-1]}" if array.size else "nothing"
        raise VectorError(f"indptr must run from 0 to the number of terms, {nnz}, got {ends}")
    if (falls := np.flatnonzero(array[1:] < array[:-1])).size:
        row = falls[0]
        raise VectorError(
            f"row {row}: indptr must not fall, got {array[row + 1]} after {array[row]}"
        )
    lengths = np.diff(array)
    if (long := np.flatnonzero(lengths > TERMS_LIMIT)).size:
        raise VectorError(
            f"row {long[0]} must have at most {TERMS_LIMIT} terms, got {lengths[long[0]]}: prune it"
        )
    return _frozen(array, np.int64)


def check_terms(
    values: ArrayLike, indptr: NDArray[np.int64], vocabulary_size: int
) -> NDArray[np.uint32]:
    """Check that the terms are in the vocabulary and ascend strictly within each row.

    Args:
        values: integers [nnz].
        indptr: int64 [n + 1], checked.
        vocabulary_size: the size of the vocabulary. Every term must be below it.

    Returns:
        uint32 [nnz], read-only.

    Raises:
        VectorError: a limit is broken.
    """
    array = _one_dimensional(values, "terms", "iu")
    if (outside := np.flatnonzero((array < 0) | (array >= vocabulary_size))).size:
        where = f"row {_row(indptr, outside[0])}: term {array[outside[0]]}"
        raise VectorError(f"{where} is outside the vocabulary of {vocabulary_size} terms")
    rises = array[1:] > array[:-1]
    starts = indptr[(indptr > 0) & (indptr < len(array))]
    rises[starts - 1] = True
    if (flat := np.flatnonzero(~rises)).size:
        before, after = array[flat[0]], array[flat[0] + 1]
        fault = f"has term {after} twice" if before == after else f"has term {after} after {before}"
        raise VectorError(
            f"row {_row(indptr, flat[0])} {fault}: term ids must be strictly increasing; "
            "sort each row and merge duplicates"
        )
    return _frozen(array, np.uint32)


def check_weights(values: ArrayLike, indptr: NDArray[np.int64]) -> NDArray[np.float32]:
    """Check that the weights are finite, >= 0 and within the range of float32.

    Args:
        values: floats or integers [nnz]; they are rounded to float32.
        indptr: int64 [n + 1], checked.

    Returns:
        float32 [nnz], read-only.

    Raises:
        VectorError: a limit is broken.
    """
    array = _one_dimensional(values, "weights", "fiu")
    _refuse_weights(array, indptr, ~(array >= 0), "must not be negative or NaN")
    with np.errstate(over="ignore", under="ignore"):
        rounded = _frozen(array, np.float32)
    _refuse_weights(array, indptr, ~np.isfinite(rounded), "is infinite as a float32")
    _refuse_weights(
        array, indptr, (rounded == 0) & (array != 0), "is too small for a float32: drop the term"
    )
    return rounded


def _refuse_weights(
    array: AnyArray, indptr: NDArray[np.int64], bad: NDArray[np.bool_], why: str
) -> None:
    if (places := np.flatnonzero(bad)).size:
        raise VectorError(f"row {_row(indptr, places[0])}: the weight {array[places[0]]} {why}")


def _one_dimensional(values: ArrayLike, name: str, kinds: str) -> AnyArray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise VectorError(f"{name} must have one dimension, got the shape {array.shape}")
    if not array.size:  # NumPy gives an empty list the dtype float64
        return array.astype(np.int64)
    if array.dtype.kind not in kinds:
        expected = "numbers" if "f" in kinds else "integers"
        raise VectorError(f"{name} must hold {expected}, got the dtype {array.dtype}")
    return array


def _frozen(array: AnyArray, dtype: DTypeLike) -> AnyArray:
    """Return the array read-only with a dtype; a writeable array is copied."""
    result = array.astype(dtype, order="C", copy=array.flags.writeable)
    result.flags.writeable = False
    return result


def _row(indptr: NDArray[np.int64], place: int) -> int:
    return int(np.searchsorted(indptr, place, side="right")) - 1
