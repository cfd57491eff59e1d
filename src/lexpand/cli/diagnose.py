"""`lexpand lint` and `lexpand oov`: problems of an index or of queries, and their fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_ERROR
from lexpand.cli.options import (
    DtypeOption,
    IndexPath,
    Json,
    Model,
    QueryRules,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import count, is_watched, print_json, say, show
from lexpand.data import Query, read_queries
from lexpand.data.streams import split_compression
from lexpand.diagnose.finding import Finding, Severity
from lexpand.diagnose.linting import SAMPLE, lint
from lexpand.diagnose.oov import BrokenWord, find_broken_words
from lexpand.encode import Encoder
from lexpand.encode.progress import reporting
from lexpand.errors import ModelError
from lexpand.index import Index
from lexpand.search import encoder_of

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_QUERY_FILES = (".jsonl", ".ndjson", ".json", ".tsv")


def lint_command(
    index_path: IndexPath,
    hub_share: Annotated[
        float | None,
        typer.Option(
            "--hub-share",
            min=0.0,
            max=1.0,
            help="List terms in more than this share of the documents.",
            show_default="not checked",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample", min=0, help="The number of documents that are checked for near duplicates."
        ),
    ] = SAMPLE,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check INDEX for empty vectors, boilerplate, duplicates, truncated documents and more.

    Each finding comes with advice (docs/diagnostics.md). The exit code is 1 if some documents
    cannot be found.
    """
    with Index.open(index_path) as index:
        encoder = _encoder_if_there(index, model, threads)
        passages = index.info().live_passages
        with reporting(passages + min(passages, sample), "checking", is_watched()) as on_done:
            findings = lint(index, encoder, hub_share=hub_share, sample=sample, on_done=on_done)
    if as_json:
        print_json({"findings": findings, "passages": passages})
    else:
        for finding in findings:
            _print_finding(finding)
        show(f"{count(len(findings), 'finding')} in {count(passages, 'vector')}")
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(EXIT_ERROR)


def oov_command(
    index_path: IndexPath,
    queries: Annotated[
        str,
        typer.Argument(
            metavar="QUERIES",
            help="A query file (.jsonl, .tsv), a BEIR folder, or the text of one query.",
        ),
    ],
    k: Annotated[
        int,
        typer.Option("-k", "--top", min=1, help="The depth of the rankings that are checked."),
    ] = 10,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show the words of QUERIES that the model's tokenizer splits, and how to fix their searches.

    The BM25 field of INDEX shows which documents have the whole word (docs/diagnostics.md).
    """
    with Index.open(index_path) as index:
        encoder = encoder_of(
            index,
            model=model,
            threads=threads,
            rules=rules,
            queries=query_encoding(None, None, dtype),
        )
        asked = _queries(queries)
        with reporting(len(asked), "checking", is_watched()) as on_done:
            words = find_broken_words(index, encoder, asked, k=k, on_done=on_done)
    if as_json:
        print_json({"words": words, "queries": len(asked)})
        return
    for word in words:
        _print_word(word)
    noun = "query" if len(asked) == 1 else "queries"
    show(f"{count(len(words), 'split word')} in {len(asked):,} {noun}")


def _encoder_if_there(index: Index, model: str | None, threads: int | None) -> Encoder | None:
    """Return the encoder of the index; None if its model is gone and none was named."""
    try:
        return encoder_of(index, model=model, threads=threads)
    except ModelError as error:
        if model is not None:
            raise
        say(str(error), "yellow")
        return None


def _queries(given: str) -> list[Query]:
    path = Path(given)
    if path.exists() or split_compression(path)[0] in _QUERY_FILES:
        return list(read_queries(path))
    return [Query("query", given)]


def _print_finding(finding: Finding) -> None:
    show(
        (finding.severity, _STYLES[finding.severity]),
        f" {finding.kind}: {finding.count:,} {finding.what}",
    )
    if finding.examples:
        show(", ".join(finding.examples), indent=2)
    show((finding.advice, "green"), indent=2)


def _print_word(word: BrokenWord) -> None:
    queries = f"{word.queries:,} {'query' if word.queries == 1 else 'queries'}"
    show((word.word, "bold"), f" is read as {' '.join(word.pieces)}, in {queries}: {word.query}")
    known = f"{word.share:.0%} of the query's weight is on these pieces"
    if word.documents is not None:
        having, missed = count(word.documents, "document"), len(word.missed)
        known += f"; {having} with the word, {missed:,} of them missed by the vectors"
    if word.missed:
        known += f", of which BM25 finds {word.by_words:,}"
    if word.documents:
        known += "; by default " + (
            f"the first has rank {word.rank:,}" if word.rank else "none is found"
        )
    show(known, indent=2)
    show((word.advice, "green"), indent=2)
    if word.needs_pin:
        for text in word.pin.splitlines():
            show((text, "dim"), indent=4)
