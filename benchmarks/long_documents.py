"""Measure the policies for long documents: nDCG@10 and R@100 on a BEIR folder.

    python benchmarks/long_documents.py [FOLDER] [--json]

Long documents are cut, or split into chunks. The default folder is SciFact, which is packaged.
Documents that fit are encoded once for each length.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Qrels,
    SparseRetriever,
    SparseVectors,
    read_documents,
    read_queries,
)
from lexpand.data import Chunks, Long, LongDocuments, Query, collection_path
from lexpand.evaluation import evaluate
from measured_model import MODEL

WAYS = {
    "truncate": LongDocuments(),
    "chunks as passages": LongDocuments(Long.CHUNK, Chunks.PASSAGES),
    "chunks as one vector": LongDocuments(Long.CHUNK, Chunks.MAX),
}


def measure(
    encoder: Encoder,
    short: tuple[list[Document], SparseVectors],
    long: list[Document],
    queries: list[Query],
    qrels: Qrels,
) -> dict[str, Any]:
    """Index the documents, run the queries and return the figures.

    Short documents come with their vectors. The policy of the encoder applies to the long ones.
    """
    start = time.perf_counter()
    encoded = encoder.encode_long(long)
    seconds = time.perf_counter() - start
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(Path(folder) / "i", encoder.space) as index,
    ):
        index.add(*short)
        index.add(encoded.documents, encoded.vectors, chunks=encoded.spans)
        index.commit()
        figures = evaluate(
            SparseRetriever(index, encoder).run(queries, 100), qrels, ["nDCG@10", "R@100"]
        )
        info = index.info()
    lost = int(encoded.tokens_lost.sum())
    return {
        **figures,
        "passages": info.passages,
        "weights": info.nnz,
        "tokens_lost": lost,
        "seconds_long": seconds,
    }


def compare(
    folder: Path, lengths: list[int], overlap: int | None, threads: int | None
) -> list[dict[str, Any]]:
    """Measure every policy at every length."""
    documents = list(read_documents(folder))
    path = next(
        path
        for name in ("test.tsv", "test.tsv.gz", "train.tsv")
        if (path := folder / "qrels" / name).exists()
    )
    qrels = Qrels.read(path)
    queries = [query for query in read_queries(folder) if query.query_id in qrels.judgments]
    rows = []
    for length in lengths:
        plain = Encoder.load(MODEL, documents=DocumentEncoding(max_tokens=length), threads=threads)
        found = plain.encode_long(documents)
        cut = found.tokens_lost > 0
        long = [documents[i] for i in np.flatnonzero(cut)]
        short = [documents[i] for i in np.flatnonzero(~cut)], found.vectors[~cut]
        for way, policy in WAYS.items():
            policy = LongDocuments(policy.policy, policy.chunks, overlap)
            encoder = Encoder.load(
                MODEL, documents=DocumentEncoding(max_tokens=length, long=policy), threads=threads
            )
            figures = measure(encoder, short, long, queries, qrels)
            rows.append(
                {
                    "collection": folder.name,
                    "length": length,
                    "way": way,
                    "long": len(long),
                    **figures,
                }
            )
            print(
                "  ".join(
                    f"{v:.4f}" if isinstance(v, float) else str(v) for v in rows[-1].values()
                ),
                flush=True,
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=collection_path("scifact"),
        help="BEIR folder (SciFact)",
    )
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[512, 256], help="in tokens (512 256)"
    )
    parser.add_argument(
        "--overlap", type=int, help="tokens that neighboring chunks share (an eighth of the length)"
    )
    parser.add_argument("--threads", type=int, help="threads of the encoder (all cores)")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one last line of JSON"
    )
    options = parser.parse_args()
    rows = compare(options.folder, options.lengths, options.overlap, options.threads)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
