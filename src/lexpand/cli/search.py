"""`lexpand search`: find documents."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.engine_search import is_address, search_engine
from lexpand.cli.explain_tables import marked, shortly
from lexpand.cli.options import (
    OUTPUT,
    RERANKING,
    SEARCH,
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
from lexpand.cli.output import count, print_json, say, show
from lexpand.collection import Collection
from lexpand.collection import open as open_collection
from lexpand.errors import LexpandWarning
from lexpand.explanation import Explanation
from lexpand.search import Hit, Hits, Pipeline
from lexpand.search.parts import Rerank, Splade
from lexpand.search.snippet import shown_snippet

# Terms shown for a hit. `lexpand explain` shows more.
_TERMS = 6

# The largest number of documents that an index can hold.
_MOST = 2**32 - 1


def search(
    where: IndexOrAddress,
    query: QueryText,
    k: Annotated[
        int, typer.Option("-k", "--top", min=1, max=_MOST, help="The number of documents.")
    ] = 10,
    reasons: Annotated[
        bool,
        typer.Option("--explain", help="Show the terms behind each hit.", rich_help_panel=OUTPUT),
    ] = False,
    filter_text: FilterText = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="FIELD",
            help="Return only the best document for each value of this metadata field.",
            show_default="no grouping",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    effort: Annotated[
        float,
        typer.Option(
            "--effort",
            min=0.0,
            max=1.0,
            help="Share of the query's postings that is read, highest impacts first. Below 1 the "
            "search is approximate and faster.",
            rich_help_panel=SEARCH,
        ),
    ] = 1.0,
    pipeline: PipelineOption = None,
    passages: Annotated[
        int,
        typer.Option(
            "--passages",
            min=1,
            help="Passages to show of each document that is in chunks.",
            rich_help_panel=OUTPUT,
        ),
    ] = 1,
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score",
            metavar="S",
            help="Leave out documents below this score.",
            show_default="none",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank",
            metavar="MODEL",
            help="Rerank the best documents with a cross-encoder: a model folder or an ONNX file.",
            show_default="as in the pipeline",
            rich_help_panel=RERANKING,
        ),
    ] = None,
    rerank_depth: Annotated[
        int | None,
        typer.Option(
            "--rerank-depth",
            min=1,
            max=_MOST,
            help="The number of documents to rerank.",
            show_default="100",
            rich_help_panel=RERANKING,
        ),
    ] = None,
    rerank_budget: Annotated[
        float | None,
        typer.Option(
            "--rerank-budget",
            min=0.0,
            metavar="MS",
            help="Time limit of reranking in milliseconds. Documents that are not reached keep "
            "their order, below the others.",
            show_default="no limit",
            rich_help_panel=RERANKING,
        ),
    ] = None,
    query_mode: QueryModeOption = None,
    prune: QueryPrune = None,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    model: Model = None,
    credentials: CredentialsFile = None,
    ca: Authority = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Find the documents of INDEX that answer QUERY best."""
    if is_address(where):
        _refuse_local_options(reasons, group_by, effort, rerank, rerank_depth, rerank_budget, rules)
        encoding = query_encoding(query_mode, prune, dtype)
        search_engine(
            where,
            query,
            k,
            filter_text,
            min_score,
            pipeline,
            model,
            encoding,
            threads,
            (credentials, ca),
            as_json,
        )
        return
    index_path = Path(where)
    made = None if pipeline is None else Pipeline.load(pipeline)
    if effort < 1:
        if made not in (None, Pipeline()):
            raise typer.BadParameter("--effort is for --pipeline splade")
        made = Pipeline((Splade(effort=effort),))
    with open_collection(
        index_path,
        made,
        model=model,
        threads=threads,
        queries=query_encoding(query_mode, prune, dtype),
        rules=rules,
    ) as kb:
        chosen = _reranking(kb.pipeline, rerank, rerank_depth, rerank_budget)
        if reasons and chosen.rerank is not None:
            raise typer.BadParameter(
                "--explain cannot take the score of a reranker apart: leave out one of the two"
            )
        pipeline_asked = chosen if chosen != kb.pipeline else None
        kb.retriever(pipeline_asked)  # load the model before the clock starts
        start = time.perf_counter()
        # The notes on the hits repeat what warnings say.
        with warnings.catch_warnings(category=LexpandWarning, action="ignore"):
            hits = kb.search(
                query,
                k,
                filter=filter_text,
                group_by=group_by,
                pipeline=pipeline_asked,
                passages=passages,
                min_score=min_score,
            )
        milliseconds = (time.perf_counter() - start) * 1e3
        why = [kb.explain(query, hit.doc_id, filter=filter_text) for hit in hits] if reasons else []
        nothing = "" if hits else _why_nothing(kb, query, filter_text, min_score)
    _print_result(hits, why, milliseconds, nothing, as_json)


def _print_result(
    hits: Hits, why: Sequence[Explanation], milliseconds: float, nothing: str, as_json: bool
) -> None:
    if as_json:
        found = hits.to_dict()
        for plain, explanation in zip(found["hits"], why, strict=False):
            plain["explanation"] = explanation.to_dict()
        print_json({**found, "milliseconds": round(milliseconds, 3)})
        return
    for place, hit in enumerate(hits):
        print_hit(hit, why[place] if why else None)
    if hits:
        show((f"{count(len(hits), 'document')} in {milliseconds:.1f} ms", "dim"))
    else:
        show(f"nothing found: {nothing}")
    for note in hits.notes:
        if str(note) != nothing:
            say(str(note), "yellow")


def _refuse_local_options(*options: object) -> None:
    """Raise if an option is set that only a local index has; ``effort`` is 1.0 if it is not set."""
    if any(option not in (None, False, 1.0) for option in options):
        raise typer.BadParameter(
            "an engine is searched as it is: leave out --explain, --group-by, --effort, --rules and"
            " the options of reranking"
        )


def _reranking(
    pipeline: Pipeline, model: str | None, depth: int | None, budget: float | None
) -> Pipeline:
    """Return the pipeline with the reranking options of the command line."""
    made = pipeline.rerank
    if model is not None:
        made = Rerank(model) if made is None else replace(made, model=model)
    if made is None:
        if depth is not None or budget is not None:
            raise typer.BadParameter(
                "--rerank-depth and --rerank-budget need --rerank, or a pipeline that reranks"
            )
        return pipeline
    made = replace(
        made,
        depth=made.depth if depth is None else depth,
        budget_ms=made.budget_ms if budget is None else budget,
    )
    return replace(pipeline, rerank=made)


def print_hit(hit: Hit, explanation: Explanation | None) -> None:
    """Print a hit, and its strongest terms if it is explained."""
    title = ((hit.title, "bold"), "  ") if hit.title else ()
    show(f"{hit.rank:>3}. ", *title, (hit.doc_id, "dim"), "  ", (f"{hit.score:.3f}", "cyan"))
    if explanation is None:
        show(hit.snippet, indent=5)
    else:
        show(*marked(explanation.snippet()), indent=5)
        show((shortly(explanation, _TERMS), "green"), indent=5)
    for passage in hit.passages[1:]:
        show(shown_snippet(passage.text, ""), indent=5)


def _why_nothing(
    kb: Collection, query: str, filter_text: str | None, min_score: float | None
) -> str:
    if not len(kb):
        return "the index holds no document"
    if not query.strip():
        return "the query has no words"
    among = " that the filter lets through" if filter_text else ""
    if min_score is not None:
        return f"no document{among} has a score of at least {min_score:g}"
    return f"no document{among} shares a term with the query"
