"""Measure encoding and search on SciFact against straightforward implementations.

    python benchmarks/line.py [--quick] [--json] [--threads N]

* Encoding: Lexpand against the same ONNX body with a plain head, batch by batch in turn. The plain
  head is NumPy float32: the logits of all positions, then their maximum, then log1p.
* Search: Lexpand against a SciPy CSR product with a partial sort, and against the exhaustive NumPy
  reference, query by query in turn over the same vectors. ``recall`` is against the float32 scores
  of SciPy, ties counted.

--quick uses 300 documents instead of 5,183. The last line of --json has every figure. Ratios are
peer / Lexpand.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lexpand import (
    Encoder,
    Index,
    Qrels,
    Role,
    Run,
    ScoredDocument,
    SparseVectors,
    read_documents,
    read_queries,
)
from lexpand.data import Document, Query, collection_path
from lexpand.evaluation import evaluate
from measured_model import MODEL

_BATCH = 8
_DEPTH = 10


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall seconds of an action, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def plain_encode(
    encoder: Encoder, decoder: np.ndarray, bias: np.ndarray, texts: list[str]
) -> np.ndarray:
    """Encode by the usual SPLADE head.

    It computes all logits, float32 [texts, positions, vocabulary], and then their maximum.
    """
    tokenized = encoder._tokens.tokenize(texts, encoder.max_tokens[Role.DOCUMENT])
    hidden, lengths = encoder._body_for(Role.DOCUMENT).run([text.ids for text in tokenized])
    logits = hidden @ decoder.T + bias
    logits[np.arange(hidden.shape[1]) >= lengths[:, None]] = 0
    return np.log1p(np.maximum(logits, 0)).max(axis=1)


def bench_encode(
    encoder: Encoder, documents: list[Document]
) -> tuple[dict[str, float], SparseVectors]:
    """Encode the same batches with both heads, in turn.

    A batch has texts of similar length, like the batches of Lexpand.
    """
    from lexpand.encode.folder import ModelFolder, find_folder

    weights = ModelFolder(find_folder(MODEL)).tensors
    decoder, bias = weights[encoder.contract.head_weight], weights[encoder.contract.head_bias]
    order = sorted(range(len(documents)), key=lambda i: len(documents[i].full_text))
    ours = plain = worst = 0.0
    parts: dict[int, SparseVectors] = {}
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        texts = [documents[i].full_text for i in places]
        seconds, vectors = timed(lambda texts=texts: encoder.encode_documents(texts))
        ours += seconds
        parts |= {place: vectors[row : row + 1] for row, place in enumerate(places)}
        seconds, dense = timed(lambda texts=texts: plain_encode(encoder, decoder, bias, texts))
        plain += seconds
        worst = max(worst, float(np.abs(vectors.to_dense() - dense).max()))
    figures = {
        "encode_docs_per_s": len(documents) / ours,
        "encode_plain_docs_per_s": len(documents) / plain,
        "encode_vs_plain": plain / ours,
        "encode_largest_difference": worst,
    }
    return figures, SparseVectors.concatenate([parts[i] for i in range(len(documents))])


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the indices of the k best scores, best first."""
    places = np.argpartition(scores, -k)[-k:]
    return places[np.argsort(-scores[places])]


def bench_search(
    index: Index, vectors: SparseVectors, queries: SparseVectors
) -> tuple[dict[str, float], list]:
    """Search for each query by Lexpand, SciPy and the reference, in turn."""
    matrix = vectors.to_scipy().tocsr()
    ours, scipy_ms, reference_ms, found = [], [], [], []
    exact, recalled = True, 0.0
    for i in range(len(queries)):
        query = queries[i : i + 1]
        column = query.to_scipy().T.tocsc()
        seconds, (matches,) = timed(lambda query=query: index.search(query, _DEPTH))
        ours.append(seconds)
        seconds, scores = timed(lambda column=column: (matrix @ column).toarray().ravel())
        sort_seconds, best = timed(lambda scores=scores: best_of(scores, _DEPTH))
        scipy_ms.append(seconds + sort_seconds)
        if i < 20:  # few, because the reference is slow
            seconds, (reference,) = timed(
                lambda query=query: index.search(query, _DEPTH, exhaustive=True)
            )
            reference_ms.append(seconds)
            exact &= reference == matches
        reached = [
            float(scores[match.row]) >= float(scores[best[-1]]) * (1 - 1e-4) for match in matches
        ]
        recalled += sum(reached) / _DEPTH
        found.append(matches)
    figures = {
        "search_ms_p50": statistics.median(ours) * 1e3,
        "search_scipy_ms_p50": statistics.median(scipy_ms) * 1e3,
        "search_vs_scipy": statistics.mean(scipy_ms) / statistics.mean(ours),
        "search_vs_reference": statistics.mean(reference_ms) / statistics.mean(ours),
        "recall": recalled / len(queries),
        "exact": bool(exact),
    }
    return figures, found


def measure(queries: list[Query], found: list, documents: list[Document]) -> dict[str, float]:
    """Return nDCG@10 over the queries whose judged documents are all indexed."""
    qrels = Qrels.read(collection_path("scifact") / "qrels" / "test.tsv")
    indexed = {document.doc_id for document in documents}
    judged = {query: grades for query, grades in qrels.judgments.items() if set(grades) <= indexed}
    rankings = {
        query.query_id: [ScoredDocument(match.doc_id, match.score) for match in matches]
        for query, matches in zip(queries, found, strict=True)
    }
    return {"judged_queries": len(judged), **evaluate(Run(rankings), Qrels(judged), ["nDCG@10"])}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="300 documents, about a minute")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of the encoder (1); NumPy has settings of its own",
    )
    options = parser.parse_args()
    encoder = Encoder.load(MODEL, threads=options.threads)
    documents = list(read_documents(collection_path("scifact")))[: 300 if options.quick else None]
    queries = list(read_queries(collection_path("scifact")))
    figures: dict[str, Any] = {
        "documents": len(documents),
        "threads": options.threads,
        "machine": platform.machine(),
    }
    encoded, vectors = bench_encode(encoder, documents)
    query_vectors = encoder.encode_queries([query.text for query in queries])
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(Path(folder) / "index", encoder.space) as index,
    ):
        index.add(documents, vectors)
        index.commit()
        searched, found = bench_search(index, vectors, query_vectors)
    figures |= encoded | searched | measure(queries, found, documents)
    for name, value in figures.items():
        print(f"{name:28} {value:.4g}" if isinstance(value, float) else f"{name:28} {value}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    # NumPy must use one thread, as Lexpand does. The variables have to be set before its libraries
    # start their thread pools.
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    main()
