"""Sparse vectors: what an encoder gives and an index takes."""

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
    """Sparse vectors over one closed vocabulary, in compressed rows (CSR); checked when made, then immutable.

    Row ``i`` holds ``terms[indptr[i]:indptr[i + 1]]`` and the weights beside them.

    Args:
        indptr: integers [n + 1], from 0 up to nnz; rows of at most 2^16 terms.
        terms: integers [nnz], strictly ascending within each row, each below vocabulary_size.
        weights: numbers [nnz], finite and >= 0; rounded to float32.
        vocabulary_size: the number of terms there are, from 1 to 2^18.
        model: the model that made them, if known: an index refuses those of another one.

    Writeable arrays are copied; read-only ones of the right dtype are kept as they are.

    Attributes:
        indptr: int64 [n + 1], read-only.
        terms: uint32 [nnz], read-only.
        weights: float32 [nnz], read-only.
        vocabulary_size: the number of terms there are.
        model: the model that made them; None if unknown.

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
                f"{np.size(terms)} terms with {np.size(weights)} weights: one weight a term"
            )
        size = check_vocabulary_size(vocabulary_size)
        starts = check_indptr(indptr, np.size(terms))
        self._set(
            starts, check_terms(terms, starts, size), check_weights(weights, starts), size, model
        )

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[int, float]], vocabulary_size: int) -> SparseVectors:
        """Makes vectors of mappings from term to weight, a mapping a row, in any order of terms.

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
        """Makes vectors of a SciPy sparse matrix or array [n, vocabulary_size] of any format.

        Stored zeros are kept as weights of 0. Entries that are there twice are refused, not summed.

        Raises:
            VectorError: a limit is broken.
        """
        entries: Any = (
            matrix  # SciPy's stubs know the attributes of each format, but of no union of them
        )
        if not hasattr(entries, "tocoo") or len(entries.shape) != 2:
            raise VectorError(
                f"a {type(matrix).__name__} is no two-dimensional SciPy sparse matrix"
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
        """Makes vectors of the entries of an array [n, vocabulary_size] that are not 0.

        Raises:
            VectorError: a limit is broken.
        """
        dense = np.asarray(array)
        if dense.ndim != 2:
            raise VectorError(f"the array has the shape {dense.shape}: it must have two dimensions")
        rows, terms = np.nonzero(dense)
        indptr = _indptr_of(np.bincount(rows, minlength=len(dense)))
        return cls(indptr, terms, dense[rows, terms], dense.shape[1])

    @classmethod
    def empty(cls, count: int, vocabulary_size: int) -> SparseVectors:
        """Makes ``count`` vectors without terms."""
        return cls(np.zeros(count + 1, np.int64), [], [], vocabulary_size)

    @classmethod
    def concatenate(cls, parts: Sequence[SparseVectors]) -> SparseVectors:
        """Puts the rows of several together, in order.

        Raises:
            VectorError: there are no parts, or their vocabularies differ in size, or their models.
        """
        sizes = sorted({part.vocabulary_size for part in parts})
        if len(sizes) != 1:
            raise VectorError(
                f"cannot concatenate vectors over vocabularies of {sizes or 'no'} terms"
            )
        models = {part.model for part in parts}
        if len(models) != 1:
            names = ", ".join(
                sorted(model.label if model else "an unknown model" for model in models)
            )
            raise VectorError(f"cannot concatenate vectors of different models: {names}")
        return cls._trusted(
            _indptr_of(np.concatenate([np.diff(part.indptr) for part in parts])),
            np.concatenate([part.terms for part in parts]),
            np.concatenate([part.weights for part in parts]),
            sizes[0],
            parts[0].model,
        )

    @classmethod
    def load(cls, path: str | Path) -> SparseVectors:
        """Reads what `save` wrote, and checks it.

        Raises:
            SourceError: the file is missing, no file of sparse vectors, damaged, or of a newer
                version.
            VectorError: the file is whole, but its vectors break a limit.
        """
        return cls(*vector_file.read_arrays(Path(path)))

    def save(self, path: str | Path) -> None:
        """Writes one ``.npz`` file, atomically; docs/vectors.md has the format.

        Raises:
            StorageError: the disk refused.
        """
        arrays = self.indptr, self.terms, self.weights
        vector_file.write_arrays(Path(path), *arrays, self.vocabulary_size, self.model)

    @property
    def nnz(self) -> int:
        """The number of terms of all rows together, weights of 0 included."""
        return len(self.terms)

    def row(self, index: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """The terms and weights of one row, as read-only views.

        Args:
            index: the row's number; negative ones count from the end.

        Raises:
            IndexError: there is no such row.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)} vectors")
        start, end = self.indptr[index % len(self)], self.indptr[index % len(self) + 1]
        return self.terms[start:end], self.weights[start:end]

    def as_dict(self, index: int) -> dict[int, float]:
        """One row as a mapping from term to weight, terms ascending."""
        terms, weights = self.row(index)
        return dict(zip(terms.tolist(), weights.tolist(), strict=True))

    def as_dicts(self) -> Iterator[dict[int, float]]:
        """Each row in turn as `as_dict` gives it."""
        return map(self.as_dict, range(len(self)))

    def to_scipy(self) -> csr_array[np.float32, tuple[int, int]]:
        """A copy as a SciPy CSR array, float32 [n, vocabulary_size]."""
        from scipy.sparse import csr_array

        entries = (self.weights.copy(), self.terms.astype(np.int64), self.indptr.copy())
        return csr_array(entries, shape=(len(self), self.vocabulary_size))

    @property
    def owners(self) -> NDArray[np.int64]:
        """The row of each weight, int64 [nnz]."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def to_dense(self) -> NDArray[np.float32]:
        """A copy as a dense array, float32 [n, vocabulary_size]."""
        dense = np.zeros((len(self), self.vocabulary_size), np.float32)
        dense[self.owners, self.terms] = self.weights
        return dense

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(
        self, rows: slice | Sequence[int] | NDArray[np.integer | np.bool_]
    ) -> SparseVectors:
        """The chosen rows, in the order asked for; a slice of step 1 copies no terms.

        Args:
            rows: a slice, row numbers (negative ones count from the end) or a mask [n]. One row
                alone is `row` or `as_dict`.

        Raises:
            IndexError: a row does not exist.
        """
        chosen = np.arange(len(self))[rows]
        if chosen.ndim != 1:
            raise TypeError(
                f"rows are chosen by a slice or an array, not by {rows!r}: use row({rows!r})"
            )
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
        """Whether both hold exactly the same rows of one model, over vocabularies of the same size."""
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
        # A pickled array forgets that it was read-only; making the object anew sets it again.
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
        """Makes vectors of arrays that come from checked ones and that nobody else holds."""
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
        raise VectorError(f"row {number}: a term is no integer of 64 bits ({error})") from None


def _row_weights(row: Mapping[int, float], number: int) -> NDArray[np.float64]:
    weights = np.array(list(row.values()))
    if weights.size and weights.dtype.kind not in "fiu":
        raise VectorError(
            f"row {number}: a weight is no number (the weights are a {weights.dtype} array)"
        )
    return weights.astype(np.float64)
