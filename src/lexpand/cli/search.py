"""`lexpand search`: a question to documents."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, replace
from typing import Annotated

import typer

from lexpand.cli.explain_tables import marked, shortly
from lexpand.cli.options import (
    DtypeOption,
    FilterText,
    IndexPath,
    Json,
    Model,
    PipelineOption,
    QueryModeOption,
    QueryPrune,
    QueryRules,
    QueryText,
    Threads,
    Verbose,
)
from lexpand.cli.output import count, print_json, say, show
from lexpand.errors import LexpandWarning
from lexpand.explain import Explanation, explain
from lexpand.search import Hit, Pipeline, open_retriever
from lexpand.search.parts import Rerank, Splade

# Terms shown for a hit; `lexpand explain` shows all.
_TERMS = 6

# As many as an index can hold.
_MOST = 2**32 - 1


def search(
    index_path: IndexPath,
    query: QueryText,
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=_MOST, help="How many documents.")] = 10,
    reasons: Annotated[bool, typer.Option("--explain", help="Show the terms that made each hit.")] = False,
    filter_text: FilterText = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="FIELD",
            help="Of the documents with one value of this metadata field, only the best.",
            show_default="no groups",
        ),
    ] = None,
    effort: Annotated[
        float,
        typer.Option(
            "--effort",
            min=0.0,
            max=1.0,
            help="Share of the query's postings that is read, strongest first: below 1 quicker, but not exact.",
        ),
    ] = 1.0,
    pipeline: PipelineOption = "splade",
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank",
            metavar="MODEL",
            help="Put the best documents in order by a cross-encoder: a model folder or an ONNX file.",
            show_default="as the pipeline says",
        ),
    ] = None,
    rerank_depth: Annotated[
        int | None,
        typer.Option("--rerank-depth", min=1, max=_MOST, help="How many are reranked.", show_default="100"),
    ] = None,
    rerank_budget: Annotated[
        float | None,
        typer.Option(
            "--rerank-budget",
            min=0.0,
            metavar="MS",
            help="Milliseconds that reranking may take; what is not reached stays below in its order.",
            show_default="as long as it takes",
        ),
    ] = None,
    query_mode: QueryModeOption = None,
    prune: QueryPrune = None,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Find the documents of INDEX that answer QUERY best."""
    made = Pipeline.load(pipeline)
    if made != Pipeline() and effort < 1:
        raise typer.BadParameter("--effort is for --pipeline splade")
    if effort < 1:
        made = Pipeline((Splade(effort=effort),))
    made = _reranking(made, rerank, rerank_depth, rerank_budget)
    if reasons and made.rerank is not None:
        raise typer.BadParameter("--explain shows what a score is made of, and a reranker's has no parts")
    with open_retriever(
        index_path,
        made,
        model=model,
        threads=threads,
        query_mode=query_mode,
        query_pruning=prune,
        rules=rules,
        query_dtype=dtype,
    ) as retriever:
        start = time.perf_counter()
        with warnings.catch_warnings(category=LexpandWarning, action="ignore"):  # the notes say the same
            hits = retriever.search(query, k, filter=filter_text, group_by=group_by)
        milliseconds = (time.perf_counter() - start) * 1e3
        why = [explain(retriever, query, hit.doc_id, filter=filter_text) for hit in hits] if reasons else []
        documents = len(retriever.index)
    if as_json:
        found = [asdict(hit) for hit in hits]
        for plain, explanation in zip(found, why, strict=False):
            plain["explanation"] = explanation.to_dict()
        notes = [{**asdict(note), "text": str(note)} for note in hits.notes]
        print_json({"query": query, "milliseconds": round(milliseconds, 3), "hits": found, "notes": notes})
        return
    for place, hit in enumerate(hits):
        print_hit(hit, why[place] if why else None)
    if hits:
        show((f"{count(len(hits), 'document')} in {milliseconds:.1f} ms", "dim"))
    else:
        show(f"nothing found: {_why_nothing(query, documents, filter_text)}")
    for note in hits.notes:
        say(str(note), "yellow")


def _reranking(pipeline: Pipeline, model: str | None, depth: int | None, budget: float | None) -> Pipeline:
    """The pipeline with what the command line says of reranking in the place of its own."""
    made = pipeline.rerank
    if model is not None:
        made = Rerank(model) if made is None else replace(made, model=model)
    if made is None:
        if depth is not None or budget is not None:
            raise typer.BadParameter("--rerank-depth and --rerank-budget need --rerank, or a pipeline that reranks")
        return pipeline
    made = replace(
        made,
        depth=made.depth if depth is None else depth,
        budget_ms=made.budget_ms if budget is None else budget,
    )
    return replace(pipeline, rerank=made)


def print_hit(hit: Hit, explanation: Explanation | None) -> None:
    """One hit, with its strongest terms where they are explained."""
    title = ((hit.title, "bold"), "  ") if hit.title else ()
    show(f"{hit.rank:>3}. ", *title, (hit.doc_id, "dim"), "  ", (f"{hit.score:.3f}", "cyan"))
    if explanation is None:
        show(hit.snippet, indent=5)
        return
    show(*marked(explanation.snippet()), indent=5)
    show((shortly(explanation, _TERMS), "green"), indent=5)


def _why_nothing(query: str, documents: int, filter_text: str | None) -> str:
    if not documents:
        return "the index holds no document"
    if not query.strip():
        return "the query has no words"
    among = " that the filter lets through" if filter_text else ""
    return f"no document{among} shares a term with the query"
