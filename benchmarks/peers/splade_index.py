"""splade-index with its numba backend: exact, over a float32 matrix by columns.

Its ``retrieve`` encodes text by a model and then calls a compiled function. Here the vectors are
passed to that function directly.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeAlias

import numba
import numpy as np
import scipy.sparse as sp
import splade_index
from numpy.typing import NDArray
from splade_index.numba.retrieve_utils import _retrieve_internal_jitted_parallel

from peers.protocol import Peer, Settings, serve
from retrieval.vectors import Vectors

_Query: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]
_Found: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int32]]


class SpladeIndex(Peer[_Query, _Found]):
    """The peer splade-index."""

    package = "splade_index"

    def __init__(self) -> None:
        self._scores: dict[str, Any] = {}

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Convert the rows to columns by SciPy, then call `save`.

        The code of splade-index itself converts torch tensors.
        """
        rows, shape = documents.rows(0, len(documents)), (len(documents), documents.vocabulary_size)
        indptr, terms, weights = rows
        columns = sp.csr_array((weights, terms.astype(np.int32), indptr), shape=shape).tocsc()
        index = splade_index.SPLADE(backend="numba")
        index.scores = {
            "data": columns.data,
            "indices": columns.indices.astype(np.int32),
            "indptr": columns.indptr.astype(np.int32),
            "num_docs": len(documents),
        }
        index.vocab_dict, index.corpus, index.document_ids = {}, None, np.arange(len(documents))
        index.save(path)

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Load the index without the model."""
        index = splade_index.SPLADE(backend="numba")
        index.load_scores(path, num_docs=documents)
        self._scores = index.scores
        numba.set_num_threads(threads)

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> _Query:
        """Return signed terms, and weights."""
        return terms.astype(np.int32), weights.copy()

    def search(self, query: _Query, k: int, settings: Settings) -> _Found:
        """Search for one query."""
        return self._retrieve(*query, np.array([0, len(query[0])]), k)

    def rows(self, found: _Found) -> list[int]:
        """Return the rows with a score above zero; the others only fill up to k."""
        scores, rows = found
        hits: list[int] = rows[0][scores[0] > 0].tolist()
        return hits

    def timed_batch(
        self, queries: list[_Query], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Time the parallel loop over queries."""
        terms = np.concatenate([terms for terms, _ in queries])
        weights = np.concatenate([weights for _, weights in queries])
        pointers = np.cumsum([0, *(len(terms) for terms, _ in queries)])
        start = time.perf_counter()
        scores, rows = self._retrieve(terms, weights, pointers, k)
        seconds = time.perf_counter() - start
        return seconds, [
            self.rows((scores[i : i + 1], rows[i : i + 1])) for i in range(len(queries))
        ]

    def _retrieve(
        self,
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        pointers: NDArray[np.int64],
        k: int,
    ) -> _Found:
        scores = self._scores
        columns = scores["data"], scores["indptr"], scores["indices"], scores["num_docs"]
        found: _Found = _retrieve_internal_jitted_parallel(
            terms, weights, pointers, k, True, np.float32, np.int32, *columns
        )
        return found


if __name__ == "__main__":
    serve(SpladeIndex())
