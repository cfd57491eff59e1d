"""Lucene with impacts, as Anserini searches learned sparse vectors; exact over weights rounded to hundredths.

LuceneServer.java does it, started with ``java``; the environment variable LUCENE_JAR names
lucene-core's jar. Its times are taken inside the virtual machine, after all queries were run twice
for its compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peers.protocol import Peer, Settings, serve, status_bytes
from retrieval.vectors import Vectors, write_vectors


class Lucene(Peer[int, list[int]]):
    """The peer. A query is its number among all that were prepared; they are handed over at the first search."""

    def __init__(self) -> None:
        jar, java = os.environ.get("LUCENE_JAR", ""), shutil.which("java")
        if not Path(jar).is_file() or java is None:
            raise FileNotFoundError(
                "Lucene needs java and LUCENE_JAR, the path of lucene-core's jar"
            )
        self._jar = jar
        source = Path(__file__).with_name("LuceneServer.java")
        heap = f"-Xmx{os.environ.get('LUCENE_HEAP', '4g')}"
        command = [
            java,
            heap,
            "-XX:ActiveProcessorCount=" + os.environ["OMP_NUM_THREADS"],
            "-cp",
            jar,
            str(source),
        ]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self._index = Path()
        self._queries: list[tuple[NDArray[np.uint32], NDArray[np.float32]]] = []
        self._handed = 0

    def version(self) -> str:
        """From the jar's name."""
        return Path(self._jar).stem.removeprefix("lucene-core-")

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """One segment."""
        self._ask("build", str(documents.folder), str(path))

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Mapped, as Lucene does."""
        self._index = path
        self._ask("open", str(path))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> int:
        """Kept until the first search."""
        self._queries.append((terms, weights))
        return len(self._queries) - 1

    def search(self, query: int, k: int, settings: Settings) -> list[int]:
        """One query, untimed."""
        return self.timed(query, k, settings)[1]

    def rows(self, found: list[int]) -> list[int]:
        """One segment: Lucene's numbers are rows."""
        return found

    def timed(self, query: int, k: int, settings: Settings) -> tuple[float, list[int]]:
        """Seconds as the virtual machine measured them."""
        if self._handed != len(self._queries):
            self._hand_over()
        nanoseconds, *rows = self._ask("search", str(query), str(k))
        return int(nanoseconds) / 1e9, [int(row) for row in rows]

    def timed_batch(
        self, queries: list[int], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """There is none here."""
        raise NotImplementedError("Lucene is measured on one thread")

    def cpu_seconds(self) -> float:
        """Of the virtual machine."""
        (nanoseconds,) = self._ask("cpu")
        return int(nanoseconds) / 1e9

    def peak_bytes(self) -> int:
        """Of the virtual machine: mapped pages and its heap, which it may leave uncollected."""
        return status_bytes(self._process.pid, "VmHWM")

    def close(self) -> None:
        """Ends the virtual machine."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _hand_over(self) -> None:
        starts = np.cumsum([0, *(len(terms) for terms, _ in self._queries)])
        terms, weights = (np.concatenate([query[i] for query in self._queries]) for i in (0, 1))
        folder = self._index.parent / f"lucene-queries-{os.getpid()}"
        write_vectors(folder, [(starts, terms, weights)], 0)
        self._ask("load", str(folder))
        shutil.rmtree(folder)
        self._handed = len(self._queries)
        for _ in range(2):
            for query in range(self._handed):
                self._ask("search", str(query), "10")

    def _ask(self, *words: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"java ended with {self._process.wait()} at {words[0]}")
        return answer.rstrip("\n").split("\t")[1:]


if __name__ == "__main__":
    serve(Lucene())
