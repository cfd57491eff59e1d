"""`lexpand explain`: explain the score of a document, or why it ranks below another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.engine_search import explain_address, is_address
from lexpand.cli.explain_tables import print_explanation, print_why_not
from lexpand.cli.options import (
    Authority,
    CredentialsFile,
    DtypeOption,
    FilterText,
    IndexOrAddress,
    Json,
    Model,
    PipelineOption,
    QueryModeOption,
    QueryPrune,
    QueryRules,
    QueryText,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import print_json
from lexpand.collection import open as open_collection
from lexpand.data.streams import atomic_write
from lexpand.errors import DataError
from lexpand.explanation import Explanation, WhyNot


def explain_command(
    where: IndexOrAddress,
    query: QueryText,
    doc_id: Annotated[str, typer.Argument(metavar="DOC_ID", help="The document.")],
    why_missing: Annotated[
        bool,
        typer.Option(
            "--why-not",
            help="Show why the document is not found, or not ranked higher: its rank, its losses, "
            "and the terms that put the best hit above it.",
        ),
    ] = False,
    than: Annotated[
        str | None,
        typer.Option(
            "--than",
            metavar="OTHER",
            help="Compare with this document.",
            show_default="the best hit",
        ),
    ] = None,
    k: Annotated[
        int,
        typer.Option(
            "-k", "--top", min=1, help="With --why-not: the number of documents of the search."
        ),
    ] = 10,
    terms: Annotated[
        int, typer.Option("--terms", min=1, help="The number of terms to show. --json has all.")
    ] = 20,
    filter_text: FilterText = None,
    pipeline: PipelineOption = None,
    query_mode: QueryModeOption = None,
    prune: QueryPrune = None,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write an HTML page with the marked texts.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file of --html.")
    ] = False,
    model: Model = None,
    credentials: CredentialsFile = None,
    ca: Authority = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show the terms behind the score of document DOC_ID for QUERY, and the words behind them."""
    if html is not None and html.exists() and not force:
        raise DataError(f"{html} exists: choose another file, or replace it with --force")
    encoding = query_encoding(query_mode, prune, dtype)
    answer: Explanation | WhyNot
    if is_address(where):
        if why_missing or any(each is not None for each in (than, filter_text, pipeline, rules)):
            raise typer.BadParameter(
                "an engine has vectors alone: leave out --why-not, --than, --filter, --pipeline and"
                " --rules"
            )
        answer = explain_address(where, query, doc_id, model, encoding, threads, (credentials, ca))
    else:
        with open_collection(
            Path(where), pipeline, model=model, threads=threads, queries=encoding, rules=rules
        ) as kb:
            if why_missing or than is not None:
                answer = kb.why_not(query, doc_id, than, k=k, filter=filter_text)
            else:
                answer = kb.explain(query, doc_id, filter=filter_text)
    if html is not None:
        with atomic_write(html) as file:
            file.write(answer.to_html().encode())
    if as_json:
        print_json(answer.to_dict())
    elif isinstance(answer, WhyNot):
        print_why_not(answer, terms)
    else:
        print_explanation(answer, terms)
