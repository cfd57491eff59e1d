"""What a mean of two teachers knows: nDCG@10 by the share of the sparse one.

    teachers.py MINILM COLLECTION... [--json]

MINILM is a folder of all-MiniLM-L6-v2, and a collection is a folder in BEIR's layout. Each query is
scored against all documents by the cosine of MiniLM (texts cut at 128 tokens) and by splade-tiny;
the scores of each are divided by their standard deviation and averaged. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer

from lexpand import Encoder, Run, evaluate
from lexpand.data import read_documents, read_judged

SHARES = (0.0, 0.2, 0.35, 0.5, 0.7, 1.0)
TOKENS = 128
MEASURE = "nDCG@10"
DEPTH = 100
PART = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minilm", type=Path)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true", help="print the figures as one last line")
    arguments = parser.parse_args()
    body = Transformer(str(arguments.minilm), max_seq_length=TOKENS)
    pooling = Pooling(body.get_word_embedding_dimension())
    dense = SentenceTransformer(modules=[body, pooling], device="cpu")
    sparse = Encoder.load("splade-tiny")
    found = {each.name: measured(each, dense, sparse) for each in arguments.collections}
    for name, values in found.items():
        print(name, " ".join(f"{share:g}: {value:.3f}" for share, value in values.items()))
    if arguments.json:
        print(json.dumps(found))


def measured(folder: Path, dense: SentenceTransformer, sparse: Encoder) -> dict[float, float]:
    """Return nDCG@10 by the share of the sparse teacher."""
    documents, judged = list(read_documents(folder)), read_judged(folder)
    texts = [f"{each.title}\n{each.text}" if each.title else each.text for each in documents]
    queries = [each.text for each in judged.judged]
    vectors = [dense.encode(each, normalize_embeddings=True) for each in (queries, texts)]
    asked = sparse.encode_queries(queries).to_dense()
    parts = [texts[i : i + PART] for i in range(0, len(texts), PART)]
    scores = (
        vectors[0] @ vectors[1].T,
        np.hstack([asked @ sparse.encode_documents(part).to_dense().T for part in parts]),
    )
    first, second = (each / each.std() for each in scores)
    ids = [each.doc_id for each in documents]
    values = {}
    for share in SHARES:
        mean = (1 - share) * first + share * second
        best = np.argsort(-mean, axis=1, kind="stable")[:, :DEPTH]
        run = Run(
            {
                query.query_id: [(ids[i], float(row[i])) for i in order.tolist()]
                for query, row, order in zip(judged.judged, mean, best, strict=True)
            }
        )
        values[share] = float(evaluate(run, judged.qrels, [MEASURE])[MEASURE])
    return values


if __name__ == "__main__":
    main()
