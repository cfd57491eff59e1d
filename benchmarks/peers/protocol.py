"""The interface of a system under measurement, and the loop that answers requests.

Times are taken here, around the search call of the system alone.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from conversation import answer_requests, status_bytes
from retrieval.vectors import Vectors

Query = TypeVar("Query")
Found = TypeVar("Found")
Settings = dict[str, Any]


class Peer(ABC, Generic[Query, Found]):
    """A system under measurement.

    `prepare` converts a query to the form of the search call. It is not timed.
    """

    package: str

    def version(self) -> str:
        """Return the version of the package."""
        return importlib.metadata.version(self.package)

    def stage(self, documents: Vectors, path: Path) -> None:
        """Prepare `build`, for example by writing a file in the system's format; not timed."""

    @abstractmethod
    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Write an index to ``path``, which does not exist; its parent does.

        Document ids are row numbers.
        """

    @abstractmethod
    def open(self, path: Path, documents: int, threads: int) -> None:
        """Open an index for searching."""

    @abstractmethod
    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> Query:
        """Convert a query to the form that `search` takes."""

    @abstractmethod
    def search(self, query: Query, k: int, settings: Settings) -> Found:
        """Search for one query. This call is timed."""

    @abstractmethod
    def rows(self, found: Found) -> list[int]:
        """Return the rows of the documents found, best first."""

    def timed(self, query: Query, k: int, settings: Settings) -> tuple[float, list[int]]:
        """Return the seconds of one search, and the rows found."""
        start = time.perf_counter()
        found = self.search(query, k, settings)
        return time.perf_counter() - start, self.rows(found)

    def timed_batch(
        self, queries: list[Query], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Return the seconds for all queries on ``threads`` threads, and the rows found.

        The default uses threads of Python, for libraries without a batch call.
        """
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda query: self.search(query, k, settings), queries))
        return time.perf_counter() - start, [self.rows(each) for each in found]

    def figures(self, path: Path) -> dict[str, float]:
        """Return figures of an index, at least its ``bytes``. The default counts its files."""
        return {"bytes": size_of(path)}

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of this process so far, all threads."""
        return time.process_time()

    def peak_bytes(self) -> int:
        """Return the peak resident set with mapped pages; 0 if the platform does not report it."""
        return status_bytes("self", "VmHWM")

    def close(self) -> None:
        """Release the index. This is the last call."""


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _Requests:
    def __init__(self, peer: Peer[Any, Any]) -> None:
        self.peer = peer
        self.queries: dict[str, list[Any]] = {}

    def hello(self) -> dict[str, Any]:
        return {"version": self.peer.version()}

    def build(self, documents: str, path: str, settings: Settings, threads: int) -> dict[str, Any]:
        vectors, target = Vectors(Path(documents)), Path(path)
        remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.peer.stage(vectors, target)
        cpu, wall = self.peer.cpu_seconds(), time.perf_counter()
        self.peer.build(vectors, target, settings, threads)
        cpu, wall = self.peer.cpu_seconds() - cpu, time.perf_counter() - wall
        figures = self.peer.figures(target)
        return {
            "cpu_seconds": cpu,
            "wall_seconds": wall,
            "peak_bytes": self.peer.peak_bytes(),
            **figures,
        }

    def open(self, path: str, documents: int, threads: int) -> dict[str, Any]:
        start = time.perf_counter()
        self.peer.open(Path(path), documents, threads)
        return {"seconds": time.perf_counter() - start}

    def load(self, name: str, folder: str, limit: int) -> dict[str, Any]:
        singles = Vectors(Path(folder)).singles()[:limit]
        self.queries[name] = [self.peer.prepare(terms, weights) for terms, weights in singles]
        return {"queries": len(singles)}

    def search(self, name: str, first: int, end: int, k: int, settings: Settings) -> dict[str, Any]:
        answers = [self.peer.timed(query, k, settings) for query in self.queries[name][first:end]]
        return {
            "seconds": [seconds for seconds, _ in answers],
            "rows": [rows for _, rows in answers],
        }

    def batch(
        self, name: str, first: int, end: int, k: int, settings: Settings, threads: int
    ) -> dict[str, Any]:
        seconds, rows = self.peer.timed_batch(self.queries[name][first:end], k, settings, threads)
        return {"seconds": seconds, "rows": rows}

    def memory(self) -> dict[str, Any]:
        return {
            "peak_bytes": self.peer.peak_bytes(),
            "anonymous_bytes": status_bytes("self", "RssAnon"),
        }

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that only this peer has; it returns a dictionary."""
        result: dict[str, Any] = getattr(self.peer, name)(**arguments)
        return result


def serve(peer: Peer[Any, Any]) -> None:
    """Answer requests until standard input ends."""
    answer_requests(_Requests(peer), peer.close)
