"""What do weights of documents, queries and BM25 do to each part alone? Without training, without a hybrid.

    python benchmarks/reweighting.py COLLECTION... [--titles W...] [--lengths P...] [--powers P...]

Collections as for hybrid.py, whose indexes are used. Every combination of the title's weight, the power of the vector's
Euclidean length that documents are divided by, and the power of inverse document frequency of query weights, for the
model; every pair of k1 and b for BM25. nDCG@10 of each collection, then the means of nDCG@10 and R@100.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fusion.collection import ROOT, Collection, opened
from fusion.documents import Weighing
from fusion.ways import Figures
from lexpand import Encoder, SparseRetriever, WordRetriever
from lexpand.data import collection_path
from lexpand.encode import VectorCache
from lexpand.index import BM25

_K1 = (0.6, 0.9, 1.2, 1.6, 2.0)
_B = (0.4, 0.6, 0.75, 0.9)


def of_model(collection: Collection, encoder: Encoder, powers: list[float]) -> Iterator[tuple[str, Figures]]:
    """By each power of inverse document frequency."""
    for power in powers:
        retriever = SparseRetriever(collection.index, encoder, idf=power)
        yield f"idf^{power:g}", collection.measure(retriever.rank(collection.texts, 100))


def of_words(collection: Collection) -> Iterator[tuple[str, Figures]]:
    """By each pair of BM25's parameters."""
    for k1, b in itertools.product(_K1, _B):
        retriever = WordRetriever(collection.index, BM25(k1, b))
        yield f"BM25, k1 {k1:g}, b {b:g}", collection.measure(retriever.rank(collection.texts, 100))


def measured(folder: Path, encoder: Encoder, weighings: list[Weighing], powers: list[float]) -> dict[str, Figures]:
    """All rows of one collection."""
    rows: dict[str, Figures] = {}
    for weighing in weighings:
        collection = opened(folder, encoder, weighing)
        for name, figures in of_model(collection, encoder, powers):
            rows[f"title {weighing.title:g}, length^{weighing.length:g}, {name}"] = figures
        if not weighing:
            rows |= dict(of_words(collection))
        collection.index.close()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION")
    parser.add_argument("--titles", nargs="+", type=float, default=[0.0], metavar="W")
    parser.add_argument("--lengths", nargs="+", type=float, default=[0.0, 0.25, 0.5], metavar="P")
    parser.add_argument("--powers", nargs="+", type=float, default=[0.0, 0.25, 0.5, 0.75], metavar="P")
    options = parser.parse_args()
    ROOT.mkdir(parents=True, exist_ok=True)
    encoder = Encoder.load().with_cache(VectorCache(ROOT / "queries-and-titles.cache"))
    weighings = [Weighing(*pair) for pair in itertools.product(options.titles, options.lengths)]
    folders = [collection_path("scifact"), *(path.resolve() for path in options.collections)]
    found = {folder.name: measured(folder, encoder, weighings, options.powers) for folder in folders}
    print(" " * 36, " ".join(f"{name[:10]:>10}" for name in found), "  mean nDCG@10, R@100")
    for name in next(iter(found.values())):
        figures = np.array([rows[name] for rows in found.values()])
        means = figures.mean(axis=0)
        print(f"{name:36}", " ".join(f"{ndcg:10.4f}" for ndcg in figures[:, 0]), f"  {means[0]:.4f} {means[1]:.4f}")


if __name__ == "__main__":
    main()
