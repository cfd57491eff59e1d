"""`lexpand demo`: index, search, explain and measure a real collection."""

from __future__ import annotations

import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lexpand.cli.explain_tables import print_explanation
from lexpand.cli.options import DtypeOption, Json, Threads, Verbose
from lexpand.cli.output import is_watched, print_json, say, show, show_heading, show_table
from lexpand.cli.search import print_hit
from lexpand.collection import Collection, IndexSettings, open_or_create
from lexpand.data import (
    Document,
    Qrels,
    Query,
    Run,
    ScoredDocument,
    collection_path,
    read_documents,
    read_queries,
)
from lexpand.encode.progress import reporting
from lexpand.errors import IndexStateError
from lexpand.evaluation import evaluate
from lexpand.index import Presence
from lexpand.search import Retriever
from lexpand.search.pipeline import NAMED

# Claims of SciFact's test set whose first document is relevant, with much of its score from
# expansion terms.
QUESTIONS = ("921", "873", "1270")

_MEASURES = ("nDCG@10", "R@100")
_DEPTH = 100


def demo(
    index_path: Annotated[
        Path, typer.Option("--index", help="Folder of the index of the demo.")
    ] = Path("lexpand-demo.index"),
    dtype: DtypeOption = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Index SciFact (5,183 abstracts), explain three answers, and measure quality and speed.

    The model and the collection come with Lexpand, so no network is needed. A second run uses the
    existing index.
    """
    folder = collection_path("scifact")
    settings = IndexSettings(encoding={} if dtype is None else {"dtype": dtype})
    with open_or_create(index_path, settings, threads=threads) as kb:
        facts = _fill(kb, list(read_documents(folder)))
        queries = {query.query_id: query for query in read_queries(folder)}
        if not as_json:
            _answer(kb, [queries[query_id] for query_id in QUESTIONS])
        qrels = Qrels.read(folder / "qrels" / "test.tsv")
        measured = {
            name: _measured(kb.retriever(name), list(queries.values()), qrels) for name in NAMED
        }
    facts |= {"queries": len(queries), "pipelines": measured}
    if as_json:
        print_json(facts)
    else:
        _print_facts(facts, measured, index_path)


def _fill(kb: Collection, documents: list[Document]) -> dict[str, Any]:
    """Add the documents that the index lacks."""
    stored = kb.index.presence(documents).count(Presence.SAME)
    if stored < len(kb):
        raise IndexStateError(
            f"{kb.path} holds documents that are not of the demo: name another folder with --index"
        )
    missing = len(documents) - stored
    if missing:
        say(f"indexing {missing:,} abstracts of SciFact into {kb.path}", "dim")
    with reporting(len(documents), "indexing", is_watched() and missing > 0) as on_done:
        report = kb.add(documents, commit_every=1000, on_done=on_done)
    facts: dict[str, Any] = {"documents": len(kb), "added": report.added}
    if report.added:
        facts["documents_per_second"] = report.added / report.encode_seconds
        facts["truncated"] = report.truncated
    return facts


def _answer(kb: Collection, questions: Sequence[Query]) -> None:
    for question in questions:
        hits = kb.search(question.text, 3)
        show_heading(question.text)
        why = [kb.explain(question.text, hit.doc_id) for hit in hits]
        for hit, explanation in zip(hits, why, strict=True):
            print_hit(hit, explanation)
        show("")
        print_explanation(why[0], terms=8)
        show("")


def _measured(retriever: Retriever, queries: Sequence[Query], qrels: Qrels) -> dict[str, float]:
    run, milliseconds = _timed_run(retriever, queries)
    cuts = statistics.quantiles(milliseconds, n=100)
    return {**evaluate(run, qrels, _MEASURES), "query_ms_p50": cuts[49], "query_ms_p99": cuts[98]}


def _timed_run(retriever: Retriever, queries: Sequence[Query]) -> tuple[Run, list[float]]:
    """Run the queries one by one, and return the milliseconds of each."""
    rankings, milliseconds = {}, []
    for query in queries:
        start = time.perf_counter()
        (matches,) = retriever.rank([query.text], _DEPTH)
        milliseconds.append((time.perf_counter() - start) * 1e3)
        rankings[query.query_id] = [ScoredDocument(match.doc_id, match.score) for match in matches]
    return Run(rankings), milliseconds


def _print_facts(
    facts: Mapping[str, Any], measured: Mapping[str, Mapping[str, float]], path: Path
) -> None:
    show_heading("Quality and speed")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("pipeline", *_MEASURES, "query p50", "p99"):
        table.add_column(column, justify="left" if column == "pipeline" else "right")
    for name, each in measured.items():
        scores = [f"{each[measure]:.3f}" for measure in _MEASURES]
        table.add_row(
            name, *scores, f"{each['query_ms_p50']:.2f} ms", f"{each['query_ms_p99']:.2f} ms"
        )
    show_table(table)
    if facts["added"]:
        show(f"encoded {facts['documents_per_second']:,.1f} documents/s")
    show(
        f"latency from text to ranking, {facts['documents']:,} documents,"
        f" {facts['queries']:,} queries"
    )
    show("")
    show("try it:")
    command = shlex.join(
        [_command(), "search", str(path), "does smoking cause heart disease", "--explain"]
    )
    show(command, indent=2, wrap=False)


def _command() -> str:
    """Return the command as a user can type it: by its path if it is not on PATH."""
    mine = Path(sys.argv[0])
    found = shutil.which("lexpand")
    if found is not None and mine.exists() and Path(found).samefile(mine):
        return "lexpand"
    try:
        return str(mine.relative_to(Path.cwd()))
    except ValueError:
        return str(mine)
