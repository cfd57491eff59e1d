"""Write the golden weights for tests of encoders, from a random sample of SciFact.

The npz file has `roles` and `ids`: text i is the document or query ids[i]. The text of a document
is its title, a space, and its text. The vectors are rows: `indptr` int64, `terms` uint32 ascending,
`weights` float32. Needs PyTorch and sentence-transformers. Reading the file needs only NumPy.
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
    parser.add_argument("--documents", type=int, default=150, help="documents to sample (150)")
    parser.add_argument("--queries", type=int, default=50, help="test queries to sample (50)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the sample (7)")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    texts = draw.sample(read_documents(arguments.collection), arguments.documents)
    texts += draw.sample(read_test_queries(arguments.collection), arguments.queries)
    write_golden(arguments.out, texts, Reference(arguments.model))


def read_documents(collection: Path) -> list[Text]:
    """Return all documents, sorted so that the sample does not depend on the order of the file."""
    records = read_jsonl(collection / "corpus.jsonl.gz")
    return sorted(
        ("document", record["_id"], f"{record['title']} {record['text']}") for record in records
    )


def read_test_queries(collection: Path) -> list[Text]:
    """Return the queries with test judgments, in the order of their ids."""
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
    """Encode the texts and write their vectors as rows."""
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
