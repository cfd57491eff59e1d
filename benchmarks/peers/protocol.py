"""What a system under measurement must do, and the loop that asks it.

Times are taken here, around the system's search call alone.
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

from conversation import answer, status_bytes
from retrieval.vectors import Vectors

Query = TypeVar("Query")
Found = TypeVar("Found")
Settings = dict[str, Any]


class Peer(ABC, Generic[Query, Found]):
    """A system. A query is first put into the form that its search call takes, which is not timed."""

    package: str

    def version(self) -> str:
        """Of the package."""
        return importlib.metadata.version(self.package)

    def stage(self, documents: Vectors, path: Path) -> None:
        """What must lie ready before `build`, such as a file in the system's own format; not timed."""

    @abstractmethod
    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Make an index on disk at ``path``, which does not exist; its parent does. Document ids are the rows."""

    @abstractmethod
    def open(self, path: Path, documents: int, threads: int) -> None:
        """Open it for searching."""

    @abstractmethod
    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> Query:
        """The query in the form that `search` takes."""

    @abstractmethod
    def search(self, query: Query, k: int, settings: Settings) -> Found:
        """The call that is timed."""

    @abstractmethod
    def rows(self, found: Found) -> list[int]:
        """The documents found, best first."""

    def timed(self, query: Query, k: int, settings: Settings) -> tuple[float, list[int]]:
        """Seconds of one search, and what it found."""
        start = time.perf_counter()
        found = self.search(query, k, settings)
        return time.perf_counter() - start, self.rows(found)

    def timed_batch(
        self, queries: list[Query], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Seconds for all queries on ``threads`` threads; a library without such a call gets Python's threads."""
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda query: self.search(query, k, settings), queries))
        return time.perf_counter() - start, [self.rows(each) for each in found]

    def figures(self, path: Path) -> dict[str, float]:
        """More about an index: its bytes, unless the system knows better."""
        return {"bytes": size_of(path)}

    def cpu_seconds(self) -> float:
        """Of this process so far, all threads."""
        return time.process_time()

    def peak_bytes(self) -> int:
        """Largest resident set so far, mapped pages counted; 0 where the platform does not say."""
        return status_bytes("self", "VmHWM")

    def close(self) -> None:
        """The last call; an index that was opened may be released."""


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def remove(path: Path) -> None:
    """Removes a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _Conversation:
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
        """A call that only this peer knows; it returns a dictionary."""
        result: dict[str, Any] = getattr(self.peer, name)(**arguments)
        return result


def serve(peer: Peer[Any, Any]) -> None:
    """Answer requests until there are no more."""
    answer(_Conversation(peer), peer.close)
