"""A table of term weights for inference-free queries."""

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
    """The weight of each term in the queries that contain it, independent of its frequency.

    Attributes:
        weights: float32 [vocabulary_size], read-only, finite and >= 0. A term of weight 0 is
            omitted from queries.

    Raises:
        VectorError: a weight is negative or not finite, or the array is not numeric or does not
            have one dimension.
    """

    weights: NDArray[np.float32]
    _positive: frozenset[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = np.array(self.weights)
        if weights.ndim != 1 or weights.dtype.kind not in "fiu":
            raise VectorError(
                "query weights must be numbers, one for each term, "
                f"got an array of {weights.dtype} with shape {weights.shape}"
            )
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float32)
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if bad.size:
            raise VectorError(
                f"the query weight of term {bad[0]} must be finite and >= 0, got {weights[bad[0]]}"
            )
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "_positive", frozenset(np.flatnonzero(weights).tolist()))

    @classmethod
    def idf(cls, document_frequencies: ArrayLike, documents: int) -> QueryTable:
        """Compute weights from a corpus: inverse document frequency.

        The weight is log(1 + (N - df + 0.5) / (df + 0.5)), the IDF of Lucene's BM25: Robertson and
        Spärck Jones 1976, with 1 added so that no weight is negative. A term that occurs in no
        document has the largest weight.

        Geng et al. 2024, "Towards Competitive Search Relevance For Inference-Free Learned Sparse
        Retrievers", use IDF for the queries of a learned sparse model (OpenSearch's doc-v models).

        Args:
            document_frequencies: integers [vocabulary_size], the number of documents that contain
                each term, as `Encoder.document_frequencies` counts them.
            documents: the number of documents (N).

        Raises:
            VectorError: a frequency is negative or above the number of documents.
        """
        frequencies = np.asarray(document_frequencies, np.float64)
        outside = np.flatnonzero((frequencies < 0) | (frequencies > documents))
        if outside.size:
            raise VectorError(
                f"the document frequency of term {outside[0]} must be from 0 to {documents}, the "
                f"number of documents, got {frequencies.flat[outside[0]]:g}"
            )
        return cls(
            np.log1p((documents - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
        )

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> QueryTable:
        """Read a table from a safetensors file with one tensor, ``weight`` [vocabulary_size].

        Args:
            content: the content of the file.
            name: the name of the file, for messages.

        Raises:
            ModelError: the file is not such a table, or a weight is negative or not finite.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(content)
            if set(tensors) != {_TENSOR}:
                raise ModelError(
                    f"{name} must have the single tensor {_TENSOR!r}, got {sorted(tensors)}"
                )
            return cls(tensors[_TENSOR])
        except (SafetensorError, VectorError) as error:
            raise ModelError(f"{name}: {error}") from error

    def to_bytes(self) -> bytes:
        """Return the content of a file that `from_bytes` reads.

        SparseStaticEmbedding of sentence-transformers reads it too.
        """
        from safetensors.numpy import save

        return save({_TENSOR: self.weights})

    def save(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_write(Path(path)) as file:
            file.write(self.to_bytes())

    def without(self, terms: Sequence[int]) -> QueryTable:
        """Return a table in which these terms have weight 0."""
        weights = self.weights.copy()
        weights[list(terms)] = 0
        return QueryTable(weights)

    def look_up(
        self, texts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
        """Return the vectors of texts given as token ids.

        Returns:
            The arrays ``indptr``, ``terms`` and ``weights`` of SparseVectors.
        """
        rows = [sorted(self._positive.intersection(ids)) for ids in texts]
        indptr = np.fromiter(accumulate(map(len, rows), initial=0), np.int64, len(rows) + 1)
        terms = np.fromiter(chain.from_iterable(rows), np.uint32, int(indptr[-1]))
        return indptr, terms, self.weights[terms]
