"""Measure the gain and the cost of reranking.

    python benchmarks/rerank.py [COLLECTION...] [--rerank KIND=MODEL ...] [--depth N] [--queries N]
        [--quick] [--json]

Collections and their indexes are those of `pipelines.py`. KIND is one of cross-encoder, dense and
late-interaction; MODEL is a folder. Each reranker reranks the default pipeline on one core.

To limit the run time, --queries of each collection are measured, evenly spaced among the judged
ones, and --depth documents of each are reranked. Figures: nDCG@10, R@100, and milliseconds per
query with the first stage.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from lexpand import Qrels, Query, Retriever, evaluate
from lexpand.data import collection_path
from lexpand.experiments import DenseReranker, LateInteractionReranker
from lexpand.search import CrossEncoder, RerankingRetriever
from pipelines import judged, opened

_K = 100

KINDS = {
    "cross-encoder": CrossEncoder,
    "dense": DenseReranker,
    "late-interaction": LateInteractionReranker,
}


def measured(retriever: Retriever, queries: list[Query], qrels: Qrels) -> dict[str, float]:
    """Return nDCG@10 and R@100 of the queries, and milliseconds per query."""
    start = time.perf_counter()
    run = retriever.run(queries, _K)
    milliseconds = 1e3 * (time.perf_counter() - start) / len(queries)
    return {**evaluate(run, qrels, ["nDCG@10", "R@100"]), "ms": milliseconds}


def sampled(queries: list[Query], qrels: Qrels, count: int) -> tuple[list[Query], Qrels]:
    """Return evenly spaced queries and their judgments."""
    places = np.linspace(0, len(queries) - 1, min(count, len(queries))).astype(int)
    chosen = [queries[place] for place in places]
    return chosen, Qrels({query.query_id: qrels.judgments[query.query_id] for query in chosen})


def main() -> None:
    """Measure all pipelines and rerankers and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "collections", nargs="*", type=Path, metavar="COLLECTION", help="BEIR folders"
    )
    parser.add_argument(
        "--rerank", action="append", default=[], metavar="KIND=MODEL", help="a reranker; repeatable"
    )
    parser.add_argument("--depth", type=int, default=20, help="documents to rerank (20)")
    parser.add_argument("--queries", type=int, default=50, help="queries of each collection (50)")
    parser.add_argument("--quick", action="store_true", help="5 queries and 5 documents")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    options = parser.parse_args()
    if options.quick:
        options.queries, options.depth = 5, 5
    chosen = (text.partition("=") for text in options.rerank)
    rerankers = {kind: KINDS[kind].load(model, threads=1) for kind, _, model in chosen}
    rows: list[dict[str, Any]] = []
    for folder in [collection_path("scifact"), *(path.resolve() for path in options.collections)]:
        queries, qrels = sampled(*judged(folder, None), options.queries)
        with opened(folder.name, folder) as kb:
            ways = {name: kb.retriever(name) for name in ("splade", "bm25", "hybrid")}
            for kind, model in rerankers.items():
                ways[f"hybrid >> {kind}"] = RerankingRetriever(
                    ways["hybrid"], model, depth=options.depth
                )
            for name, retriever in ways.items():
                rows.append(
                    {"collection": folder.name, "way": name} | measured(retriever, queries, qrels)
                )
                print(json.dumps(rows[-1]), flush=True)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
