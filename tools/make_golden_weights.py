"""Make the golden weights that encoders are tested against, from a seeded draw of SciFact.

The result (npz) holds `roles` and `ids` (text i is the document or query ids[i]; a document's text
is its title, a space, and its text), and the vectors as rows: `indptr` int64, `terms` uint32
ascending, `weights` float32. Needs PyTorch and sentence-transformers; reading the result needs
NumPy alone.
"""

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np

from torch_reference import Reference

Text = tuple[str, str, str]  # role, id, text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the model folder")
    parser.add_argument(
        "collection", type=Path, help="SciFact: corpus.jsonl.gz, queries.jsonl.gz, qrels/test.tsv"
    )
    parser.add_argument("out", type=Path, help="the npz file to write")
    parser.add_argument(
        "--documents", type=int, default=150, help="how many documents to draw (150)"
    )
    parser.add_argument(
        "--queries", type=int, default=50, help="how many test queries to draw (50)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the draw (7)")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    texts = draw.sample(read_documents(arguments.collection), arguments.documents)
    texts += draw.sample(read_test_queries(arguments.collection), arguments.queries)
    write_golden(arguments.out, texts, Reference(arguments.model))


def read_documents(collection: Path) -> list[Text]:
    """All documents in the order of their ids, so that a draw does not hang on the file's order."""
    records = read_jsonl(collection / "corpus.jsonl.gz")
    return sorted(
        ("document", record["_id"], f"{record['title']} {record['text']}") for record in records
    )


def read_test_queries(collection: Path) -> list[Text]:
    """The queries that the test judgments name, in the order of their ids."""
    judgments = (collection / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    judged = {line.split("\t")[0] for line in judgments}
    queries = [
        ("query", record["_id"], record["text"])
        for record in read_jsonl(collection / "queries.jsonl.gz")
    ]
    return sorted(query for query in queries if query[1] in judged)


def read_jsonl(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_golden(path: Path, texts: list[Text], reference: Reference) -> None:
    """Encode the texts and write them as rows."""
    rows = [reference.encode(role, text) for role, _, text in texts]
    np.savez_compressed(
        path,
        roles=np.array([role for role, _, _ in texts]),
        ids=np.array([name for _, name, _ in texts]),
        indptr=np.cumsum([0] + [len(terms) for terms, _ in rows], dtype=np.int64),
        terms=np.concatenate([terms for terms, _ in rows]),
        weights=np.concatenate([weights for _, weights in rows]),
    )


if __name__ == "__main__":
    main()
