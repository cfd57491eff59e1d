"""Is a search in two steps quicker than the exact one, and what does it miss?

    python benchmarks/two_step.py [COLLECTION...] [--like N] [--quick] [--json]

Collections are BEIR folders, indexed as by `hybrid.py`; SciFact comes with Lexpand and is always one. `--like` adds N
generated documents (`splade_like.py`). Queries are the judged test queries and, as *long* ones, up to 100 of the
collection's own texts, encoded as queries (of generated documents their vectors: set B, and the documents' own).

Every way answers every query alone, on one core, k = 10; the ways take turns, and of each query the quickest of five
rounds counts. Milliseconds are means over queries, of `Index.search` alone; recall is the share of one step's 10 that
a way finds, nDCG@10 is of the judged queries. `effort` is Lexpand's other way of reading less.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fusion.collection import Collection, opened
from lexpand import Document, Encoder, Index, SparseVectors
from lexpand.data import collection_path
from lexpand.encode import Pruning
from lexpand.index import Match, TwoStep
from peers.lexpand import sparse_vectors, vector_space
from retrieval import data

_ROOT = Path(__file__).parents[1] / "build" / "bench"
_K = 10
_LONG = 100
_SLICE = 20_000

WAYS: dict[str, dict[str, Any]] = {
    "one step": {},
    "effort .3": {"effort": 0.3},
    "effort .15": {"effort": 0.15},
    "ratio .4, 200": {"two_step": TwoStep(Pruning(ratio=0.4), 200)},
    "ratio .4, 50": {"two_step": TwoStep(Pruning(ratio=0.4), 50)},
    "ratio .2, 200": {"two_step": TwoStep(Pruning(ratio=0.2), 200)},
    "top 10, 200": {"two_step": TwoStep(Pruning(top=10), 200)},
    "top 20, 200": {"two_step": TwoStep(Pruning(top=20), 200)},
    "mass .5, 200": {"two_step": TwoStep(Pruning(mass=0.5), 200)},
}


@dataclass
class Queries:
    """Vectors to search an index for, and what judges the rankings, if anything does."""

    name: str
    index: Index
    vectors: SparseVectors
    judged: Collection | None = None


def real(folder: Path, encoder: Encoder) -> Iterator[Queries]:
    """Test queries and long ones of a collection."""
    collection = opened(folder, encoder)
    index = collection.index
    judged = encoder.encode_queries([query.text for query in collection.queries])
    yield Queries(f"{collection.name}, test", index, judged, collection)
    ids = list(index.doc_ids())
    chosen = ids[:: max(1, len(ids) // _LONG)][:_LONG]
    long = encoder.encode_queries([index.document(doc_id).full_text for doc_id in chosen])
    yield Queries(f"{collection.name}, long", index, long)
    index.close()


def like(count: int) -> Iterator[Queries]:
    """Queries and documents of a generated collection."""
    collection = data.like(_ROOT / "collections", count)
    documents, path = collection.documents, _ROOT / "two_step" / f"like-{count}.index"
    size = documents.vocabulary_size
    if not Index.exists(path):
        with Index.create(path, vector_space(size)) as index:
            for first, rows in documents.slices(_SLICE):
                ids = range(first, first + len(rows[0]) - 1)
                index.add([Document(str(i), "") for i in ids], sparse_vectors(rows, size))
            index.compact()
    with Index.open(path) as index:
        queries = data.Vectors(collection.query_sets["B"]).rows(0, 3 * _LONG)
        yield Queries(f"{count:,} generated, B", index, sparse_vectors(queries, size))
        yield Queries(f"{count:,} generated, long", index, sparse_vectors(documents.rows(0, _LONG), size))


def measured(queries: Queries, rounds: int) -> list[dict[str, Any]]:
    """Each way's figures; the ways take turns, query by query."""
    alone = [queries.vectors[[i]] for i in range(len(queries.vectors))]
    searches = {name: partial(queries.index.search, k=_K, **settings) for name, settings in WAYS.items()}
    seconds = {name: np.full(len(alone), np.inf) for name in WAYS}
    found: dict[str, list[Sequence[Match]]] = {}
    for _ in range(rounds):
        for name, search in searches.items():
            found[name] = []
            for i, vector in enumerate(alone):
                start = time.perf_counter()
                (matches,) = search(vector)
                seconds[name][i] = min(seconds[name][i], time.perf_counter() - start)
                found[name].append(matches)
    exact = [{match.row for match in matches} for matches in found["one step"]]
    rows = []
    for name in WAYS:
        shares = [
            len(wanted & {match.row for match in matches}) / len(wanted)
            for wanted, matches in zip(exact, found[name], strict=True)
            if wanted
        ]
        row = {"queries": queries.name, "way": name, "ms": 1e3 * float(seconds[name].mean())}
        row["recall"] = float(np.mean(shares))
        if queries.judged is not None:
            row["nDCG@10"] = queries.judged.measure(found[name])[0]
        rows.append(row)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION")
    parser.add_argument("--like", type=int, metavar="N", help="also N generated documents")
    parser.add_argument("--quick", action="store_true", help="one round instead of five")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    (_ROOT / "hybrid").mkdir(parents=True, exist_ok=True)
    (_ROOT / "two_step").mkdir(exist_ok=True)
    encoder = Encoder.load(threads=1)
    folders = [collection_path("scifact"), *(path.resolve() for path in options.collections)]
    sources = [partial(real, folder, encoder) for folder in folders]
    sources += [partial(like, options.like)] if options.like else []
    rows = []
    for source in sources:
        for queries in source():
            terms = queries.vectors.nnz / len(queries.vectors)
            print(f"\n{queries.name}: {len(queries.vectors)} queries of {terms:.0f} terms")
            for row in measured(queries, 1 if options.quick else 5):
                ndcg = f"  nDCG@10 {row['nDCG@10']:.4f}" if "nDCG@10" in row else ""
                print(f"  {row['way']:16} {row['ms']:7.3f} ms  recall {row['recall']:.4f}{ndcg}", flush=True)
                rows.append(row)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
