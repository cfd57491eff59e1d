"""Compare the named pipelines: quality on judged collections, latency on one large index.

    python benchmarks/pipelines.py [COLLECTION...] [--passages FILE --queries FILE] [--quick]
        [--json]

COLLECTION is a BEIR folder with ``qrels/test*``. SciFact, which is packaged, is always measured.

Quality: nDCG@10 over the queries with a relevant document, for each collection and pipeline. The p
values are of a paired randomization test against BM25 and against the model alone. If queries have
a field ``kind`` (identifiers), the share of queries of each kind whose first hit is relevant is
measured too.

Depth: the share of queries for which a smaller fusion depth changes the ten best of the default.

Latency: from words to hits with their texts, one query at a time, the pipelines in turn, over the
passages of a JSON lines file (or SciFact). p50 and p95 are of the second pass. Indexes are built
once and kept in ``build/pipelines``.

--quick uses only SciFact and 100 of its queries. The last line of --json has every figure.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import lexpand
from lexpand import Collection, Qrels, Query, read_queries
from lexpand.data import collection_path
from lexpand.evaluation import compare_means, evaluate_queries
from lexpand.search.pipeline import DEFAULT, NAMED
from measured_model import MODEL

ROOT = Path(__file__).parents[1] / "build" / "pipelines"
DEPTHS = (100, 200, 500)


def opened(name: str, source: Path) -> Collection:
    """Open the index of a source, or create it."""
    ROOT.mkdir(parents=True, exist_ok=True)
    return lexpand.create(
        ROOT / f"{name}.index", source, model=MODEL, exist="open", show_progress=True
    )


def judged(folder: Path, limit: int | None) -> tuple[list[Query], Qrels]:
    """Return the judged queries of a BEIR folder, at most ``limit``, and the judgments."""
    (file,) = sorted((folder / "qrels").glob("test*"))
    qrels = Qrels.read(file)
    return list(
        islice((q for q in read_queries(folder) if q.query_id in qrels.judgments), limit)
    ), qrels


def kinds(folder: Path) -> dict[str, str]:
    """Return the kind of each query that has one."""
    path = next(folder.glob("queries.jsonl*"))
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    found = {row["_id"]: row.get("kind") or row.get("metadata", {}).get("kind") for row in rows}
    return {query_id: kind for query_id, kind in found.items() if kind}


def quality(
    kb: Collection, queries: list[Query], qrels: Qrels, kind_of: dict[str, str]
) -> dict[str, Any]:
    """Measure nDCG@10 of each pipeline, p values, and the share of relevant first hits by kind."""
    qrels = Qrels({query.query_id: qrels.judgments[query.query_id] for query in queries})
    values: dict[str, dict[str, float]] = {}
    facts: dict[str, Any] = {}
    for name in ("bm25", "splade", *(n for n in NAMED if n not in ("bm25", "splade"))):
        run = kb.retriever(name).run(queries, 100)
        values[name] = evaluate_queries(run, qrels)
        facts[name] = {"nDCG@10": statistics.fmean(values[name].values())} | {
            f"p against {other}": compare_means(values[other], values[name]).p
            for other in ("bm25", "splade")
            if other in values and other != name
        }
        if kind_of:
            ids = {query: [hit.doc_id for hit in hits] for query, hits in run.rankings.items()}
            facts[name]["top 1"] = _top_one(ids, qrels, kind_of)
    return facts


def _top_one(ids: dict[str, list[str]], qrels: Qrels, kind_of: dict[str, str]) -> dict[str, float]:
    relevant: defaultdict[str, list[bool]] = defaultdict(list)
    for query_id, found in ids.items():
        grade = qrels.judgments[query_id].get(found[0], 0) if found else 0
        relevant[kind_of.get(query_id, "")].append(grade > 0)
    return {kind: float(np.mean(hits)) for kind, hits in sorted(relevant.items())}


def depths(kb: Collection, texts: list[str]) -> dict[str, float]:
    """Return, per depth, the share of queries whose ten best differ from those of the default."""
    default = kb.retriever(DEFAULT).rank(texts, 10)
    shares = {}
    for depth in DEPTHS:
        less = kb.retriever(replace(NAMED[DEFAULT], depth=depth)).rank(texts, 10)
        differ = [some.doc_ids != best.doc_ids for some, best in zip(less, default, strict=True)]
        shares[str(depth)] = float(np.mean(differ))
    return shares


def latency(kb: Collection, texts: list[str]) -> dict[str, Any]:
    """Measure milliseconds from words to hits, pipelines in turn. The first pass warms up."""
    for _ in range(2):
        times: dict[str, list[float]] = {name: [] for name in NAMED}
        for text in texts:
            for name in NAMED:
                start = time.perf_counter()
                kb.retriever(name).search(text, 10)
                times[name].append((time.perf_counter() - start) * 1e3)
    facts: dict[str, Any] = {
        name: {"p50": statistics.median(each), "p95": float(np.percentile(each, 95))}
        for name, each in times.items()
    }
    parts = facts["splade"]["p50"] + facts["bm25"]["p50"]
    return {
        **facts,
        "hybrid by the sum of its parts": facts["hybrid"]["p50"] / parts,
        "passages": len(kb),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "collections", nargs="*", type=Path, metavar="COLLECTION", help="BEIR folders"
    )
    parser.add_argument("--passages", type=Path, help="JSON lines of documents for latency")
    parser.add_argument("--queries", type=Path, help="JSON list of queries for latency")
    parser.add_argument("--quick", action="store_true", help="SciFact and 100 queries")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    options = parser.parse_args()
    folders = {"scifact": collection_path("scifact")}
    if not options.quick:
        folders |= {folder.resolve().name: folder for folder in options.collections}
    facts: dict[str, Any] = {"quality": {}}
    for name, folder in folders.items():
        queries, qrels = judged(folder, 100 if options.quick else None)
        with opened(name, folder) as kb:
            facts["quality"][name] = quality(kb, queries, qrels, kinds(folder))
            if name == "scifact":
                facts["depth"] = depths(kb, [query.text for query in queries])
                if options.passages is None or options.quick:
                    facts["latency"] = latency(kb, [query.text for query in queries[:100]])
        print(
            name,
            {each: round(found["nDCG@10"], 4) for each, found in facts["quality"][name].items()},
            flush=True,
        )
    for pipeline in NAMED:
        means = [found[pipeline]["nDCG@10"] for found in facts["quality"].values()]
        facts.setdefault("mean", {})[pipeline] = float(np.mean(means))
    if options.passages is not None and not options.quick:
        texts = json.loads(options.queries.read_text(encoding="utf-8"))[:300]
        with opened(options.passages.stem, options.passages) as kb:
            facts["latency"], facts["depth"] = latency(kb, texts), depths(kb, texts)
    for name, found in facts.items():
        print(name, json.dumps(found, indent=1))
    if options.json:
        sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
