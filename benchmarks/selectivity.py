"""Search with a filter that few or many documents pass: latency against selectivity.

    python benchmarks/selectivity.py [--quick] [--documents N] [--queries N] [--json]

SPLADE-like vectors (splade_like.py) with a declared column ``part``, a random order of the
documents, so that ``part < x`` passes any share of them. At each share from 1e-4 to 1: exact search
and effort 0.2 with the filter known to the snapshot, search without a filter, in turn query by
query on one thread; and a filter's own time when it is new, the median of some that differ by a
document. Deleted documents are left out by the same sets. Then, so that it spoils no caches,
answers to --twin queries at each share and depth are compared with the exhaustive NumPy twin's, to
the bit.

Figures and plot are build/bench/selectivity.json and .png. The last line of --json has, by depth,
the time at the share where search takes longest over the time without a filter; of new filters the
largest median of a share and the longest of all; and ``exact``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand import Index, SparseVectors
from lexpand.data import Document
from peers.lexpand import sparse_vectors, vector_space
from retrieval import data
from retrieval.drawing import draw
from retrieval.vectors import Vectors

_ROOT = Path(__file__).parents[1]
_SHARES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.6, 1.0)
_DEPTHS = (10, 1_000)
_SLICE = 50_000

_NEW = 9
"""New filters that are timed at each share."""

Way = Callable[[SparseVectors, int], Any]


def build(path: Path, documents: Vectors, parts: NDArray[np.int64]) -> None:
    """The index: ids, the column, no texts."""
    shutil.rmtree(path, ignore_errors=True)
    with Index.create(
        path, vector_space(documents.vocabulary_size), columns={"part": "integer"}
    ) as index:
        for first, rows in documents.slices(_SLICE):
            numbers = range(first, first + len(rows[0]) - 1)
            made = [Document(str(i), "", metadata={"part": int(parts[i])}) for i in numbers]
            index.add(made, sparse_vectors(rows, documents.vocabulary_size))
        index.commit()


def milliseconds(ways: dict[str, Way], queries: list[SparseVectors], k: int) -> dict[str, float]:
    """Mean of each way, in turn, query by query."""
    seconds = dict.fromkeys(ways, 0.0)
    for query in queries:
        for name, search in ways.items():
            start = time.perf_counter()
            search(query, k)
            seconds[name] += time.perf_counter() - start
    return {name: 1e3 * taken / len(queries) for name, taken in seconds.items()}


def at_share(index: Index, share: float, queries: list[SparseVectors]) -> dict[str, Any]:
    """Milliseconds of each way at each depth, and of filters that are new."""
    new = []
    for more in range(_NEW):
        start = time.perf_counter()
        index.search(queries[0], 0, filter=passing(index, share, more))
        new.append(1e3 * (time.perf_counter() - start))
    text = passing(index, share)
    ways: dict[str, Way] = {
        "exact": lambda query, k: index.search(query, k, filter=text),
        "effort 0.2": lambda query, k: index.search(query, k, filter=text, effort=0.2),
        "exact, without a filter": lambda query, k: index.search(query, k),
    }
    ms = {k: milliseconds(ways, queries, k) for k in _DEPTHS}
    return {"new_filter_ms": statistics.median(new), "longest_new_filter_ms": max(new), "ms": ms}


def passing(index: Index, share: float, more: int = 0) -> str:
    """The filter that a share of the documents passes, and some more documents."""
    return f"part < {max(1, round(share * len(index))) + more}"


def agrees(index: Index, share: float, queries: SparseVectors) -> bool:
    """Whether answers with the filter are the twin's, to the bit."""
    text = passing(index, share)
    twin = index.search(queries, max(_DEPTHS), filter=text, exhaustive=True)
    return all(
        index.search(queries, k, filter=text) == [found[:k] for found in twin] for k in _DEPTHS
    )


def panels(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For the plot: a line for each way at each depth."""
    found = []
    for k in _DEPTHS:
        lines = {name: [point["ms"][k][name] for point in points] for name in points[0]["ms"][k]}
        lines["the filter, when it is new"] = [point["new_filter_ms"] for point in points]
        found.append({"k": k, "selectivities": _SHARES, "lines": lines})
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000, help="a multiple of 50,000")
    parser.add_argument("--queries", type=int, default=200, help="of set A")
    parser.add_argument(
        "--twin", type=int, default=5, help="queries that are compared with the twin at each share"
    )
    parser.add_argument("--quick", action="store_true", help="50 queries, one for the twin")
    parser.add_argument(
        "--peers-python", type=Path, default=_ROOT / ".venv-bench" / "bin" / "python"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count, twin = (50, 1) if options.quick else (options.queries, options.twin)
    collection = data.like(_ROOT / "build" / "bench" / "collections", options.documents)
    asked = Vectors(collection.query_sets["A"])
    queries = [sparse_vectors(asked.rows(i, i + 1), asked.vocabulary_size) for i in range(count)]
    path = _ROOT / "build" / "bench" / "selectivity.index"
    build(path, collection.documents, np.random.default_rng(11).permutation(options.documents))
    points = []
    with Index.open(path) as index:
        index.search(
            queries[0], 0, filter="part < 0"
        )  # the first search of a process imports what it needs
        for share in _SHARES:
            points.append(at_share(index, share, queries))
            shown = "  ".join(f"k = {k} {points[-1]['ms'][k]['exact']:7.2f} ms" for k in _DEPTHS)
            print(
                f"{share:8.2%} pass: exact {shown}   new filter {points[-1]['new_filter_ms']:.2f} ms",
                flush=True,
            )
        compared = SparseVectors.concatenate(queries[:twin])
        exact = all(agrees(index, share, compared) for share in _SHARES)
    shutil.rmtree(path)
    figures = path.with_suffix(".json")
    figures.write_text(
        json.dumps({"documents": options.documents, "panels": panels(points)}), encoding="utf-8"
    )
    print(draw("plot_selectivity", figures, options.peers_python.absolute()))
    if options.json:
        slowest = {
            f"slowest_over_unfiltered_k{k}": max(
                point["ms"][k]["exact"] / point["ms"][k]["exact, without a filter"]
                for point in points
            )
            for k in _DEPTHS
        }
        new = {
            name: max(point[name] for point in points)
            for name in ("new_filter_ms", "longest_new_filter_ms")
        }
        print(json.dumps({"documents": options.documents, **slowest, **new, "exact": exact}))


if __name__ == "__main__":
    main()
