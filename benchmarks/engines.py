"""Push vectors to a cluster, against the bulk helper of the engine's own Python client.

    python benchmarks/engines.py URL [--vectors N] [--rounds N] [--quick] [--json]

URL is a cluster of Elasticsearch, such as http://localhost:9200; its indexes whose names begin with
``lexpand-benchmark`` are dropped. N vectors like those of SPLADE (`splade_like.py`) are pushed by
`lexpand.engines.push` from an index, and by ``helpers.parallel_bulk`` from bodies that are ready in
memory, in turns, with as many requests at a time. Before, the helper pushes a fifth of them, which
is not measured: it compiles the Java code of the node. Each round begins with the other one. Then
rankings are verified, and the latency of a query is compared with that of the local index.

Needs `pip install elasticsearch` of the cluster's major version. --quick pushes 5,000 vectors. The
last line of --json has the figures: ``push_vs_helper`` is the ratio of the rates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lexpand import Document, Index, SparseVectors
from lexpand.data import ModelId, VectorSpace, Vocabulary
from lexpand.engines import Connection, LuceneEngine, push
from lexpand.engines.records import records_of
from lexpand.engines.targets import Fields
from splade_like import CHUNK, VOCABULARY_SIZE, World, documents_chunk, queries

MODEL = ModelId("splade-like", "0" * 64)

_THREADS = 4
_CHUNK = 500
_NAME = "lexpand-benchmark"
FIELD = Fields().vector


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    count = 5_000 if arguments.quick else arguments.vectors
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as scratch:
        documents, asked = make_vectors(count)
        index = make_index(Path(scratch) / "vectors.index", documents)
        bodies = [_body(record) for record in records_of(index)]
        rates: dict[str, list[float]] = {"push": [], "helper": []}
        fresh(arguments.url)
        by_helper(arguments.url, bodies[: count // 5])
        for turn in range(rounds):
            for name in ("push", "helper") if turn % 2 == 0 else ("helper", "push"):
                engine = fresh(arguments.url)
                work = partial(push, index, engine, threads=_THREADS)
                if name == "helper":
                    work = partial(by_helper, arguments.url, bodies)
                rates[name].append(count / timed(work))
                print(f"round {turn + 1}: {name} {rates[name][-1]:,.0f}/s", file=sys.stderr)
        engine = fresh(arguments.url)
        push(index, engine, threads=_THREADS)
        figures = {
            "vectors": count,
            "push_per_second": statistics.median(rates["push"]),
            "helper_per_second": statistics.median(rates["helper"]),
            **compared(index, engine, asked),
        }
        engine.drop()
    figures["push_vs_helper"] = figures["push_per_second"] / figures["helper_per_second"]
    if arguments.json:
        print(json.dumps({key: round(value, 4) for key, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:,.4f}")


def make_vectors(count: int) -> tuple[SparseVectors, SparseVectors]:
    """Return ``count`` documents and 100 queries like those of SPLADE."""
    world = World.make()
    parts, first = [], None
    for number in range(-(-count // CHUNK)):
        rows, themes = documents_chunk(world, number, min(CHUNK, count - number * CHUNK))
        first = first or (rows, themes)
        parts.append(vectors_of(rows))
    assert first is not None
    return SparseVectors.concatenate(parts), vectors_of(queries(world, *first, 25, 1, 100))


def vectors_of(rows: Any) -> SparseVectors:
    """Return CSR arrays as vectors."""
    indptr, terms, weights = rows
    return SparseVectors(indptr, terms, weights.astype(np.float32), VOCABULARY_SIZE, MODEL)


def make_index(path: Path, vectors: SparseVectors) -> Index:
    """Return an index of vectors, without texts."""
    terms = Vocabulary([f"t{i}" for i in range(VOCABULARY_SIZE)])
    index = Index.create(path, VectorSpace(MODEL, terms))
    for first in range(0, len(vectors), 5_000):
        rows = vectors[np.arange(first, min(len(vectors), first + 5_000))]
        index.add([Document(f"d{first + i}", "") for i in range(len(rows))], rows)
    index.commit()
    return index


def fresh(url: str) -> LuceneEngine:
    """Return an engine on an index that does not exist."""
    engine = LuceneEngine(Connection(url), _NAME)
    engine.drop()
    return engine


def timed(work: Any) -> float:
    """Return the seconds that a function takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_helper(url: str, bodies: list[dict[str, Any]]) -> None:
    """Push bodies with the client's own helper."""
    from elasticsearch import Elasticsearch, helpers

    client = Elasticsearch(url, request_timeout=120, meta_header=False)
    client.indices.create(
        index=_NAME,
        mappings={
            "dynamic": False,
            "properties": {
                "doc_id": {"type": "keyword"},
                "passage": {"type": "integer"},
                FIELD: {"type": "sparse_vector", "index_options": {"prune": False}},
            },
        },
    )
    deque(
        helpers.parallel_bulk(
            client, iter(bodies), index=_NAME, thread_count=_THREADS, chunk_size=_CHUNK
        ),
        maxlen=0,
    )
    client.indices.refresh(index=_NAME)


def compared(index: Index, engine: LuceneEngine, queries: SparseVectors) -> dict[str, float]:
    """Return overlap with exact search, and the median milliseconds of a query."""
    times: dict[str, list[float]] = {"engine_ms": [], "local_ms": []}
    overlaps = []
    for place in range(len(queries)):
        query = queries[np.array([place])]
        start = time.perf_counter()
        (there,) = engine.search_vectors(query, 10)
        middle = time.perf_counter()
        (here,) = index.search(query, 10)
        times["engine_ms"].append((middle - start) * 1e3)
        times["local_ms"].append((time.perf_counter() - middle) * 1e3)
        overlaps.append(len(set(there.doc_ids) & set(here.doc_ids)) / max(1, len(here)))
    return {
        "overlap": float(np.mean(overlaps)),
        **{name: statistics.median(values) for name, values in times.items()},
    }


def _body(record: Any) -> dict[str, Any]:
    return {
        "_id": record.record_id,
        "doc_id": record.doc_id,
        "passage": record.passage,
        FIELD: record.vector(),
    }


if __name__ == "__main__":
    main()
