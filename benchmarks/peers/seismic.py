"""pyseismic-lsr, by its class over integer terms: the leanest call that it has (no strings for terms or ids).

Settings of the index: ``n_postings``, ``centroid_fraction``, ``min_cluster_size``,
``summary_energy``, ``max_fraction``. Of a search: ``query_cut``, ``heap_factor``, ``sorted``.
Weights are float16 in the index.
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
    """The peer."""

    package = "pyseismic-lsr"

    def __init__(self) -> None:
        self._index: Any = None

    def stage(self, documents: Vectors, path: Path) -> None:
        """Its own file of vectors."""
        source = _source(path)
        source.unlink(missing_ok=True)
        for first, rows in documents.slices(50_000):
            _append(source, *rows, len(documents) if not first else None)

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """From that file."""
        index = seismic.SeismicIndexRaw.build(str(_source(path)), **settings)
        path.mkdir()
        index.save(str(path / "index"))

    def figures(self, path: Path) -> dict[str, float]:
        """The file of vectors has done its work."""
        _source(path).unlink()
        return super().figures(path)

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Loads all of it."""
        (file,) = path.iterdir()
        self._index = seismic.SeismicIndexRaw.load(str(file))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> _Query:
        """Signed terms."""
        return terms.astype(np.int32), weights.copy()

    def search(self, query: _Query, k: int, settings: Settings) -> _Found:
        """(score, row) of each."""
        cut, factor, in_order = settings["query_cut"], settings["heap_factor"], settings["sorted"]
        found: _Found = self._index.search(*query, k, cut, factor, 0, in_order)
        return found

    def rows(self, found: _Found) -> list[int]:
        """The second of each pair."""
        return [row for _, row in found]

    def timed_batch(
        self, queries: list[_Query], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Its own batch call, over a file of queries that is written before the clock starts."""
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
    """Adds rows in its format: a count of all rows at the start of the file, then each row's length, terms, weights."""
    with path.open("ab") as file:
        if count is not None:
            file.write(struct.pack("<I", count))
        for start, end in itertools.pairwise(indptr.tolist()):
            file.write(struct.pack("<I", end - start))
            file.write(terms[start:end].astype("<u4").tobytes())
            file.write(weights[start:end].astype("<f4").tobytes())


if __name__ == "__main__":
    serve(Seismic())
