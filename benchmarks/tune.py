"""Tune on half of the judged queries of a collection, and measure on the other half.

    python benchmarks/tune.py DATA [--only NAME...] [--seeds N] [--random] [--work DIR] [--quick]
        [--json]

DATA has the collections as BEIR folders. For each collection and seed, the judged queries are split
into two halves. `lexpand.experiments.tuning.tune` sees one half, and nDCG@10 of the default
pipeline and of its result is measured on the other; then the halves change places. A refused choice
counts as a gain of 0. p is of a paired randomization test on the queries that were not seen.

--random replaces the judgments: for each query, three documents among the first 20 of BM25 and of
the model. Then nothing is better, so the share of accepted choices is the rate of false claims.

Indexes are built once and kept in ``build/tune``, or the folder of --work. --quick takes the two
smallest collections and one seed. The last line of --json has every figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import lexpand
from lexpand import Collection, Qrels
from lexpand.data import JudgedQueries, read_judged
from lexpand.evaluation import compare_means
from lexpand.experiments.evaluating import evaluate_collection
from lexpand.experiments.tuning import tune
from lexpand.experiments.tuning_space import described
from measured_model import MODEL

COLLECTIONS = (
    *("scifact", "nfcorpus", "cranfield", "cisi", "msmarco-5k-sample", "support-a"),
    "identifiers",
)
SMALLEST = ("support-a", "cisi")
WORK = Path(__file__).parents[1] / "build" / "tune"
MEASURE = "nDCG@10"


@dataclass(frozen=True)
class Figures:
    """One tuning: what it said of the queries it saw, and what the others say."""

    collection: str
    seed: int
    seen: int
    unseen: int
    accepted: bool
    pipeline: str
    claimed: float
    claimed_p: float
    gain: float
    p: float
    refused_gain: float
    seconds: float


def half(judged: JudgedQueries, places: np.ndarray) -> JudgedQueries:
    """Return the queries at these places, with their judgments."""
    queries = tuple(judged.judged[place] for place in sorted(places.tolist()))
    qrels = {query.query_id: judged.qrels.judgments[query.query_id] for query in queries}
    return replace(judged, queries=queries, qrels=Qrels(qrels))


def with_relevant(judged: JudgedQueries) -> JudgedQueries:
    """Return the queries that have a relevant document."""
    grades = judged.qrels.judgments
    kept = [
        place
        for place, query in enumerate(judged.judged)
        if max(grades[query.query_id].values(), default=0) >= 1
    ]
    return half(judged, np.array(kept))


def with_random_judgments(kb: Collection, judged: JudgedQueries, seed: int) -> JudgedQueries:
    """Return the queries with random documents of two pipelines as the relevant ones."""
    random = np.random.default_rng(seed)
    texts = [query.text for query in judged.judged]
    runs = [kb.retriever(name).rank(texts, 20) for name in ("bm25", "splade")]
    qrels = {}
    for query, *found in zip(judged.judged, *runs, strict=True):
        ids = sorted({doc_id for matches in found for doc_id in matches.doc_ids})
        qrels[query.query_id] = {str(doc_id): 1 for doc_id in random.permutation(ids)[:3]}
    return replace(judged, qrels=Qrels(qrels))


def figures_of(
    kb: Collection, name: str, seed: int, seen: JudgedQueries, unseen: JudgedQueries
) -> Figures:
    """Tune on the queries that are seen, and measure on the others."""
    tuned = tune(kb, seen, MEASURE, seed=seed)
    values = [
        evaluate_collection(kb, unseen, [MEASURE], pipeline=each, cost=False).evaluation.values[
            MEASURE
        ]
        for each in (tuned.default, tuned.proposed)
    ]
    found = compare_means(*values, seed=seed)
    claimed = tuned.comparison
    return Figures(
        name,
        seed,
        len(seen.queries),
        len(unseen.queries),
        tuned.accepted,
        described(tuned.proposed),
        0.0 if claimed is None else claimed.difference,
        1.0 if claimed is None or tuned.p is None else max(claimed.p, tuned.p),
        found.difference if tuned.accepted else 0.0,
        found.p if tuned.accepted else 1.0,
        0.0 if tuned.accepted else found.difference,
        tuned.seconds,
    )


def measured(name: str, folder: Path, work: Path, seeds: int, random: bool) -> Iterator[Figures]:
    """Yield the figures of a collection, two for each seed."""
    with lexpand.create(
        work / f"{name}.index", folder, model=MODEL, exist="open", show_progress=True
    ) as kb:
        judged = with_relevant(read_judged(folder))
        for seed in range(seeds):
            source = with_random_judgments(kb, judged, seed) if random else judged
            chance = np.random.default_rng([seed, zlib.crc32(name.encode())])
            order = chance.permutation(len(source.queries))
            first, second = (half(source, each) for each in np.array_split(order, 2))
            yield figures_of(kb, name, seed, first, second)
            yield figures_of(kb, name, seed, second, first)


def summary(found: list[Figures]) -> dict[str, float]:
    """Return the figures of a collection, over all of its halves."""
    return {
        "tunings": len(found),
        "queries": statistics.mean(each.seen for each in found),
        "accepted": sum(each.accepted for each in found),
        "mean_gain": statistics.mean(each.gain for each in found),
        "significantly_better": sum(each.gain > 0 and each.p < 0.05 for each in found),
        "significantly_worse": sum(each.gain < 0 and each.p < 0.05 for each in found),
        "gain_of_all_choices": statistics.mean(each.gain + each.refused_gain for each in found),
        "claimed_gain": statistics.mean(each.claimed for each in found),
        "seconds": statistics.mean(each.seconds for each in found),
    }


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the collections")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="collections (all seven)")
    parser.add_argument("--seeds", type=int, default=3, help="divisions into halves (3)")
    parser.add_argument("--random", action="store_true", help="with random judgments")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the indexes")
    parser.add_argument("--quick", action="store_true", help="two small collections, one seed")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    options = parser.parse_args()
    names = options.only or (SMALLEST if options.quick else COLLECTIONS)
    options.work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, float]] = {}
    rows: list[Figures] = []
    for name in names:
        seeds = 1 if options.quick else options.seeds
        found = []
        for row in measured(name, options.data / name, options.work, seeds, options.random):
            found.append(row)
            print(json.dumps(asdict(row)), file=sys.stderr, flush=True)
        rows += found
        figures[name] = summary(found)
        shown = ", ".join(f"{key} {value:.4g}" for key, value in figures[name].items())
        print(f"{name}: {shown}", flush=True)
    if options.json:
        print(json.dumps({"collections": figures, "tunings": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
