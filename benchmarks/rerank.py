"""What does each step of a pipeline gain: vectors, words, both, two steps, reranking?

    python benchmarks/rerank.py [COLLECTION...] [--rerank KIND=MODEL ...] [--depth N] [--queries N] [--quick] [--json]

Collections are BEIR folders, indexed as by `hybrid.py`; SciFact comes with Lexpand and is always one. KIND is one of
cross-encoder, dense and late-interaction, MODEL a folder; each reranks the hybrid (half and half by z-scores). For
time's sake N queries of a collection are asked (50), evenly from the judged test queries, and N documents of each are
reranked (20), on one core. nDCG@10 and R@100; milliseconds of reranking a query, first stage included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from fusion.collection import Collection, opened
from lexpand import Encoder, Qrels, Retriever, SparseRetriever, WordRetriever
from lexpand.data import collection_path
from lexpand.index import TwoStep
from lexpand.search import RerankingRetriever
from lexpand.search.parts import Rerank, RerankerKind

_K = 100


def ways(collection: Collection, encoder: Encoder, rerankers: dict[str, Any], depth: int) -> dict[str, Retriever]:
    """All retrievers over one collection."""
    sparse, words = SparseRetriever(collection.index, encoder), WordRetriever(collection.index)
    both = sparse + words
    return {
        "splade": sparse,
        "bm25": words,
        "hybrid": both,
        "two-step": SparseRetriever(collection.index, encoder, two_step=TwoStep()),
    } | {f"hybrid >> {name}": RerankingRetriever(both, model, depth=depth) for name, model in rerankers.items()}


def measured(collection: Collection, retriever: Retriever) -> dict[str, float]:
    """Measures of the collection's queries, and milliseconds a query."""
    texts = [query.text for query in collection.queries]
    start = time.perf_counter()
    rankings = retriever.rank(texts, _K)
    milliseconds = 1e3 * (time.perf_counter() - start) / len(texts)
    ndcg, recall = collection.measure(rankings)
    return {"nDCG@10": ndcg, "R@100": recall, "ms": milliseconds}


def sampled(collection: Collection, count: int) -> Collection:
    """The collection with some of its queries, and their judgements alone."""
    places = np.linspace(0, len(collection.queries) - 1, min(count, len(collection.queries))).astype(int)
    queries = [collection.queries[place] for place in places]
    judgements = {query.query_id: collection.qrels.judgements[query.query_id] for query in queries}
    return Collection(collection.name, collection.index, queries, Qrels(judgements))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION")
    parser.add_argument("--rerank", action="append", default=[], metavar="KIND=MODEL")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="5 queries, 5 documents")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.queries, options.depth = 5, 5
    encoder = Encoder.load(threads=1)
    chosen = (text.partition("=") for text in options.rerank)
    rerankers = {kind: Rerank(model, RerankerKind(kind)).load(1) for kind, _, model in chosen}
    rows = []
    for folder in [collection_path("scifact"), *(path.resolve() for path in options.collections)]:
        collection = sampled(opened(folder, encoder), options.queries)
        for name, retriever in ways(collection, encoder, rerankers, options.depth).items():
            row = {"collection": collection.name, "way": name} | measured(collection, retriever)
            rows.append(row)
            print(
                f"{collection.name:18} {len(collection.queries):3} queries  {name:26} nDCG@10 {row['nDCG@10']:.4f}  "
                f"R@100 {row['R@100']:.4f}  {row['ms']:8.1f} ms",
                flush=True,
            )
        collection.index.close()
    for way in dict.fromkeys(row["way"] for row in rows):
        means = [np.mean([row[name] for row in rows if row["way"] == way]) for name in ("nDCG@10", "R@100", "ms")]
        print(f"mean  {way:26} nDCG@10 {means[0]:.4f}  R@100 {means[1]:.4f}  {means[2]:8.1f} ms")
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
