"""Which way of joining the model's vectors and BM25 is best, chosen on some collections and reported on another?

    python benchmarks/hybrid.py COLLECTION... [--learn] [--json]

Collections are BEIR folders with judged test queries; SciFact comes with Lexpand and is always one. Each is indexed by
the packaged model with words (kept under build/bench/hybrid). All ways of a grid (fusion, share of the model, power of
inverse document frequency, with and without feedback) rank all test queries. For each collection the way is chosen that
is best on average over the *other* collections by nDCG@10, and reported there (leaving one out); the means of these are
what a user may expect on documents of another kind. R@100 beside it. `--learn` does not run the grid: for each
collection it learns the weights from its own test queries, and prints the cross-validated estimate beside the fitted.

The last line of --json has the means of the parts and of what was chosen. Licences of collections may forbid passing
them on; none but SciFact is in the package.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lexpand import Encoder, Index, Qrels, Query, Run, ScoredDocument, ingest, read_documents, read_queries
from lexpand.data import collection_path
from lexpand.encode import WordAnalyzer
from lexpand.evaluate import evaluate
from lexpand.index import Match
from lexpand.search import (
    Feedback,
    Fusion,
    HybridRetriever,
    Pipeline,
    SparseRetriever,
    WordRetriever,
    fuse,
    learn_weights,
)
from lexpand.search.parts import Splade, Words

_ROOT = Path(__file__).parents[1] / "build" / "bench" / "hybrid"
_DEPTH = 1_000
_MEASURES = ["nDCG@10", "R@100"]
_FUSIONS = (Fusion.RECIPROCAL_RANK, Fusion.MAXIMUM, Fusion.MIN_MAX, Fusion.Z_SCORE, Fusion.BOUND)
_SHARES = (0.3, 0.4, 0.5, 0.6)
_POWERS = (0.0, 0.5)
_FEEDBACK = (None, Feedback(5, 50, 0.5), Feedback(10, 50, 0.3))

Rankings = Sequence[Sequence[Match]]


@dataclass(frozen=True, order=True)
class Way:
    """A hybrid's settings."""

    fusion: str
    share: float
    power: float
    feedback: int


@dataclass
class Collection:
    """Open, with its judged test queries."""

    name: str
    index: Index
    queries: list[Query]
    qrels: Qrels

    def measure(self, rankings: Rankings) -> tuple[float, float]:
        """nDCG@10 and R@100."""
        run = Run(
            {
                query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches[:100]]
                for query, matches in zip(self.queries, rankings, strict=True)
            }
        )
        found = evaluate(run, self.qrels, _MEASURES)
        return found[_MEASURES[0]], found[_MEASURES[1]]


def opened(folder: Path, encoder: Encoder) -> Collection:
    """A collection, indexed if it is not yet."""
    path = _ROOT / f"{folder.name}-{encoder.space.model.hash[:12]}.index"
    if not Index.exists(path):
        # Under another name until it is whole: a run that was ended must not leave half a collection to the next.
        unfinished = path.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with Index.create(unfinished, encoder.space, words=WordAnalyzer("english")) as index:
            ingest(index, encoder, read_documents(folder))
        unfinished.rename(path)
    plain = folder / "qrels" / "test.tsv"
    qrels = Qrels.read(plain if plain.is_file() else plain.with_suffix(".tsv.gz"))
    judged = set(qrels.judgements)
    queries = [query for query in read_queries(folder) if query.query_id in judged]
    return Collection(folder.name, Index.open(path), queries, qrels)


def fused(one: Rankings, other: Rankings, way: Way, bounds: Sequence[Sequence[float]]) -> Rankings:
    """Both rankings of each query as one; the bounds are those of one and of the other."""
    weights = (way.share, 1 - way.share)
    both = zip(zip(one, other, strict=True), zip(*bounds, strict=True), strict=True)
    return [fuse(pair, weights, Fusion(way.fusion), largest) for pair, largest in both]


def learned(collection: Collection, encoder: Encoder) -> None:
    """Print what weights learned from the collection's own queries are worth."""
    for fusion in (Fusion.Z_SCORE, Fusion.BOUND):
        pipeline = Pipeline((Splade(), Words()), fusion)
        found = learn_weights(
            pipeline,
            collection.index,
            encoder,
            collection.queries,
            collection.qrels,
            lambda run, qrels: evaluate(run, qrels, ["nDCG@10"])["nDCG@10"],
            steps=10,
        )
        print(
            f"{collection.name:18} {fusion:8} share of the model {found.weights[0]:.1f}: nDCG@10 {found.fitted:.4f}, "
            f"estimate {found.estimate:.4f}, equal weights {found.equal:.4f}",
            flush=True,
        )


def ways_of(collection: Collection, encoder: Encoder) -> tuple[dict[str, Any], dict[Way, tuple[float, float]]]:
    """Measures of the parts, and of every way."""
    texts = [query.text for query in collection.queries]
    words = WordRetriever(collection.index)
    by_words = words.rank(texts, _DEPTH)
    sparse = {power: SparseRetriever(collection.index, encoder, idf=power) for power in _POWERS}
    by_vectors = {power: retriever.rank(texts, _DEPTH) for power, retriever in sparse.items()}
    word_bounds = words.bounds(texts)
    bounds = {power: (retriever.bounds(texts), word_bounds) for power, retriever in sparse.items()}
    parts = {"BM25": collection.measure(by_words)}
    parts |= {f"splade, idf^{power}": collection.measure(rankings) for power, rankings in by_vectors.items()}
    for number, feedback in enumerate(_FEEDBACK[1:], 1):
        alone = sparse[_POWERS[-1]].with_feedback(feedback)
        parts[f"splade, idf^{_POWERS[-1]}, feedback {number}"] = collection.measure(alone.rank(texts, _DEPTH))
    found = {}
    for name, share, power in itertools.product(_FUSIONS, _SHARES, _POWERS):
        way = Way(name, share, power, 0)
        found[way] = collection.measure(fused(by_vectors[power], by_words, way, bounds[power]))
    for (number, feedback), name, share in itertools.product(
        enumerate(_FEEDBACK[1:], 1), (Fusion.MAXIMUM, Fusion.Z_SCORE), _SHARES
    ):
        hybrid = HybridRetriever(
            [share * sparse[_POWERS[-1]], (1 - share) * words], fusion=name, depth=_DEPTH, feedback=feedback
        )
        found[Way(name, share, _POWERS[-1], number)] = collection.measure(hybrid.rank(texts, 100))
    return parts, found


def chosen(measured: dict[str, dict[Way, tuple[float, float]]], without: str, ways: Sequence[Way]) -> Way:
    """The way of the best mean nDCG@10 over all collections but one."""
    others = [found for name, found in measured.items() if name != without]
    return max(ways, key=lambda way: (float(np.mean([found[way][0] for found in others])), way))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    _ROOT.mkdir(parents=True, exist_ok=True)
    encoder = Encoder.load()
    folders = [collection_path("scifact"), *(path.resolve() for path in options.collections)]
    if options.learn:
        for folder in folders:
            learned(opened(folder, encoder), encoder)
        return
    all_parts: dict[str, dict[str, Any]] = {}
    measured: dict[str, dict[Way, tuple[float, float]]] = {}
    for folder in folders:
        start = time.perf_counter()
        collection = opened(folder, encoder)
        parts, ways = ways_of(collection, encoder)
        all_parts[collection.name], measured[collection.name] = parts, ways
        for name, (ndcg, recall) in parts.items():
            print(f"{collection.name:20} {name:28} nDCG@10 {ndcg:.4f}  R@100 {recall:.4f}")
        print(f"{collection.name:20} {len(ways)} ways, {time.perf_counter() - start:.0f} s", flush=True)
        collection.index.close()
    figures: dict[str, Any] = {
        f"part {name}": float(np.mean([parts[name][0] for parts in all_parts.values()]))
        for name in next(iter(all_parts.values()))
    }
    every = list(next(iter(measured.values())))
    for label, ways in (
        ("hybrid", [way for way in every if not way.feedback]),
        ("hybrid with feedback", [way for way in every if way.feedback]),
    ):
        left_out = []
        for name in measured:
            way = chosen(measured, name, ways)
            left_out.append(measured[name][way])
            print(f"{label}: {name} by {way}: nDCG@10 {left_out[-1][0]:.4f}, R@100 {left_out[-1][1]:.4f}")
        figures[f"{label}, left one out"] = float(np.mean([ndcg for ndcg, _ in left_out]))
        best = max(ways, key=lambda way: float(np.mean([found[way][0] for found in measured.values()])))
        figures[f"{label}, best on all ({best})"] = float(np.mean([found[best][0] for found in measured.values()]))
    for name, value in figures.items():
        print(f"{name:80} {value:.4f}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
