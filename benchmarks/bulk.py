"""The rates of bulk encoding, from which docs/bulk.md works out a hundred million passages.

    python benchmarks/bulk.py COLLECTION [--rows N] [--quick] [--json]

COLLECTION is a source of documents, such as a folder in BEIR's layout. Its first N documents are
written to Parquet, encoded on one thread as a shard, and imported into an index, which is searched.
--quick takes 500 documents. The last line of --json has the figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.parquet

from lexpand.data.objects import documents_of
from lexpand.engines import BulkJob, encode_shards
from lexpand.index import Index
from lexpand.index.exchange import import_vectors
from measured_model import MODEL


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    count = 500 if arguments.quick else arguments.rows
    with tempfile.TemporaryDirectory(prefix="lexpand-bulk-") as scratch:
        folder = Path(scratch)
        rows = [
            {"id": each.doc_id, "title": each.title, "text": each.text}
            for each in islice(documents_of(arguments.collection), count)
        ]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "pages.parquet")
        job = BulkJob(str(folder / "pages.parquet"), str(folder / "parts"), model=MODEL, threads=1)
        shards = job.prepare()
        start = time.perf_counter()
        reports = list(encode_shards(job, shards, "here"))
        encoded = time.perf_counter()
        import_vectors(folder / "pages.index", folder / "parts")
        imported = time.perf_counter()
        documents = sum(each.documents for each in reports)
        with Index.open(folder / "pages.index") as index:
            info = index.info()
            size = info.segment_bytes + info.catalog_bytes
        parts = sum(path.stat().st_size for path in (folder / "parts").glob("*.parquet"))
    figures = {
        "documents": documents,
        "encoded_per_second_and_core": documents / (encoded - start),
        "bytes_of_parts_per_document": parts / documents,
        "imported_per_second": documents / (imported - encoded),
        "bytes_of_index_per_document": size / documents,
    }
    if arguments.json:
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:32}{value:12,.1f}")


if __name__ == "__main__":
    main()
