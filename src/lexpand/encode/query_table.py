"""Inference-free queries: a weight a term, looked up instead of computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lexpand.data.streams import atomic_write
from lexpand.errors import ModelError, VectorError

_TENSOR = "weight"


@dataclass(frozen=True, slots=True, eq=False)
class QueryTable:
    """The weight that each term of the vocabulary has in a query that it occurs in, however often.

    Attributes:
        weights: float32 [vocabulary_size], read-only, finite and >= 0; a term of weight 0 is left
            out of queries.

    Raises:
        VectorError: a weight is negative or not finite, or the array has not one dimension.
    """

    weights: NDArray[np.float32]
    _positive: frozenset[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = np.array(self.weights)
        if weights.ndim != 1 or weights.dtype.kind not in "fiu":
            raise VectorError(
                f"query weights {weights.dtype} {weights.shape}: they must be numbers, one a term"
            )
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float32)
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if bad.size:
            raise VectorError(
                f"the query weight of term {bad[0]} is {weights[bad[0]]}: it must be finite and >= 0"
            )
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "_positive", frozenset(np.flatnonzero(weights).tolist()))

    @classmethod
    def idf(cls, document_frequencies: ArrayLike, documents: int) -> QueryTable:
        """Weights from a corpus: the inverse document frequency log(1 + (N - df + 0.5) / (df + 0.5)).

        It is BM25's as Lucene has it (Robertson and Spärck Jones 1976, with 1 added so that no
        weight is negative). IDF as the query's side of a learned sparse model: Geng et al. 2024,
        "Towards Competitive Search Relevance For Inference-Free Learned Sparse Retrievers"
        (OpenSearch's doc-v models). A term of no document weighs most.

        Args:
            document_frequencies: integers [vocabulary_size], of each term the documents that have
                it, as `Encoder.document_frequencies` counts them.
            documents: how many there are (N).

        Raises:
            VectorError: a frequency is negative or above the number of documents.
        """
        frequencies = np.asarray(document_frequencies, np.float64)
        if np.any((frequencies < 0) | (frequencies > documents)):
            raise VectorError(
                f"a document frequency is outside 0 to {documents}, the number of documents"
            )
        return cls(
            np.log1p((documents - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
        )

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> QueryTable:
        """The table of a safetensors file with one tensor ``weight`` [vocabulary_size].

        Args:
            content: the file.
            name: what it is called in messages.

        Raises:
            ModelError: it is no such file, or a weight breaks the limits.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(content)
            if set(tensors) != {_TENSOR}:
                raise ModelError(
                    f"{name} has the tensors {sorted(tensors)}: it must have one, {_TENSOR!r}"
                )
            return cls(tensors[_TENSOR])
        except (SafetensorError, VectorError) as error:
            raise ModelError(f"{name}: {error}") from error

    def to_bytes(self) -> bytes:
        """The file that `from_bytes` reads, which sentence-transformers' SparseStaticEmbedding reads too."""
        from safetensors.numpy import save

        return save({_TENSOR: self.weights})

    def save(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            StorageError: the disk refused.
        """
        with atomic_write(Path(path)) as file:
            file.write(self.to_bytes())

    def without(self, terms: Sequence[int]) -> QueryTable:
        """The table in which these terms weigh 0."""
        weights = self.weights.copy()
        weights[list(terms)] = 0
        return QueryTable(weights)

    def look_up(
        self, texts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
        """The vectors of texts that are given as token ids: indptr, terms and weights, as SparseVectors has them."""
        rows = [sorted(self._positive.intersection(ids)) for ids in texts]
        indptr = np.fromiter(accumulate(map(len, rows), initial=0), np.int64, len(rows) + 1)
        terms = np.fromiter(chain.from_iterable(rows), np.uint32, int(indptr[-1]))
        return indptr, terms, self.weights[terms]
