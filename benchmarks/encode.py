"""Measure encoding against sentence-transformers and fastembed: speed, nDCG@10 and memory.

    python benchmarks/encode.py [--quick] [--documents N] [--threads N] [--nfcorpus FOLDER] [--json]

All systems encode the same texts with the same weights in one run, in turn.

Systems:
* Lexpand with its float32 body and its int8 body
* sentence-transformers on PyTorch, on ONNX Runtime (float32 and dynamic int8) and on OpenVINO
* fastembed on the float32 graph of that ONNX backend, unless --quick is set

Each system runs in a separate process (encoders/), pinned to ``--threads`` cores. A system that is
absent or fails is reported and left out. Documents are cut at 256 tokens and encoded in blocks of
64; the peers use batches of 8. Queries are encoded one at a time. Times are taken around the
encoding call alone.

Models:
* splade-tiny (2 layers, 128 wide) on SciFact, and on NFCorpus with --nfcorpus
* lexpand-mini, the default model (6 layers, 384 wide), on SciFact. Lexpand keeps at most 200
  terms of a document and 128 of a query, as the model's contract says, and the peers keep all.

nDCG@10 is computed from exact scores, for all systems over the same documents: the judged ones, and
others up to --documents. Memory is the largest resident set of a process. Without --quick, the peak
memory of Lexpand over 10,000 and 100,000 short texts is measured too.

The last line of --json is about SciFact:
* ``vs_torch``, ``vs_best_other``: documents per second of Lexpand in float32, divided by those of
  torch and of the fastest other peer
* ``vs_torch_int8``, ``vs_best_other_int8``: the same for the int8 body of Lexpand
* ``mini_...``: the same for lexpand-mini
* ``rss_vs_torch``: peak memory of Lexpand divided by that of torch
* ``ndcg_delta``: nDCG@10 of Lexpand minus that of torch

All figures are written to build/bench/encode.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix

from encoders.models import mini, tiny
from lexpand import Qrels, Run, ScoredDocument, read_documents, read_queries
from lexpand.data import collection_path
from lexpand.evaluation import evaluate
from retrieval.workers import Worker, WorkerError, running_worker

_ROOT = Path(__file__).parents[1]
_BUILD = _ROOT / "build" / "bench" / "encode"
_BLOCK, _MAX_TOKENS = 64, 256


@dataclass(frozen=True)
class System:
    """A module of encoders/ with settings."""

    name: str
    module: str
    settings: dict[str, Any]
    quick: bool = True  # measured with --quick, which must end within five minutes

    @property
    def is_ours(self) -> bool:
        """Whether the system is Lexpand."""
        return self.module == "lexpand"


SYSTEMS = (
    System("Lexpand", "lexpand", {}),
    System("Lexpand int8", "lexpand", {"dtype": "int8"}),
    System("torch", "sentence_transformers_peer", {"backend": "torch"}),
    System("ONNX", "sentence_transformers_peer", {"backend": "onnx", "quantized": False}),
    System("ONNX int8", "sentence_transformers_peer", {"backend": "onnx", "quantized": True}),
    System("OpenVINO", "sentence_transformers_peer", {"backend": "openvino"}),
    System("fastembed", "fastembed_peer", {}, quick=False),
)


@dataclass
class Texts:
    """The texts to encode: documents and queries of a collection, with judgments."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels

    @classmethod
    def read(cls, name: str, folder: Path, count: int, max_queries: int | None) -> Texts:
        """Read ``count`` documents, preferably judged ones, and the judged queries.

        The documents are in random order with a fixed seed, independent of their lengths.
        """
        qrels = Qrels.read(
            next(
                path for n in ("test.tsv", "test.tsv.gz") if (path := folder / "qrels" / n).exists()
            )
        )
        judged = {doc_id for grades in qrels.judgments.values() for doc_id in grades}
        documents = {document.doc_id: document.full_text for document in read_documents(folder)}
        order = sorted(documents)
        random.Random(0).shuffle(order)
        order.sort(key=lambda doc_id: doc_id not in judged)
        chosen = order[:count]
        random.Random(1).shuffle(chosen)
        judged_queries = (
            query for query in read_queries(folder) if query.query_id in qrels.judgments
        )
        queries = {query.query_id: query.text for query in islice(judged_queries, max_queries)}
        judgments = {query_id: qrels.judgments[query_id] for query_id in queries}
        return cls(
            name, {doc_id: documents[doc_id] for doc_id in chosen}, queries, Qrels(judgments)
        )


@dataclass
class Timed:
    """The times and figures of one system."""

    version: str = ""
    document_seconds: list[float] = field(default_factory=list)
    query_seconds: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def measure(
    texts: Texts, model: str, folders: tuple[Path, Path], options: argparse.Namespace, log: Any
) -> dict[str, Timed]:
    """Measure all systems on the texts, block by block in turn."""
    timed: dict[str, Timed] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for system in SYSTEMS:
            if options.quick and not system.quick:
                continue
            try:
                worker = stack.enter_context(_start(system, options))
                version = worker.request("hello")["version"]
                folder = folders[not system.is_ours]
                load = {
                    "folder": str(folder),
                    "threads": options.threads,
                    "settings": system.settings,
                }
                worker.request("load", **load, max_tokens=_MAX_TOKENS)
                worker.request("documents", texts=list(texts.documents.values())[:16], keep=False)
                worker.request("queries", texts=list(texts.queries.values())[:5], keep=False)
            except WorkerError as error:
                log(f"{system.name} is left out: {error}")
                continue
            workers[system.name], timed[system.name] = worker, Timed(version)
        for block in _blocks(list(texts.documents.values())):
            for name, worker in workers.items():
                timed[name].document_seconds.append(
                    worker.request("documents", texts=block)["seconds"]
                )
        for block in _blocks(list(texts.queries.values())):
            for name, worker in workers.items():
                timed[name].query_seconds += worker.request("queries", texts=block)["seconds"]
        for name, worker in workers.items():
            path = _BUILD / f"{model}-{texts.name}-{name.replace(' ', '-')}.npz"
            worker.request("save", path=str(path))
            timed[name].figures = _figures(texts, timed[name], path) | {
                "peak_bytes": worker.request("memory")["peak_bytes"]
            }
    return timed


def _start(system: System, options: argparse.Namespace) -> Any:
    python = Path(sys.executable) if system.is_ours else options.peers_python.absolute()
    return running_worker(
        python, system.module, options.threads, _BUILD / f"{system.module}.log", package="encoders"
    )


def _blocks(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _BLOCK):
        yield texts[start : start + _BLOCK]


def _figures(texts: Texts, timed: Timed, path: Path) -> dict[str, float]:
    queries = np.array(timed.query_seconds) * 1e3
    vectors = np.load(path)
    return {
        "documents_per_s": len(texts.documents) / sum(timed.document_seconds),
        "query_p50_ms": float(np.median(queries)),
        "query_p99_ms": float(np.quantile(queries, 0.99)),
        "terms_per_document": float(vectors["documents_lengths"].mean()),
        "ndcg@10": _quality(texts, vectors),
    }


def _quality(texts: Texts, vectors: Any) -> float:
    """Return nDCG@10 over the encoded documents, by exact scores."""
    documents, queries = _matrix(vectors, "documents"), _matrix(vectors, "queries")
    ids, rankings = list(texts.documents), {}
    for row, query_id in enumerate(texts.queries):
        scores = (documents @ queries[row].T).toarray().ravel()
        best = np.lexsort((np.arange(len(scores)), -scores))[:10]
        rankings[query_id] = [
            ScoredDocument(ids[i], float(scores[i])) for i in best if scores[i] > 0
        ]
    return evaluate(Run(rankings), texts.qrels, ["nDCG@10"])["nDCG@10"]


def _matrix(vectors: Any, part: str) -> csr_matrix:
    indptr = np.concatenate([[0], np.cumsum(vectors[f"{part}_lengths"])])
    terms, weights = vectors[f"{part}_terms"], vectors[f"{part}_weights"].astype(np.float64)
    return csr_matrix((weights, terms, indptr), shape=(len(indptr) - 1, 30_522))


def ratios(
    tiny_on_scifact: dict[str, Timed], mini_on_scifact: dict[str, Timed]
) -> dict[str, float]:
    """Return the figures of the last line, without those of missing systems."""
    found: dict[str, float] = {}

    def add(name: str, timed: dict[str, Timed], ours: str, theirs: str) -> None:
        if ours in timed and theirs in timed:
            found[name] = (
                timed[ours].figures["documents_per_s"] / timed[theirs].figures["documents_per_s"]
            )

    for prefix, timed in (("", tiny_on_scifact), ("mini_", mini_on_scifact)):
        others = {
            name: t.figures["documents_per_s"]
            for name, t in timed.items()
            if name in ("ONNX", "ONNX int8", "OpenVINO")
        }
        best = max(others, key=others.__getitem__, default="")
        for suffix, ours in (("", "Lexpand"), ("_int8", "Lexpand int8")):
            add(f"{prefix}vs_torch{suffix or ('_fp32' if prefix else '')}", timed, ours, "torch")
            add(f"{prefix}vs_best_other{suffix}", timed, ours, best)
    if "Lexpand" in tiny_on_scifact:
        ours = tiny_on_scifact["Lexpand"].figures
        found["query_p50_ms"] = ours["query_p50_ms"]
        if "torch" in tiny_on_scifact:
            theirs = tiny_on_scifact["torch"].figures
            found["rss_vs_torch"] = ours["peak_bytes"] / theirs["peak_bytes"]
            found["ndcg_delta"] = ours["ndcg@10"] - theirs["ndcg@10"]
            if "Lexpand int8" in tiny_on_scifact:
                found["ndcg_delta_int8"] = (
                    tiny_on_scifact["Lexpand int8"].figures["ndcg@10"] - theirs["ndcg@10"]
                )
    return found


def memory(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return the peak memory of Lexpand over 10,000 and over 100,000 short texts.

    The texts are encoded in slices of 1,000, whose vectors are discarded.
    """
    found: dict[str, float] = {}
    with _start(SYSTEMS[0], options) as worker:
        worker.request(
            "load", folder=str(folder), threads=options.threads, settings={}, max_tokens=_MAX_TOKENS
        )
        for slice_number in range(1, 101):
            texts = [
                f"ticket {slice_number * 1000 + i}: the printer on floor {i % 40} is out of paper"
                for i in range(1000)
            ]
            worker.request("documents", texts=texts, keep=False)
            if slice_number in (10, 100):
                found[f"peak_mb_{slice_number}000_texts"] = (
                    worker.request("memory")["peak_bytes"] / 1e6
                )
    return found


def print_table(console: Console, title: str, timed: dict[str, Timed]) -> None:
    table = Table(
        "system", "documents/s", "query p50 ms", "p99", "peak MB", "terms", "nDCG@10", title=title
    )
    for name, each in timed.items():
        f = each.figures
        table.add_row(
            name,
            f"{f['documents_per_s']:.1f}",
            f"{f['query_p50_ms']:.2f}",
            f"{f['query_p99_ms']:.2f}",
            f"{f['peak_bytes'] / 1e6:.0f}",
            f"{f['terms_per_document']:.0f}",
            f"{f['ndcg@10']:.4f}",
        )
    console.print(table)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="192 documents (24 for the wider model), within 5 minutes",
    )
    parser.add_argument("--documents", type=int, help="documents of each collection (2,048)")
    parser.add_argument("--threads", type=int, default=1, help="threads, and cores to pin to (1)")
    parser.add_argument(
        "--nfcorpus",
        type=Path,
        help="BEIR folder of NFCorpus, whose license forbids packaging it",
    )
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=_ROOT / ".venv-encode" / "bin" / "python",
        help="interpreter that has the peers installed",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the ratios as one last line of JSON"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Measure all systems and print the figures."""
    options, console = options_of(), Console(width=140)
    _BUILD.mkdir(parents=True, exist_ok=True)
    count = options.documents or (192 if options.quick else 2048)
    few = count // 8

    def run(
        name: str, folder: Path, model: str, folders: tuple[Path, Path], count: int
    ) -> dict[str, Timed]:
        texts = Texts.read(name, folder, count, 100 if options.quick else None)
        timed = measure(texts, model, folders, options, console.print)
        print_table(
            console, f"{model} on {name}, {count} documents, {options.threads} threads", timed
        )
        everything[f"{model}-{name}"] = {
            system: {**t.figures, "version": t.version} for system, t in timed.items()
        }
        return timed

    everything: dict[str, Any] = {"threads": options.threads, "load": list(os.getloadavg())}
    if options.nfcorpus:
        run("nfcorpus", options.nfcorpus, "tiny", tiny(_BUILD), count)
    of_mini = run("scifact", collection_path("scifact"), "mini", mini(_BUILD), few)
    of_tiny = run("scifact", collection_path("scifact"), "tiny", tiny(_BUILD), count)
    found = ratios(of_tiny, of_mini)
    if not options.quick:
        found |= memory(tiny(_BUILD)[0], options)
    everything |= {"ratios": found, "load_after": list(os.getloadavg())}
    (_BUILD.parent / "encode.json").write_text(json.dumps(everything, indent=1), encoding="utf-8")
    for name, value in found.items():
        print(f"{name:28} {value:.4g}")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
