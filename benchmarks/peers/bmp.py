"""bmp: block-max pruning over 8-bit impacts, with documents in input order.

It also rounds the weights of queries. Settings of the index: ``bsize``, ``compress_range``.
Settings of a search: ``alpha``, ``beta`` (1 and 1 is safe over the stored impacts).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import bmp
import numpy as np
from numpy.typing import NDArray

from peers.protocol import Peer, Settings, serve
from retrieval.vectors import Vectors

_Query: TypeAlias = dict[str, float]
_Found: TypeAlias = tuple[list[str], list[float]]


class Bmp(Peer[_Query, _Found]):
    """The peer bmp."""

    package = "bmp"

    def __init__(self) -> None:
        self._searcher: Any = None

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Add the documents one by one, the only call that it has. Impacts are at most 255."""
        largest = max(float(weights.max()) for _, (_, _, weights) in documents.slices(50_000))
        names = [str(term) for term in range(documents.vocabulary_size)]
        indexer = bmp.Indexer(str(path), **settings)
        for first, (indptr, terms, weights) in documents.slices(50_000):
            impacts = np.maximum(np.rint(weights * (255 / largest)), 1).astype(int).tolist()
            tokens = [names[term] for term in terms.tolist()]
            starts = indptr.tolist()
            for i in range(len(starts) - 1):
                row = slice(starts[i], starts[i + 1])
                indexer.add_document(
                    str(first + i), dict(zip(tokens[row], impacts[row], strict=True))
                )
        indexer.finish()

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Load the whole index."""
        self._searcher = bmp.Searcher(str(path))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> _Query:
        """Return a dictionary from terms as strings to weights."""
        return {
            str(term): weight for term, weight in zip(terms.tolist(), weights.tolist(), strict=True)
        }

    def search(self, query: _Query, k: int, settings: Settings) -> _Found:
        """Return document names and scores."""
        found: _Found = self._searcher.search(
            query, k=k, alpha=settings["alpha"], beta=settings["beta"]
        )
        return found

    def rows(self, found: _Found) -> list[int]:
        """Convert the names, which are row numbers as text."""
        return [int(name) for name in found[0]]


if __name__ == "__main__":
    serve(Bmp())
