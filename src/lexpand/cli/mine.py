"""`lexpand mine`: add hard negatives to training data."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lexpand.cli.making import Words
from lexpand.cli.options import INDEX, PIPELINES, SEARCH, Json, Model, Threads, Verbose
from lexpand.cli.output import count, is_watched, show
from lexpand.cli.score import (
    TEACHER,
    Cache,
    DataPaths,
    DocumentPrefix,
    Force,
    KindOption,
    MaxTokens,
    Name,
    Out,
    Pooling,
    QueryPrefix,
    check_out,
    finish,
    name_of,
    open_cache,
    read_all,
    saying_refused,
    saying_what_is_kept,
)
from lexpand.collection import Collection, create
from lexpand.collection import open as open_collection
from lexpand.data import Document, Run
from lexpand.encode.batches import cores
from lexpand.encode.progress import reporting
from lexpand.errors import RowError
from lexpand.search import Pipeline, Retriever
from lexpand.train.mining import Mining, MiningReport, RunRetriever, ScorePairs, mine
from lexpand.train.rows import UNNAMED, Row, write_rows
from lexpand.train.scoring import TeacherOptions, load_teacher, score_pairs

_DROPPED = {
    "positive": "equal a positive of the query",
    "near_positive": "contain a positive of the query or are contained in one",
    "teacher": "score too close to the positive",
    "empty": "have no text",
}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where candidates come from; see the options of the same names."""

    index: Path | None
    keep_index: Path | None
    pipelines: Sequence[str]
    run: Path | None
    words: str | None
    model: str | None
    threads: int | None


def mine_command(
    data: DataPaths,
    out: Out,
    negatives: Annotated[
        int,
        typer.Option(
            "--negatives", min=1, help="Negatives of each row, those that it has included."
        ),
    ] = 8,
    depth: Annotated[
        int,
        typer.Option("--depth", min=1, help="Documents of each ranking that are candidates."),
    ] = 100,
    skip: Annotated[
        int,
        typer.Option(
            "--skip",
            min=0,
            help="First documents of each ranking to skip. They are the likeliest to be answers "
            "without a label.",
        ),
    ] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop the negatives that the rows have.")
    ] = False,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            help="Index whose documents are candidates.",
            show_default="an index of the positives of DATA",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    keep_index: Annotated[
        Path | None,
        typer.Option(
            "--keep-index",
            metavar="FOLDER",
            help="Folder of the index of the positives, to keep it and to use it again.",
            show_default="a temporary folder",
            rich_help_panel=INDEX,
        ),
    ] = None,
    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline",
            metavar="NAME|FILE",
            help=f"How to search: {', '.join(PIPELINES)}, or a TOML file. Repeat the option to "
            "mix: the rankings take turns.",
            show_default="bm25 and hybrid; splade if the index has no BM25 field",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="FILE",
            help="TREC run over the documents of --index, for rows with a query_id. Add --pipeline "
            "to search too.",
            show_default="none",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="MODEL",
            help="Drop candidates that this model scores above the positive, and write its scores: "
            "a cross-encoder or a dense model (model folder or ONNX file).",
            show_default="none",
            rich_help_panel=TEACHER,
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Drop candidates that score above the positive's score less this.",
            show_default="0",
            rich_help_panel=TEACHER,
        ),
    ] = None,
    max_ratio: Annotated[
        float | None,
        typer.Option(
            "--max-ratio",
            help="Drop candidates that score above this share of the positive's score, such as "
            "0.95. It is for scores above 0, such as cosines.",
            show_default="no such limit",
            rich_help_panel=TEACHER,
        ),
    ] = None,
    name: Name = None,
    kind: KindOption = None,
    query_prefix: QueryPrefix = "",
    document_prefix: DocumentPrefix = "",
    pooling: Pooling = None,
    max_tokens: MaxTokens = None,
    cache: Cache = None,
    words: Words = None,
    model: Model = None,
    force: Force = False,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add hard negatives to the rows of DATA: texts that rank high and are not a positive.

    A candidate is dropped if it equals, contains or is contained in a positive of the same query in
    any row of DATA. Scores that rows have get null for new negatives. Rows that cannot be used are
    listed (exit code 3).
    """
    options = TeacherOptions(kind, query_prefix, document_prefix, pooling, max_tokens, threads)
    if teacher is None:
        _check_no_teacher(options, margin=margin, max_ratio=max_ratio, cache=cache, name=name)
    source = _Source(index, keep_index, pipelines or (), run, words, model, threads)
    _check_source(source)
    settings = Mining(negatives, depth, skip, replace, margin or 0.0, max_ratio)
    start, refused, report = time.perf_counter(), list[RowError](), MiningReport()
    check_out(out, data, force)
    rows = read_all(data, refused)
    with ExitStack() as open_things:
        open_things.enter_context(saying_refused(refused))
        score = _teacher(open_things, teacher, options, out, cache)
        retrievers = open_things.enter_context(_retrievers(source, rows))
        on_done = open_things.enter_context(reporting(len(rows), "mining", is_watched()))
        mined = mine(
            rows,
            retrievers,
            settings,
            score=score,
            teacher=name or name_of(teacher or UNNAMED),
            threads=threads or cores(),
            on_done=on_done,
            report=report,
        )
        write_rows(out, mined)
    facts = {
        "rows": len(rows),
        "mined": report.mined,
        "rows_by_negatives": dict(sorted(report.rows.items(), reverse=True)),
        "dropped": {reason: report.dropped[reason] for reason in _DROPPED},  # type: ignore[index]
        "seconds": round(time.perf_counter() - start, 3),
        "output": str(out),
    }
    finish(facts, refused, as_json, lambda: _print(facts, negatives))


def _check_no_teacher(options: TeacherOptions, **others: object) -> None:
    given = {
        "--kind": options.kind,
        "--query-prefix": options.query_prefix,
        "--document-prefix": options.document_prefix,
        "--pooling": options.pooling,
        "--max-tokens": options.max_tokens,
        **{f"--{option.replace('_', '-')}": value for option, value in others.items()},
    }
    unused = [option for option, value in given.items() if value not in (None, "")]
    if unused:
        raise typer.BadParameter(
            f"{unused[0]} needs --teacher: give the folder of a model, or leave it out"
        )


def _check_source(source: _Source) -> None:
    if source.index is None and source.run is not None:
        raise typer.BadParameter("--run needs --index, which has the texts of its documents")
    if source.index is None:
        return
    for option, value in (("--keep-index", source.keep_index), ("--words", source.words)):
        if value is not None:
            raise typer.BadParameter(
                f"{option} is for the index of the positives: leave out --index or {option}"
            )


def _teacher(
    open_things: ExitStack,
    teacher: str | None,
    options: TeacherOptions,
    out: Path,
    cache: Path | None,
) -> ScorePairs | None:
    """Load the teacher and open the cache of its scores; None without a teacher."""
    if teacher is None:
        return None
    scores = open_things.enter_context(open_cache(out, cache))
    open_things.enter_context(saying_what_is_kept(scores))
    model = load_teacher(teacher, options)
    return lambda pairs: score_pairs(model, pairs, scores)


@contextmanager
def _retrievers(source: _Source, rows: Sequence[Row]) -> Iterator[list[Retriever]]:
    """Open the index, or make one of the positives, and yield the retrievers of the pipelines."""
    with ExitStack() as folders:
        if source.index is not None:
            opened = open_collection(source.index, model=source.model, threads=source.threads)
        else:
            temporary = None
            if source.keep_index is None:
                temporary = folders.enter_context(tempfile.TemporaryDirectory(prefix="lexpand-"))
            folder = source.keep_index or Path(str(temporary)) / "positives.index"
            opened = _index_of_positives(folder, source, rows)
        with opened as collection:
            found = [
                collection.retriever(Pipeline.load(each)) for each in _names(source, collection)
            ]
            if source.run is not None:
                found.insert(0, RunRetriever(Run.read_trec(source.run), rows, collection.index))
            yield found


def _names(source: _Source, collection: Collection) -> Sequence[str]:
    if source.pipelines or source.run is not None:
        return source.pipelines
    return ("splade",) if collection.index.schema.words is None else ("bm25", "hybrid")


def _index_of_positives(folder: Path, source: _Source, rows: Iterable[Row]) -> Collection:
    """Index the distinct positives. An index that exists gets those that it lacks."""
    texts = dict.fromkeys(row.documents[0] for row in rows)
    return create(
        folder,
        [Document.from_content(text) for text in texts],
        exist="open",
        model=source.model,
        words=source.words,
        threads=source.threads,
        show_progress=is_watched(),
    )


def _print(facts: dict[str, Any], negatives: int) -> None:
    full = sum(rows for number, rows in facts["rows_by_negatives"].items() if number >= negatives)
    show(
        f"{facts['output']} has {count(facts['rows'], 'row')}, {full:,} of them with"
        f" {count(negatives, 'negative')} or more: {facts['mined']:,} mined in"
        f" {facts['seconds']:,.1f} s"
    )
    fewer = [
        f"{rows:,} with {number:,}"
        for number, rows in facts["rows_by_negatives"].items()
        if number < negatives
    ]
    if fewer:
        remedy = "" if facts["dropped"]["teacher"] else "; a larger --depth may find more"
        show(f"rows with fewer: {', '.join(fewer)}{remedy}", indent=2)
    for reason, number in facts["dropped"].items():
        if number:
            show(f"{count(number, 'candidate')} dropped that {_DROPPED[reason]}", indent=2)
