"""Rankings before and after words of training texts become terms of the packaged model.

    python benchmarks/add_terms.py FOLDER [--model MODEL] [--counts N ...] [--train-steps N]
        [--set KEY=VALUE ...] [--quick] [--json]

FOLDER has the training pairs (``train/*/pairs.jsonl.gz`` with query, title and text) and the
collections ``support-a`` and ``cranfield`` in BEIR's layout. The words are chosen from the training
pairs alone. With --train-steps, each model is trained on a sample of these pairs first, the one
without new terms too, by the recipe ``small`` with batches of 32 and the settings of --set.

For each number of terms and each collection, the figures are R@10 and nDCG@10 of the model alone
and of the hybrid pipeline; the covered words, which are the words of letters of the judged queries
that the tokenizer splits, that occur in the documents, and that became terms; and the share of a
new word's documents whose vectors have its term.

--quick reads 5,000 training pairs of each source and adds 500 terms. The last line of --json has
the figures by collection and number of terms.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lexpand
from lexpand import Encoder, Qrels, evaluate, read_queries
from lexpand.data import read_documents
from lexpand.encode.folder import find_folder
from lexpand.encode.tokens import load_tokenizer
from lexpand.models import add_terms, choose_terms
from lexpand.models.choosing import split_words, words_of
from measured_model import MODEL

COLLECTIONS, PIPELINES = ("support-a", "cranfield"), ("splade", "hybrid")
COUNTS = (1000, 2000, 4000, 8000, 12000)
BATCH = 32


def training_texts(folder: Path, limit: int | None) -> Iterator[str]:
    """Yield the queries with their titles and texts."""
    for path in sorted(folder.glob("train/*/pairs.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in islice(lines, limit):
                row = json.loads(line)
                yield " ".join(row.get(key) or "" for key in ("query", "title", "text"))


def sample(folder: Path, path: Path, count: int) -> Path:
    """Write as many random training pairs as a run needs, always the same ones."""
    lines: list[str] = []
    for source in sorted(folder.glob("train/*/pairs.jsonl.gz")):
        with gzip.open(source, "rt", encoding="utf-8") as rows:
            lines += rows
    random.Random(17).shuffle(lines)
    path.write_text("".join(lines[:count]), encoding="utf-8")
    return path


def split_query_words(collection: Path, model: str) -> set[str]:
    """Return the words of letters that queries and documents share and the tokenizer splits."""
    tokenizer = load_tokenizer(find_folder(model) / "tokenizer.json")
    judged = Qrels.read(collection / "qrels" / "test.tsv").judgments
    queries = (each.text for each in read_queries(collection) if each.query_id in judged)
    asked = {word for text in queries for word in words_of(tokenizer, text)}
    texts = (document.full_text for document in read_documents(collection))
    shared = sorted(
        asked.intersection(word for text in texts for word in words_of(tokenizer, text))
    )
    pieces = split_words(tokenizer, shared)
    return {word for word in shared if word.isalpha() and len(pieces[word]) > 1}


def rankings(collection: Path, model: str) -> dict[str, float]:
    """Return R@10 and nDCG@10 of each pipeline, and the terms of a passage."""
    qrels = Qrels.read(collection / "qrels" / "test.tsv")
    queries = [each for each in read_queries(collection) if each.query_id in qrels.judgments]
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        kb = lexpand.create(Path(folder) / "index", collection, model=model)
        for pipeline in PIPELINES:
            found = evaluate(kb.retriever(pipeline).run(queries, 100), qrels, ["R@10", "nDCG@10"])
            figures |= {f"{pipeline} {name}": value for name, value in found.items()}
        info = kb.info()
        figures["terms"] = info.stored_weights / info.passages
    return figures


def trained(model: str, pairs: Path, scratch: Path, steps: int, settings: list[str]) -> str:
    """Train a model on pairs, and return its folder."""
    command = [str(Path(sys.executable).parent / "lexpand"), "train", "small", "--data", str(pairs)]
    for setting in [f"base={model}", f"steps={steps}", f"batch_size={BATCH}", *settings]:
        command += ["--set", setting]
    ended = subprocess.run([*command, "--out", str(scratch / "trained")], check=False)
    if ended.returncode not in (0, 3):  # 3: some rows were refused
        sys.exit("the model could not be trained: see above")
    return str(scratch / "trained")


def active_share(collection: Path, model: str, words: list[str]) -> float:
    """Return the share of a new word's documents whose vectors have its term."""
    encoder = Encoder.load(model)
    tokenizer = load_tokenizer(Path(model) / "tokenizer.json")
    first, new = len(encoder.vocabulary) - len(words), set(words)
    terms = {word: first + place for place, word in enumerate(words)}
    texts = [document.full_text for document in read_documents(collection)]
    hits = [
        terms[word] in weights
        for text, weights in zip(texts, encoder.encode_documents(texts).as_dicts(), strict=True)
        for word in new.intersection(words_of(tokenizer, text))
    ]
    return sum(hits) / max(1, len(hits))


def show(collection: str, count: int, figures: dict[str, Any]) -> None:
    """Print a line of the table."""
    cells = " ".join(
        f"{figures[f'{pipeline} {name}']:>9.4f}"
        for pipeline in PIPELINES
        for name in ("R@10", "nDCG@10")
    )
    rest = f"{figures['covered']:>4}/{figures['split']}" if count else ""
    share = f"{figures['active']:>8.2f}" if count else ""
    print(
        f"{collection:<10} {count:>6} {cells} {figures['terms']:>7.1f} {rest} {share}", flush=True
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--train-steps", type=int, help="train each model for so many steps")
    parser.add_argument("--set", action="append", default=[], help="a setting of the training")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = [500] if options.quick else sorted(options.counts)
    texts = training_texts(options.folder, 5000 if options.quick else None)
    chosen = [term.word for term in choose_terms(options.model, texts, counts[-1])]
    print(f"{'':<18}{'model alone':>19}{'hybrid':>20}")
    print(
        f"{'':<10} {'terms':>6} {'R@10':>9} {'nDCG@10':>9} {'R@10':>9} {'nDCG@10':>9} "
        f"{'a text':>7} covered active"
    )
    results: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in COLLECTIONS}
    asked = {name: split_query_words(options.folder / name, options.model) for name in results}
    for count in [0, *counts]:
        with tempfile.TemporaryDirectory() as scratch:
            model, words = options.model, chosen[:count]
            if count:
                model = str(add_terms(options.model, words, Path(scratch) / "more").imported.path)
            if options.train_steps:
                steps, settings = options.train_steps, options.set
                pairs = sample(options.folder, Path(scratch) / "pairs.jsonl", steps * BATCH)
                model = trained(model, pairs, Path(scratch), steps, settings)
            for name in COLLECTIONS:
                figures: dict[str, Any] = rankings(options.folder / name, model)
                figures |= {"covered": len(asked[name].intersection(words))}
                figures |= {"split": len(asked[name])}
                if count:
                    figures["active"] = active_share(options.folder / name, model, words)
                results[name][count] = figures
                show(name, count, figures)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
