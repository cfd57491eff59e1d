"""The limits of sparse vectors, each checked over whole arrays; a message names the row and the value."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lexpand.errors import VectorError

VOCABULARY_LIMIT = 2**18
"""The largest closed vocabulary, in terms."""

TERMS_LIMIT = 2**16
"""The most terms of one vector."""

# A dtype that is known only when it runs: what callers hand in, before it is checked.
AnyArray: TypeAlias = NDArray[Any]


def check_vocabulary_size(value: int) -> int:
    """Returns the size unchanged if it is an integer from 1 to 2^18.

    Raises:
        VectorError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise VectorError(f"vocabulary_size is {value!r}: it must be an integer")
    if not 1 <= value <= VOCABULARY_LIMIT:
        raise VectorError(f"vocabulary_size is {value}: it must be from 1 to {VOCABULARY_LIMIT}")
    return int(value)


def check_indptr(values: ArrayLike, nnz: int) -> NDArray[np.int64]:
    """Checks the places at which rows start and end.

    Args:
        values: integers [n + 1], from 0 up to nnz, never falling, at most 2^16 apart.
        nnz: the number of terms of all rows together.

    Returns:
        int64 [n + 1], read-only.

    Raises:
        VectorError: a limit is broken.
    """
    array = _one_dimensional(values, "indptr", "iu")
    if not array.size or array[0] != 0 or array[-1] != nnz:
        ends = f"{array[0]} to {array[-1]}" if array.size else "nothing"
        raise VectorError(
            f"indptr runs from {ends}: it must run from 0 to the number of terms, {nnz}"
        )
    if (falls := np.flatnonzero(array[1:] < array[:-1])).size:
        row = falls[0]
        raise VectorError(f"row {row}: indptr falls from {array[row]} to {array[row + 1]}")
    lengths = np.diff(array)
    if (long := np.flatnonzero(lengths > TERMS_LIMIT)).size:
        raise VectorError(
            f"row {long[0]} has {lengths[long[0]]} terms; the limit is {TERMS_LIMIT}: prune it"
        )
    return _frozen(array, np.int64)


def check_terms(
    values: ArrayLike, indptr: NDArray[np.int64], vocabulary_size: int
) -> NDArray[np.uint32]:
    """Checks that the terms are in the vocabulary and ascend strictly within each row.

    Args:
        values: integers [nnz].
        indptr: int64 [n + 1], checked.
        vocabulary_size: every term is below it.

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
        fault = (
            f"holds term {after} twice" if before == after else f"has term {after} behind {before}"
        )
        raise VectorError(f"row {_row(indptr, flat[0])} {fault}: terms must ascend, each once")
    return _frozen(array, np.uint32)


def check_weights(values: ArrayLike, indptr: NDArray[np.int64]) -> NDArray[np.float32]:
    """Checks that the weights are finite, not negative and within float32.

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
        raise VectorError(f"{name} has the shape {array.shape}: it must have one dimension")
    if not array.size:  # NumPy gives an empty list the dtype float64
        return array.astype(np.int64)
    if array.dtype.kind not in kinds:
        wanted = "numbers" if "f" in kinds else "integers"
        raise VectorError(f"{name} has the dtype {array.dtype}: it must hold {wanted}")
    return array


def _frozen(array: AnyArray, dtype: DTypeLike) -> AnyArray:
    """The array with that dtype and read-only; copied unless the caller's is read-only already."""
    result = array.astype(dtype, order="C", copy=array.flags.writeable)
    result.flags.writeable = False
    return result


def _row(indptr: NDArray[np.int64], place: int) -> int:
    return int(np.searchsorted(indptr, place, side="right")) - 1
