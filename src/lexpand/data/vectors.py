"""Sparse vectors in compressed rows."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lexpand.data import vector_file
from lexpand.data.model_id import ModelId
from lexpand.data.vector_checks import (
    check_indptr,
    check_terms,
    check_vocabulary_size,
    check_weights,
)
from lexpand.errors import VectorError

if TYPE_CHECKING:
    from scipy.sparse import csr_array, sparray, spmatrix

    ScipyMatrix: TypeAlias = "spmatrix[Any] | sparray[Any]"


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class SparseVectors:
    """Immutable sparse vectors over one vocabulary, in compressed rows (CSR).

    Row ``i`` has the terms ``terms[indptr[i]:indptr[i + 1]]`` and the same slice of weights. The
    arrays are checked. Writeable arrays are copied; read-only arrays of the right dtype are not.

    Args:
        indptr: integers [n + 1] from 0 to nnz; a row has at most 2^16 terms.
        terms: integers [nnz], strictly ascending within each row, each below vocabulary_size.
        weights: numbers [nnz], finite and >= 0; rounded to float32.
        vocabulary_size: the number of terms of the vocabulary, from 1 to 2^18.
        model: the model that made the vectors, if known. An index refuses vectors of another model.

    Attributes:
        indptr: int64 [n + 1], read-only.
        terms: uint32 [nnz], read-only.
        weights: float32 [nnz], read-only.
        vocabulary_size: the number of terms of the vocabulary.
        model: the model that made the vectors; None if unknown.

    Raises:
        VectorError: a limit is broken; the message names the row and the value.
    """

    indptr: NDArray[np.int64]
    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]
    vocabulary_size: int
    model: ModelId | None

    def __init__(
        self,
        indptr: ArrayLike,
        terms: ArrayLike,
        weights: ArrayLike,
        vocabulary_size: int,
        model: ModelId | None = None,
    ) -> None:
        if np.shape(terms) != np.shape(weights):
            raise VectorError(
                f"weights must have one value per term, got {np.size(weights)} weights for "
                f"{np.size(terms)} terms"
            )
        size = check_vocabulary_size(vocabulary_size)
        starts = check_indptr(indptr, np.size(terms))
        self._set(
            starts, check_terms(terms, starts, size), check_weights(weights, starts), size, model
        )

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[int, float]], vocabulary_size: int) -> SparseVectors:
        """Make vectors from mappings of terms to weights, one mapping per row.

        The terms of a row may be in any order.

        Raises:
            VectorError: a limit is broken.
        """
        if isinstance(rows, str | Mapping):
            raise VectorError(
                f"rows must be a list of mappings, got a {type(rows).__name__}; pass [row]"
            )
        terms, weights, indptr = [np.zeros(0, np.int64)], [np.zeros(0)], [0]
        for number, row in enumerate(rows):
            keys = _row_terms(row, number)
            order = np.argsort(keys)
            terms.append(keys[order])
            weights.append(_row_weights(row, number)[order])
            indptr.append(indptr[-1] + len(keys))
        return cls(indptr, np.concatenate(terms), np.concatenate(weights), vocabulary_size)

    @classmethod
    def from_scipy(cls, matrix: ScipyMatrix) -> SparseVectors:
        """Make vectors from a SciPy sparse matrix or array [n, vocabulary_size] of any format.

        Stored zeros are kept as weights of 0. Duplicate entries are refused, not summed.

        Raises:
            VectorError: the matrix has another type or shape, or a limit is broken.
        """
        # SciPy's stubs lack the attributes of a union of formats.
        entries: Any = matrix
        if not hasattr(entries, "tocoo") or len(entries.shape) != 2:
            raise VectorError(
                "matrix must be a two-dimensional SciPy sparse matrix, "
                f"got an object of type {type(matrix).__name__}"
            )
        rows, vocabulary_size = entries.shape
        if entries.format == "csr" and entries.has_sorted_indices:
            return cls(entries.indptr, entries.indices, entries.data, vocabulary_size)
        entries = entries.tocoo()
        order = np.lexsort((entries.col, entries.row))
        indptr = _indptr_of(np.bincount(entries.row, minlength=rows))
        return cls(indptr, entries.col[order], entries.data[order], vocabulary_size)

    @classmethod
    def from_dense(cls, array: ArrayLike) -> SparseVectors:
        """Make vectors from the nonzero entries of an array [n, vocabulary_size].

        Raises:
            VectorError: the array does not have two dimensions, or a limit is broken.
        """
        dense = np.asarray(array)
        if dense.ndim != 2:
            raise VectorError(f"the array must have two dimensions, got the shape {dense.shape}")
        rows, terms = np.nonzero(dense)
        indptr = _indptr_of(np.bincount(rows, minlength=len(dense)))
        return cls(indptr, terms, dense[rows, terms], dense.shape[1])

    @classmethod
    def empty(cls, count: int, vocabulary_size: int) -> SparseVectors:
        """Make ``count`` vectors without terms."""
        return cls(np.zeros(count + 1, np.int64), [], [], vocabulary_size)

    @classmethod
    def concatenate(cls, parts: Sequence[SparseVectors]) -> SparseVectors:
        """Concatenate the rows of several objects, in order.

        Raises:
            VectorError: there are no parts, or they differ in vocabulary size or model.
        """
        sizes = sorted({part.vocabulary_size for part in parts})
        if len(sizes) != 1:
            raise VectorError(
                f"parts must have one vocabulary size, got {sizes}"
                if sizes
                else "parts must have at least one item, got none"
            )
        models = {part.model for part in parts}
        if len(models) != 1:
            names = ", ".join(
                sorted(model.label if model else "an unknown model" for model in models)
            )
            raise VectorError(f"parts must be of one model, got different models: {names}")
        return cls._trusted(
            _indptr_of(np.concatenate([np.diff(part.indptr) for part in parts])),
            np.concatenate([part.terms for part in parts]),
            np.concatenate([part.weights for part in parts]),
            sizes[0],
            parts[0].model,
        )

    @classmethod
    def load(cls, path: str | Path) -> SparseVectors:
        """Read and check a file that `save` wrote.

        Raises:
            SourceError: the file is missing, not a file of sparse vectors, damaged, or of a newer
                version.
            VectorError: the file is undamaged, but its vectors break a limit.
        """
        return cls(*vector_file.read_arrays(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write a ``.npz`` file, atomically; docs/vectors.md specifies the format.

        Raises:
            StorageError: the file cannot be written.
        """
        arrays = self.indptr, self.terms, self.weights
        vector_file.write_arrays(Path(path), *arrays, self.vocabulary_size, self.model)

    @property
    def nnz(self) -> int:
        """The number of terms of all rows, including those with a weight of 0."""
        return len(self.terms)

    def row(self, index: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the terms and weights of one row, as read-only views.

        Args:
            index: the number of the row; negative numbers count from the end.

        Raises:
            IndexError: the row does not exist.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)} vectors does not exist")
        start, end = self.indptr[index % len(self)], self.indptr[index % len(self) + 1]
        return self.terms[start:end], self.weights[start:end]

    def as_dict(self, index: int) -> dict[int, float]:
        """Return one row as a mapping from term to weight, in ascending order of terms."""
        terms, weights = self.row(index)
        return dict(zip(terms.tolist(), weights.tolist(), strict=True))

    def as_dicts(self) -> Iterator[dict[int, float]]:
        """Return an iterator over the rows as mappings; see `as_dict`."""
        return map(self.as_dict, range(len(self)))

    def to_scipy(self) -> csr_array[np.float32, tuple[int, int]]:
        """Return a copy as a SciPy CSR array, float32 [n, vocabulary_size]."""
        from scipy.sparse import csr_array

        entries = (self.weights.copy(), self.terms.astype(np.int64), self.indptr.copy())
        return csr_array(entries, shape=(len(self), self.vocabulary_size))

    @property
    def owners(self) -> NDArray[np.int64]:
        """The row of each weight, int64 [nnz]."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def to_dense(self) -> NDArray[np.float32]:
        """Return a copy as a dense array, float32 [n, vocabulary_size]."""
        dense = np.zeros((len(self), self.vocabulary_size), np.float32)
        dense[self.owners, self.terms] = self.weights
        return dense

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(
        self, rows: slice | Sequence[int] | NDArray[np.integer | np.bool_]
    ) -> SparseVectors:
        """Return the selected rows, in the given order; a slice of step 1 copies no terms.

        Args:
            rows: a slice, row numbers (negative numbers count from the end) or a mask [n]. For a
                single row, use `row` or `as_dict`.

        Raises:
            IndexError: a row does not exist.
            TypeError: ``rows`` is a single number.
        """
        chosen = np.arange(len(self))[rows]
        if chosen.ndim != 1:
            raise TypeError(f"rows must be a slice or an array, got {rows!r}: use row({rows!r})")
        if isinstance(rows, slice) and rows.step in (None, 1):
            indptr = self.indptr[chosen[0] : chosen[-1] + 2] if len(chosen) else self.indptr[:1]
            entries = slice(indptr[0], indptr[-1])
            return self._trusted(
                indptr - indptr[0],
                self.terms[entries],
                self.weights[entries],
                self.vocabulary_size,
                self.model,
            )
        lengths = np.diff(self.indptr)[chosen]
        indptr = _indptr_of(lengths)
        places = np.repeat(self.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return self._trusted(
            indptr, self.terms[places], self.weights[places], self.vocabulary_size, self.model
        )

    def __eq__(self, other: object) -> bool:
        """Return whether rows, model and vocabulary size are all equal."""
        if not isinstance(other, SparseVectors):
            return NotImplemented
        return (
            self.vocabulary_size == other.vocabulary_size
            and self.model == other.model
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.terms, other.terms)
            and np.array_equal(self.weights, other.weights)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"<SparseVectors: {len(self)} rows, nnz {self.nnz}, vocabulary {self.vocabulary_size}>"
        )

    def __reduce__(self) -> tuple[type[SparseVectors], tuple[object, ...]]:
        # Pickling loses the read-only flag of arrays; the constructor sets it again.
        return SparseVectors, (
            self.indptr,
            self.terms,
            self.weights,
            self.vocabulary_size,
            self.model,
        )

    @classmethod
    def _trusted(
        cls,
        indptr: NDArray[np.int64],
        terms: NDArray[np.uint32],
        weights: NDArray[np.float32],
        vocabulary_size: int,
        model: ModelId | None,
    ) -> SparseVectors:
        """Make vectors from arrays that come from checked ones and have no other owner."""
        vectors = object.__new__(cls)
        for array in (indptr, terms, weights):
            array.flags.writeable = False
        vectors._set(indptr, terms, weights, vocabulary_size, model)
        return vectors

    def _set(self, *values: object) -> None:
        names = ("indptr", "terms", "weights", "vocabulary_size", "model")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)


def _indptr_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr


def _row_terms(row: Mapping[int, float], number: int) -> NDArray[np.int64]:
    try:
        return np.array([operator.index(term) for term in row], np.int64)
    except (TypeError, OverflowError) as error:
        raise VectorError(f"row {number}: a term must be a 64-bit integer ({error})") from None


def _row_weights(row: Mapping[int, float], number: int) -> NDArray[np.float64]:
    weights = np.array(list(row.values()))
    if weights.size and weights.dtype.kind not in "fiu":
        raise VectorError(
            f"row {number}: a weight must be a number, got weights of dtype {weights.dtype}"
        )
    return weights.astype(np.float64)
