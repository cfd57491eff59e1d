"""Which way of joining the model's vectors and BM25 is best, chosen on some collections and reported on another?

    python benchmarks/hybrid.py COLLECTION... [--titles W...] [--lengths P...] [--learn] [--json]

Collections are BEIR folders with judged test queries; SciFact comes with Lexpand and is always one. Each is indexed by
the packaged model with words (kept under build/bench/hybrid). All ways of a grid (fusion, share of the model, power of
inverse document frequency, with and without feedback, of the model's queries or of both sides') rank all test queries.
For each collection the way is chosen that is best on average over the *other* collections by nDCG@10, and reported
there (leaving one out); the means of these are what a user may expect on documents of another kind. R@100 beside it.
The same again with each collection's nDCG@10 divided by that of its better part (*relative*), so that one on which
everything is high decides no more than another.

`--titles 0 .2` and `--lengths 0 .25` add ways whose documents have their title's vector added, weighed, or are divided
by a power of their vector's length; indexes of these are made of the stored vectors. `--learn` does not run the grid:
for each collection it learns the weights from its own test queries, and prints the cross-validated estimate beside the
fitted.

The last line of --json has the means of the parts and of what was chosen. Licences of collections may forbid passing
them on; none but SciFact is in the package.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusion.choosing import Measured, Score, best_without, compare, left_out, mean_of
from fusion.collection import ROOT, Collection, opened
from fusion.documents import Weighing
from fusion.ways import SHARES, Figures, Way, measure_ways
from lexpand import Encoder
from lexpand.data import collection_path
from lexpand.encode import VectorCache
from lexpand.evaluation import evaluate
from lexpand.search import Fusion, Pipeline, learn_weights
from lexpand.search.parts import Splade, Words

Parts = dict[str, dict[str, Figures]]
"""Of each collection, what each part alone reached."""


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


def measure_all(folders: Sequence[Path], encoder: Encoder, weighings: Sequence[Weighing]) -> tuple[Parts, Measured]:
    """All parts and ways on all collections."""
    all_parts: Parts = {}
    measured: dict[str, dict[Way, Figures]] = {}
    for folder, weighing in itertools.product(folders, weighings):
        start = time.perf_counter()
        collection = opened(folder, encoder, weighing)
        parts, ways = measure_ways(collection, encoder, weighing)
        collection.index.close()
        label = f", title {weighing.title:g}, length^{weighing.length:g}" if weighing else ""
        for name, (ndcg, recall) in parts.items():
            all_parts.setdefault(folder.name, {})[name + label] = ndcg, recall
            print(f"{folder.name:20} {name + label:60} nDCG@10 {ndcg:.4f}  R@100 {recall:.4f}")
        print(f"{folder.name:20} {len(ways)} ways, {time.perf_counter() - start:.0f} s", flush=True)
        measured.setdefault(folder.name, {}).update(ways)
    return all_parts, measured


def groups(measured: Measured) -> Iterator[tuple[str, list[Way]]]:
    """Ways that one would choose among."""
    every = list(next(iter(measured.values())))
    plain = [way for way in every if way.feedback is None]
    model = [way for way in every if way.feedback is not None and not way.feedback.words]
    both = [way for way in every if way.feedback is not None and way.feedback.words]
    for label, ways in (("hybrid", plain), ("feedback", model), ("feedback with words", both)):
        bare = [way for way in ways if not way.weighing]
        yield label, bare
        if bare != ways:
            yield f"{label}, documents weighed or not", ways


def report_choices(parts: Parts, measured: Measured) -> dict[str, float]:
    """Print what leaving one out chooses, by both scores; the means."""
    best = {name: max(found["BM25"][0], found["splade, idf^0"][0]) for name, found in parts.items()}
    scores: dict[str, Score] = {"": lambda _, ndcg: ndcg, ", relative": lambda name, ndcg: ndcg / best[name]}
    figures: dict[str, float] = {}
    for (label, ways), (how, score) in itertools.product(groups(measured), scores.items()):
        chosen = left_out(measured, ways, score)
        for name, way in chosen.items():
            ndcg, recall = measured[name][way]
            print(f"{label}{how}: {name} by {way}: nDCG@10 {ndcg:.4f}, R@100 {recall:.4f}")
        figures[f"{label}{how}, left one out"], figures[f"{label}{how}, left one out, R@100"] = mean_of(
            measured, chosen
        )
        way = best_without(measured, ways, None, score)
        figures[f"{label}{how}, best on all ({way})"], _ = mean_of(measured, dict.fromkeys(measured, way))
    return figures


def report_changes(measured: Measured, weighings: Sequence[Weighing]) -> None:
    """Print what single changes do to all ways."""
    every = list(next(iter(measured.values())))
    known = set(every)

    def changed(**values: object) -> Callable[[Way], Way | None]:
        def change(way: Way) -> Way | None:
            other = replace(way, **values)  # type: ignore[arg-type]
            return other if other != way and other in known else None

        return change

    def learning(way: Way) -> Way | None:
        return None if way.feedback is None else changed(feedback=replace(way.feedback, words=True))(way)

    bare = [way for way in every if not way.weighing]
    rows = [("IDF^.5 for none", changed(power=0.5), bare)]
    rows += [
        (f"words learn too, share of the model {share:g}", learning, [way for way in every if way.share == share])
        for share in SHARES
    ]
    rows += [(f"{weighing}", changed(weighing=weighing), bare) for weighing in weighings if weighing]
    for label, change, ways in rows:
        means, better = compare(measured, change, ways)
        said = ", ".join(f"{name} {means[name]:+.4f} (better in {better[name]:.0%})" for name in measured)
        print(f"{label}: {said}; mean {np.mean(list(means.values())):+.4f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION")
    parser.add_argument("--titles", nargs="+", type=float, default=[0.0], metavar="W")
    parser.add_argument("--lengths", nargs="+", type=float, default=[0.0], metavar="P")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    # Each retriever encodes the queries: without a cache, most of the time would go there.
    encoder = Encoder.load(cache=VectorCache(ROOT / "queries-and-titles.cache"))
    folders = [collection_path("scifact"), *(path.resolve() for path in options.collections)]
    if options.learn:
        for folder in folders:
            learned(opened(folder, encoder), encoder)
        return
    weighings = list(
        dict.fromkeys([Weighing(), *itertools.starmap(Weighing, itertools.product(options.titles, options.lengths))])
    )
    parts, measured = measure_all(folders, encoder, weighings)
    every = [dict(found) for found in parts.values()]
    figures = {f"part {name}": float(np.mean([found[name][0] for found in every])) for name in every[0]}
    figures |= report_choices(parts, measured)
    report_changes(measured, weighings)
    for name, value in figures.items():
        print(f"{name:100} {value:.4f}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
