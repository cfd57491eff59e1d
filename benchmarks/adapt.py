"""Adapt the packaged model to collections by their documents alone, and measure it.

    python benchmarks/adapt.py FOLDER... [--out DIR] [--quick] [--json]

Each FOLDER is a collection in BEIR's layout. `lexpand.train.adapting.adapt` sees its documents
only; queries and judgments measure the model afterwards, and the model is discarded. A model that
`adapt` refuses is not measured. For each collection: the decision, seconds of each stage, and
nDCG@10 of the base and of the adapted model with ``p_t`` of a paired t test, for the pipelines
splade (the model alone) and hybrid.

--out keeps the models, and measures those that are there already. --quick takes 20 steps. The last
line of --json has the figures.

Needs the environment of `make .venv-train/ready`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lexpand import Qrels, create, read_documents, read_queries
from lexpand.data.readers.beir import find_judgments
from lexpand.evaluation import compare_means, evaluate_queries
from lexpand.train.adapting import Settings, adapt
from lexpand.train.recipe import Recipe

PIPELINES = ("splade", "hybrid")


def adapted(folder: Path, out: Path, quick: bool) -> dict[str, Any]:
    """Adapt to the documents of a collection, unless the model is there."""
    if (out / "contract.json").is_file():
        return dict(json.loads((out / "adapt.json").read_text(encoding="utf-8")))
    recipe = Recipe.load("adapt").with_settings(["steps=20"] if quick else [])
    start = time.perf_counter()
    done = adapt(
        list(read_documents(folder)),
        out,
        Settings(recipe),
        on_step=lambda step: print(f"  {step}", file=sys.stderr, flush=True),
    )
    return {**done.to_dict(), "total_seconds": round(time.perf_counter() - start)}


def values(folder: Path, model: str) -> dict[str, dict[str, float]]:
    """Return nDCG@10 of each judged query, by pipeline."""
    judgments = find_judgments(folder, "test")
    if judgments is None:
        raise SystemExit(f"{folder} must have qrels/test.tsv")
    qrels = Qrels.read(judgments)
    queries = [query for query in read_queries(folder) if query.query_id in qrels.judgments]
    with (
        tempfile.TemporaryDirectory() as scratch,
        create(Path(scratch) / "index", folder, model=model) as collection,
    ):
        return {
            name: evaluate_queries(collection.retriever(name).run(queries, 10), qrels)
            for name in PIPELINES
        }


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in asked.folders:
            model = (asked.out or Path(scratch)) / folder.name
            print(folder.name, file=sys.stderr, flush=True)
            found = adapted(folder, model, asked.quick)
            row: dict[str, Any] = {
                "accepted": found["decision"]["accepted"],
                "reason": found["decision"]["reason"],
                "mode": found["decision"]["mode"],
                "seconds": found["seconds"],
            }
            if model.is_dir():
                base = Recipe.load("adapt").base
                before, after = values(folder, base), values(folder, str(model))
                for name in PIPELINES:
                    row[name] = asdict(compare_means(before[name], after[name]))
            figures[folder.name] = row
            print(json.dumps({folder.name: row}, indent=1), file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
