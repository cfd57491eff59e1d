"""qdrant-edge-py: a Qdrant shard in this process.

Its sparse index is exact over float32 weights and pinned in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import qdrant_edge as qdrant
from numpy.typing import NDArray

from peers.protocol import Peer, Settings, serve
from retrieval.vectors import Vectors

_NAME = "splade"
_Found: TypeAlias = list[Any]


class Qdrant(Peer[Any, _Found]):
    """The peer Qdrant."""

    package = "qdrant-edge-py"

    def __init__(self) -> None:
        self._shard: Any = None

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Add points in batches of 1,000 without a log, then optimize into one segment."""
        path.mkdir(parents=True)
        shard = qdrant.EdgeShard.create(str(path), _config(threads))
        for first, (indptr, terms, weights) in documents.slices(1_000):
            starts, all_terms, all_weights = indptr.tolist(), terms.tolist(), weights.tolist()
            points = []
            for i in range(len(starts) - 1):
                row = slice(starts[i], starts[i + 1])
                vector = qdrant.SparseVector(all_terms[row], all_weights[row])
                points.append(qdrant.Point(first + i, {_NAME: vector}))
            shard.update(qdrant.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Open the shard with the configuration that built it."""
        self._shard = qdrant.EdgeShard.load(str(path), _config(threads))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> Any:
        """Return a query object. The request also has k, so its construction is timed."""
        return qdrant.Query.Nearest(
            qdrant.SparseVector(terms.tolist(), weights.tolist()), using=_NAME
        )

    def search(self, query: Any, k: int, settings: Settings) -> _Found:
        """Return scored points, without vectors and payloads."""
        found: _Found = self._shard.query(qdrant.QueryRequest(k, query=query))
        return found

    def rows(self, found: _Found) -> list[int]:
        """Return the ids, which are rows."""
        return [point.id for point in found]

    def close(self) -> None:
        """Close the shard."""
        if self._shard is not None:
            self._shard.close()


def _config(threads: int) -> Any:
    return qdrant.EdgeConfig(
        sparse_vectors={
            _NAME: qdrant.EdgeSparseVectorParams(full_scan_threshold=0, memory=qdrant.Memory.Pinned)
        },
        optimizers=qdrant.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=100_000_000, indexing_threshold=1
        ),
        max_search_threads=threads,
        wal_enabled=False,
    )


if __name__ == "__main__":
    serve(Qdrant())
