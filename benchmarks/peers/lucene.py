"""Lucene with impacts, as Anserini searches learned sparse vectors.

It is exact over weights rounded to hundredths. LuceneServer.java runs the searches, started with
``java``. The environment variable LUCENE_JAR is the path of lucene-core's jar. Times are taken
inside the virtual machine, after all queries have run twice for its compiler.
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
    """The peer Lucene.

    A query is its number among all prepared queries, which are sent at the first search.
    """

    def __init__(self) -> None:
        jar, java = os.environ.get("LUCENE_JAR", ""), shutil.which("java")
        if not Path(jar).is_file() or java is None:
            raise FileNotFoundError(
                "Lucene needs java on PATH and LUCENE_JAR, the path of lucene-core's jar"
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
        self._sent = 0

    def version(self) -> str:
        """Return the version in the name of the jar."""
        return Path(self._jar).stem.removeprefix("lucene-core-")

    def build(self, documents: Vectors, path: Path, settings: Settings, threads: int) -> None:
        """Build an index with one segment."""
        self._request("build", str(documents.folder), str(path))

    def open(self, path: Path, documents: int, threads: int) -> None:
        """Open the index, which Lucene maps."""
        self._index = path
        self._request("open", str(path))

    def prepare(self, terms: NDArray[np.uint32], weights: NDArray[np.float32]) -> int:
        """Keep the query until the first search and return its number."""
        self._queries.append((terms, weights))
        return len(self._queries) - 1

    def search(self, query: int, k: int, settings: Settings) -> list[int]:
        """Run one query."""
        return self.timed(query, k, settings)[1]

    def rows(self, found: list[int]) -> list[int]:
        """Return Lucene's document numbers, which are rows because there is one segment."""
        return found

    def timed(self, query: int, k: int, settings: Settings) -> tuple[float, list[int]]:
        """Return seconds as measured in the virtual machine, and rows."""
        if self._sent != len(self._queries):
            self._send_queries()
        nanoseconds, *rows = self._request("search", str(query), str(k))
        return int(nanoseconds) / 1e9, [int(row) for row in rows]

    def timed_batch(
        self, queries: list[int], k: int, settings: Settings, threads: int
    ) -> tuple[float, list[list[int]]]:
        """Raise NotImplementedError: Lucene has no batch call."""
        raise NotImplementedError("Lucene is measured on one thread")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the virtual machine."""
        (nanoseconds,) = self._request("cpu")
        return int(nanoseconds) / 1e9

    def peak_bytes(self) -> int:
        """Return the peak of the virtual machine: mapped pages and the heap, with garbage."""
        return status_bytes(self._process.pid, "VmHWM")

    def close(self) -> None:
        """End the virtual machine."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _send_queries(self) -> None:
        starts = np.cumsum([0, *(len(terms) for terms, _ in self._queries)])
        terms, weights = (np.concatenate([query[i] for query in self._queries]) for i in (0, 1))
        folder = self._index.parent / f"lucene-queries-{os.getpid()}"
        write_vectors(folder, [(starts, terms, weights)], 0)
        self._request("load", str(folder))
        shutil.rmtree(folder)
        self._sent = len(self._queries)
        for _ in range(2):
            for query in range(self._sent):
                self._request("search", str(query), "10")

    def _request(self, *words: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"java ended with exit code {self._process.wait()} during {words[0]!r}"
            )
        return answer.rstrip("\n").split("\t")[1:]


if __name__ == "__main__":
    serve(Lucene())
