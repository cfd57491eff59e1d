"""Compare models on judged collections: alone and in hybrid search, and in each query mode.

    python benchmarks/models.py DATA [--models M...] [--only NAME...] [--pipelines P...]
        [--work DIR] [--speed] [--quick] [--json]

DATA has the collections as BEIR folders. Each model indexes each collection, and the index is kept
in ``build/models``, or the folder of --work: one folder a model, named after it, with one index a
collection. All runs of a collection follow each other on the same machine. A model with two query
modes is measured in both; ``name/lookup`` is the one without a model at query time. p is of the
paired randomization test against the same pipeline of the first model, in its own mode.

--speed encodes the documents of one collection on one thread instead, the models in turn, three
rounds, and prints documents a second. --quick takes the two smallest collections. ``mean`` is that
of the five public collections, where all five are measured. The last line of --json has every
figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import lexpand
from lexpand import Collection, Encoder, QueryEncoding
from lexpand.data import JudgedQueries, read_documents, read_judged
from lexpand.encode import QueryMode
from lexpand.evaluation import compare_means
from lexpand.experiments.evaluating import Evaluated, evaluate_collection

PUBLIC = ("scifact", "nfcorpus", "cranfield", "cisi", "msmarco-5k-sample")
COLLECTIONS = (*PUBLIC, "support-a", "identifiers")
SMALLEST = ("support-a", "cranfield")
MODELS = ("splade-tiny", "lexpand-tiny", "lexpand-mini")
PIPELINES = ("splade", "hybrid")
WORK = Path(__file__).parents[1] / "build" / "models"
ROUNDS = 3
MEASURE, FIRST = "nDCG@10", "Success@1"


@dataclass(frozen=True)
class Row:
    """A model with a query mode and a pipeline on one collection.

    Attributes:
        collection: its name.
        model: its name, with ``/`` and the query mode if it is not the model's own.
        pipeline: its name.
        ndcg: nDCG@10.
        success: the share of queries whose best document is relevant.
        p: of the difference from the first model; None for the first.
        query_ms: the median time of a query, one at a time on one thread, encoding included.
        terms: mean terms of a passage.
    """

    collection: str
    model: str
    pipeline: str
    ndcg: float
    success: float
    p: float | None
    query_ms: float
    terms: float


def modes(model: str) -> dict[str, QueryEncoding]:
    """Return the query encodings of a model by name, its own first."""
    own = Encoder.load(model)
    name = Path(model).name
    found = {name: QueryEncoding()}
    if own.query_table is not None and own.query_mode is not QueryMode.LOOKUP:
        found[f"{name}/lookup"] = QueryEncoding(mode=QueryMode.LOOKUP)
    return found


def measured(options: argparse.Namespace, name: str) -> Iterator[Row]:
    """Yield the rows of a collection."""
    folder = options.data / name
    judged = read_judged(folder)
    first: dict[str, Evaluated] = {}
    for model, encodings in options.encodings.items():
        path = options.work / Path(model).name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with lexpand.create(path, folder, model=model, exist="open", show_progress=True):
            pass
        for label, queries in encodings.items():
            with lexpand.open(path, queries=queries) as kb:
                yield from _rows(kb, judged, options.pipelines, first, (name, label))


def _rows(
    kb: Collection,
    judged: JudgedQueries,
    pipelines: list[str],
    first: dict[str, Evaluated],
    names: tuple[str, str],
) -> Iterator[Row]:
    for pipeline in pipelines:
        found = evaluate_collection(kb, judged, [MEASURE, FIRST], pipeline=pipeline)
        baseline = first.setdefault(pipeline, found)
        before, values = (each.evaluation.values[MEASURE] for each in (baseline, found))
        if found.cost is None or found.cost.document_terms is None:
            raise AssertionError("the cost of a retriever with vectors has their terms")
        yield Row(
            *names,
            pipeline,
            statistics.mean(values.values()),
            statistics.mean(found.evaluation.values[FIRST].values()),
            None if baseline is found else compare_means(before, values).p,
            found.cost.total_ms.p50,
            found.cost.document_terms,
        )


def speeds(options: argparse.Namespace, name: str) -> dict[str, float]:
    """Return the median documents a second of each model on one thread."""
    texts = [document.full_text for document in read_documents(options.data / name)]
    encoders = {Path(model).name: Encoder.load(model, threads=1) for model in options.models}
    found: dict[str, list[float]] = {model: [] for model in encoders}
    for _ in range(ROUNDS):
        for model, encoder in encoders.items():
            start = time.perf_counter()
            encoder.encode_documents(texts)
            found[model].append(len(texts) / (time.perf_counter() - start))
    return {model: statistics.median(values) for model, values in found.items()}


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the collections")
    parser.add_argument("--models", nargs="+", default=MODELS, help="names or folders of models")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="collections (all seven)")
    parser.add_argument("--pipelines", nargs="+", default=PIPELINES, help="splade and hybrid")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the indexes")
    parser.add_argument("--speed", action="store_true", help="documents a second only")
    parser.add_argument("--quick", action="store_true", help="the two smallest collections")
    parser.add_argument("--json", action="store_true", help="print the figures as one last line")
    options = parser.parse_args()
    names = options.only or (SMALLEST if options.quick else COLLECTIONS)
    if options.speed:
        found = speeds(options, (options.only or SMALLEST)[0])
        for model, rate in found.items():
            print(f"{model}: {rate:.1f} documents a second on one thread")
        if options.json:
            print(json.dumps({"documents_per_second": found}))
        return
    options.encodings = {model: modes(model) for model in options.models}
    rows = []
    for name in names:
        for row in measured(options, name):
            rows.append(row)
            p = "" if row.p is None else f", p {row.p:.4f}"
            print(
                f"{name}: {row.model}, {row.pipeline}: {MEASURE} {row.ndcg:.3f}{p}, {FIRST}"
                f" {row.success:.3f}, {row.query_ms:.2f} ms a query, {row.terms:.0f} terms",
                flush=True,
            )
    means = {}
    if set(PUBLIC) <= set(names):
        for label in dict.fromkeys((row.model, row.pipeline) for row in rows):
            values = [
                row.ndcg
                for row in rows
                if (row.model, row.pipeline) == label and row.collection in PUBLIC
            ]
            means[", ".join(label)] = statistics.mean(values)
            print(f"mean of the five public: {', '.join(label)}: {means[', '.join(label)]:.3f}")
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "mean": means}))


if __name__ == "__main__":
    main()
