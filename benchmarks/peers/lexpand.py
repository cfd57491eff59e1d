"""Lexpand, measured like its peers: by its public API, and by the native call below it.

Setting of the index: ``commit_every``, the number of documents in a commit. Settings of a search:
``api`` and ``effort``. ``api`` is ``index`` for Index.search or ``native`` for _native.search,
which returns rows without ids. ``effort`` is in (0, 1]; 1 is exact.
"""

from __future__ import annotations

import inspect
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand import Index, SparseVectors, _native
from lexpand.data import Document, ModelId, VectorSpace, Vocabulary
from lexpand.index import exhaustive
from peers.protocol import Peer, Settings, serve, size_of
from retrieval.vectors import Rows, Vectors

_Found: TypeAlias = Any
_FIELD = 0
_SLICE = 50_000
_EFFORT_BY_INDEX = "effort" in inspect.signature(Index.search).parameters


class Lexpand(Peer[SparseVectors, _Found]):
    """The system that is compared with the peers."""

    package = "lexpand"

    def __init__(self) -> None:
        self._index: Index | None = None
        self._path = Path()
        self._native_segments: list[_native.Segment] | None = None

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Create the index, add slices and commit. Documents have an id and no text."""
        size, every = documents.vocabulary_size, settings["commit_every"]
        with Index.create(path, vector_space(size)) as index:
            for first, rows in documents.slices(_SLICE):
                end = first + len(rows[0]) - 1
                index.add(
                    [Document(str(i), "") for i in range(first, end)], sparse_vectors(rows, size)
                )
                if end % every == 0 or end == len(documents):
                    index.commit()

    def figures(self, path: Path) -> dict[str, float]:
        """Return sizes: ``bytes`` of postings and forward index, ``file_bytes`` of all files."""
        segments = _open(path)
        parts = [part for segment in segments for part in segment.parts()]
        return {
            "bytes": sum(size for _, field, size in parts if field == _FIELD),
            "segment_bytes": sum(segment.bytes for segment in segments),
            "file_bytes": size_of(path),
            "segments": len(segments),
        }

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Open the index as a user does, with checksums verified."""
        self._index, self._path = Index.open(path), path

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> SparseVectors:
        """Return validated vectors with one row."""
        return SparseVectors([0, len(terms)], terms, weights, len(self._space.vocabulary))

    def search(self, query: SparseVectors, k: int, settings: Settings) -> _Found:
        """Search by the API in the settings."""
        return self._search(query, k, settings, 1)

    def rows(self, found: _Found) -> list[int]:
        """Return the rows, which are numbered in the order of adding."""
        return (found[0].rows if isinstance(found, list) else found[2]).tolist()

    def timed_batch(
        self, queries: list[SparseVectors], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Search for all queries in one call."""
        joined = SparseVectors.concatenate(queries)
        start = time.perf_counter()
        found = self._search(joined, k, settings, threads)
        seconds = time.perf_counter() - start
        if isinstance(found, list):
            return seconds, [self.rows([each]) for each in found]
        return seconds, [part.tolist() for part in np.split(found[2], found[0][1:-1])]

    def abilities(self) -> dict[str, Any]:
        """Return whether Index.search accepts ``effort`` in this version."""
        return {"effort_by_index": _EFFORT_BY_INDEX}

    def write_segment(self, documents: str, path: str) -> dict[str, Any]:
        """Measure the CPU seconds of the native writer for all documents as one segment."""
        vectors = Vectors(Path(documents))
        count = len(vectors)
        fields = [(_FIELD, vectors.vocabulary_size, *vectors.rows(0, count))]
        with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            numbers, zeros = np.arange(count, dtype=np.uint32), np.zeros(count, np.uint32)
            start = time.process_time()
            _native.write_segment(
                Path(folder) / "all.seg", numbers, zeros, np.repeat(zeros, 2), fields
            )
            return {"cpu_seconds": time.process_time() - start}

    def agrees(self, folder: str, first: int, end: int, ks: list[int]) -> dict[str, Any]:
        """Compare the hits and scores of both APIs with the NumPy reference, to the bit."""
        assert self._index is not None
        queries = _sliced(Vectors(Path(folder)), first, end)
        reference = exhaustive.search(
            [(segment, None) for segment in self._segments], _FIELD, queries, max(ks)
        )
        same = True
        for k in ks:
            expected = [
                list(zip(scores[:k].tolist(), rows[:k].tolist(), strict=True))
                for scores, rows, *_ in reference
            ]
            matches = self._index.search(queries, k)
            same &= [[(match.score, match.row) for match in found] for found in matches] == expected
            indptr, scores, rows, _, _ = self._native(queries, k, 1.0, 1)
            flat = [hit for hits in expected for hit in hits]
            same &= list(zip(scores.tolist(), rows.tolist(), strict=True)) == flat
            same &= np.diff(indptr).tolist() == [len(hits) for hits in expected]
        return {"exact": bool(same), "queries": len(queries)}

    @property
    def _segments(self) -> list[_native.Segment]:
        """A second mapping of the files, made at the first use.

        Without it, the memory of the process is that of the public index.
        """
        if self._native_segments is None:
            self._native_segments = _open(self._path)
        return self._native_segments

    @property
    def _space(self) -> VectorSpace:
        assert self._index is not None
        return self._index.space

    def _search(self, queries: SparseVectors, k: int, settings: Settings, threads: int) -> _Found:
        effort = settings["effort"]
        if settings["api"] == "native":
            return self._native(queries, k, effort, threads)
        assert self._index is not None
        more: dict[str, Any] = {} if effort == 1 else {"effort": effort}
        return self._index.search(queries, k, threads=threads, **more)

    def _native(self, queries: SparseVectors, k: int, effort: float, threads: int) -> Any:
        return _native.search(
            [(segment, None) for segment in self._segments],
            _FIELD,
            queries.indptr,
            queries.terms,
            queries.weights,
            vocabulary_size=queries.vocabulary_size,
            k=k,
            effort=effort,
            threads=threads,
        )


def vector_space(vocabulary_size: int) -> VectorSpace:
    """Return the space of vectors without a model."""
    tokens = [f"term{term}" for term in range(vocabulary_size)]
    return VectorSpace(ModelId("benchmark", "0" * 64), Vocabulary(tokens))


def sparse_vectors(rows: Rows, vocabulary_size: int) -> SparseVectors:
    """Return vectors over the arrays, which become read-only."""
    for array in rows:
        array.setflags(write=False)
    return SparseVectors(*rows, vocabulary_size)


def _sliced(vectors: Vectors, first: int, end: int) -> SparseVectors:
    return sparse_vectors(vectors.rows(first, end), vectors.vocabulary_size)


def _open(path: Path) -> list[_native.Segment]:
    """Open the segments, in order of their names. The index must have no merged segments."""
    return [
        _native.Segment.open(file, verify=False)
        for file in sorted((path / "segments").glob("*.seg"))
    ]


if __name__ == "__main__":
    serve(Lexpand())
