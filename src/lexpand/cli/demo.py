"""`lexpand demo`: a real collection, indexed, asked, explained and measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.explain_tables import print_explanation
from lexpand.cli.options import DtypeOption, Json, Threads, Verbose
from lexpand.cli.output import is_watched, print_json, say, show, show_heading
from lexpand.cli.search import print_hit
from lexpand.data import Document, Qrels, Query, Run, ScoredDocument, collection_path, read_documents, read_queries
from lexpand.encode import Dtype, Encoder
from lexpand.encode.progress import reporting
from lexpand.errors import IndexStateError
from lexpand.evaluation import evaluate
from lexpand.explain import explain
from lexpand.index import Index, Presence, ingest
from lexpand.search import SparseRetriever

# Claims of SciFact's test set whose first document is relevant, with more than half of its score from expansion terms.
QUESTIONS = ("921", "873", "1270")

_MEASURES = ("nDCG@10", "R@100")
_DEPTH = 100


def demo(
    index_path: Annotated[Path, typer.Option("--index", help="Where the demo's index is kept.")] = Path(
        "lexpand-demo.index"
    ),
    dtype: DtypeOption = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Index 5,183 scientific abstracts (SciFact), answer three questions with reasons, measure quality and speed.

    It needs no network: model and collection come with Lexpand. A second run starts from the index.
    """
    folder = collection_path("scifact")
    encoder = Encoder.load("default", threads=threads, dtype=dtype or Dtype.FLOAT32)
    with _demo_index(index_path, encoder) as index:
        facts = _fill(index, encoder, list(read_documents(folder)))
        retriever = SparseRetriever(index, encoder)
        queries = {query.query_id: query for query in read_queries(folder)}
        if not as_json:
            _answer(retriever, [queries[query_id] for query_id in QUESTIONS])
        run, milliseconds = _timed_run(retriever, list(queries.values()))
    facts |= evaluate(run, Qrels.read(folder / "qrels" / "test.tsv"), _MEASURES)
    facts |= {"queries": len(queries), **_percentiles(milliseconds)}
    if as_json:
        print_json(facts)
    else:
        _print_facts(facts, index_path)


def _demo_index(path: Path, encoder: Encoder) -> Index:
    return Index.open(path) if Index.exists(path) else Index.create(path, encoder.space)


def _fill(index: Index, encoder: Encoder, documents: list[Document]) -> dict[str, float]:
    """Add what is not there yet."""
    missing = len(documents) - _stored(index, documents)
    if missing:
        say(f"indexing {missing:,} abstracts of SciFact into {index.path}", "dim")
    with reporting(len(documents), "indexing", is_watched() and missing > 0) as on_done:
        report = ingest(index, encoder, documents, commit_every=1000, on_done=on_done)
    facts: dict[str, float] = {"documents": len(index), "added": report.added}
    if report.added:
        facts["documents_per_second"] = report.added / report.encode_seconds
        facts["truncated"] = report.truncated
    return facts


def _stored(index: Index, documents: list[Document]) -> int:
    """How many of the demo's documents the index has; one with any others is somebody's own."""
    stored = index.presence(documents).count(Presence.SAME)
    if stored < len(index):
        raise IndexStateError(f"{index.path} holds other documents than the demo's: name another folder with --index")
    return stored


def _answer(retriever: SparseRetriever, questions: Sequence[Query]) -> None:
    for question in questions:
        hits = retriever.search(question.text, 3)
        show_heading(question.text)
        why = [explain(retriever, question.text, hit.doc_id) for hit in hits]
        for hit, explanation in zip(hits, why, strict=True):
            print_hit(hit, explanation)
        show("")
        print_explanation(why[0], terms=8)
        show("")


def _timed_run(retriever: SparseRetriever, queries: Sequence[Query]) -> tuple[Run, list[float]]:
    """Each query by itself, from words to a ranking, and the milliseconds that it took."""
    rankings, milliseconds = {}, []
    for query in queries:
        start = time.perf_counter()
        (matches,) = retriever.rank([query.text], _DEPTH)
        milliseconds.append((time.perf_counter() - start) * 1e3)
        rankings[query.query_id] = [ScoredDocument(match.doc_id, match.score) for match in matches]
    return Run(rankings), milliseconds


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"query_ms_p50": cuts[49], "query_ms_p99": cuts[98]}


def _print_facts(facts: dict[str, float], path: Path) -> None:
    show_heading("measured")
    for measure in _MEASURES:
        show(f"{measure} {facts[measure]:.4f}")
    if facts["added"]:
        show(f"documents encoded a second {facts['documents_per_second']:.1f}")
    else:
        show("documents encoded a second: none encoded, the index was complete")
    show(f"query latency, words to ranking: p50 {facts['query_ms_p50']:.2f} ms, p99 {facts['query_ms_p99']:.2f} ms")
    show(f"over {facts['documents']:,} documents and {facts['queries']:,} queries")
    show("")
    show(f'ask it yourself:  lexpand search "{path}" "does smoking cause heart disease" --explain')
