"""Sparse vectors as three raw files, which every process can read without a library.

``indptr.i64``, ``terms.u32`` and ``weights.f32`` are CSR in the machine's byte order;
``vectors.json`` is written last.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]
"""CSR: indptr from 0, terms ascending within a row, weights."""

_FACTS = "vectors.json"
_FILES = ("indptr.i64", "terms.u32", "weights.f32")


class Vectors:
    """Vectors in a folder. Rows are read on demand."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        facts = json.loads((self.folder / _FACTS).read_text(encoding="utf-8"))
        self.vocabulary_size: int = facts["vocabulary_size"]
        self.indptr: NDArray[np.int64] = np.fromfile(self.folder / "indptr.i64", np.int64)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.indptr) - 1

    def rows(self, first: int, end: int) -> Rows:
        """Read the rows from ``first`` to before ``end``."""
        start, stop = int(self.indptr[first]), int(self.indptr[end])
        terms = np.fromfile(self.folder / "terms.u32", np.uint32, stop - start, offset=4 * start)
        weights = np.fromfile(
            self.folder / "weights.f32", np.float32, stop - start, offset=4 * start
        )
        return self.indptr[first : end + 1] - start, terms, weights

    def slices(self, step: int) -> Iterator[tuple[int, Rows]]:
        """Yield all rows, ``step`` at a time, with the number of the first."""
        for first in range(0, len(self), step):
            yield first, self.rows(first, min(first + step, len(self)))

    def singles(self) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """Return the terms and weights of each row."""
        indptr, terms, weights = self.rows(0, len(self))
        return [(terms[a:b], weights[a:b]) for a, b in itertools.pairwise(indptr.tolist())]


def write_vectors(folder: Path, parts: Iterable[Rows], vocabulary_size: int) -> None:
    """Write the parts one after the other. The folder appears when all is written."""
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    nnz = 0
    with ExitStack() as stack:
        files = [stack.enter_context((unfinished / name).open("wb")) for name in _FILES]
        np.zeros(1, np.int64).tofile(files[0])
        for indptr, terms, weights in parts:
            (indptr[1:] + nnz).astype(np.int64).tofile(files[0])
            terms.astype(np.uint32).tofile(files[1])
            weights.astype(np.float32).tofile(files[2])
            nnz += len(terms)
    facts = {"vocabulary_size": vocabulary_size, "nnz": nnz}
    (unfinished / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
