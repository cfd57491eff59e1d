"""pyseismic-lsr, by its class over integer terms.

That class has the least overhead: neither terms nor ids are strings. Settings of the index:
``n_postings``, ``centroid_fraction``, ``min_cluster_size``, ``summary_energy``, ``max_fraction``.
Settings of a search: ``query_cut``, ``heap_factor``, ``sorted``. Stored weights are float16.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import seismic
from numpy.typing import NDArray

from peers.protocol import Peer, Settings, serve
from retrieval.vectors import Vectors

_Query: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]
_Found: TypeAlias = list[tuple[float, int]]


class Seismic(Peer[_Query, _Found]):
    """The peer Seismic."""

    package = "pyseismic-lsr"

    def __init__(self) -> None:
        self._index: Any = None

    def stage(self, documents: Vectors, path: Path) -> None:
        """Write the vectors in the format of Seismic."""
        source = _source(path)
        source.unlink(missing_ok=True)
        for first, rows in documents.slices(50_000):
            _append(source, *rows, len(documents) if not first else None)

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Build the index from the file that `stage` wrote."""
        index = seismic.SeismicIndexRaw.build(str(_source(path)), **settings)
        path.mkdir()
        index.save(str(path / "index"))

    def figures(self, path: Path) -> dict[str, float]:
        """Delete the vector file, which is no longer needed, and return the figures."""
        _source(path).unlink()
        return super().figures(path)

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Load the whole index."""
        (file,) = path.iterdir()
        self._index = seismic.SeismicIndexRaw.load(str(file))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> _Query:
        """Return signed terms, and weights."""
        return terms.astype(np.int32), weights.copy()

    def search(self, query: _Query, k: int, settings: Settings) -> _Found:
        """Return pairs of score and row."""
        cut, factor, in_order = settings["query_cut"], settings["heap_factor"], settings["sorted"]
        found: _Found = self._index.search(*query, k, cut, factor, 0, in_order)
        return found

    def rows(self, found: _Found) -> list[int]:
        """Return the rows of the pairs."""
        return [row for _, row in found]

    def timed_batch(
        self, queries: list[_Query], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Time its batch call over a query file. Writing the file is not timed."""
        starts = np.cumsum([0, *(len(terms) for terms, _ in queries)])
        terms = np.concatenate([terms for terms, _ in queries])
        weights = np.concatenate([weights for _, weights in queries])
        cut, factor, in_order = settings["query_cut"], settings["heap_factor"], settings["sorted"]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "queries.bin"
            _append(source, starts, terms, weights, len(queries))
            start = time.perf_counter()
            found = self._index.batch_search(str(source), k, cut, factor, 0, in_order, threads)
            return time.perf_counter() - start, [self.rows(each) for each in found]


def _source(path: Path) -> Path:
    return path.with_name("documents.bin")


def _append(
    path: Path,
    indptr: NDArray[Any],
    terms: NDArray[Any],
    weights: NDArray[np.float32],
    count: int | None,
) -> None:
    """Append rows in the format of Seismic.

    The file begins with the number of all rows. Each row has its length, terms and weights.
    """
    with path.open("ab") as file:
        if count is not None:
            file.write(struct.pack("<I", count))
        for start, end in itertools.pairwise(indptr.tolist()):
            file.write(struct.pack("<I", end - start))
            file.write(terms[start:end].astype("<u4").tobytes())
            file.write(weights[start:end].astype("<f4").tobytes())


if __name__ == "__main__":
    serve(Seismic())
