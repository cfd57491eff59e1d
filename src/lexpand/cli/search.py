"""`lexpand search`: a question to documents."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from lexpand.cli.app import command
from lexpand.cli.options import IndexPath, Json, Model, Threads
from lexpand.cli.output import count, print_json, results
from lexpand.explain import Contribution, Explanation, explain
from lexpand.search import Hit, Retriever

# Terms shown for a hit; `lexpand explain` shows all.
_TERMS = 6


@command
def search(
    index_path: IndexPath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question, in words.")],
    k: Annotated[int, typer.Option("-k", "--top", min=1, help="How many documents.")] = 10,
    reasons: Annotated[bool, typer.Option("--explain", help="Show the terms that made each hit.")] = False,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Find the documents of INDEX that answer QUERY best."""
    with Retriever.open(index_path, model=model, threads=threads) as retriever:
        start = time.perf_counter()
        hits = retriever.search(query, k)
        milliseconds = (time.perf_counter() - start) * 1e3
        why = [explain(retriever.index, retriever.encoder, query, hit.doc_id) for hit in hits] if reasons else []
    if as_json:
        found = [asdict(hit) for hit in hits]
        for plain, explanation in zip(found, why, strict=False):
            plain["explanation"] = asdict(explanation)
        print_json({"query": query, "milliseconds": round(milliseconds, 3), "hits": found})
        return
    for place, hit in enumerate(hits):
        print_hit(hit, why[place] if why else None)
    if not hits:
        results.print("nothing found: no document shares a term with the query")
    else:
        results.print(f"[dim]{count(len(hits), 'document')} in {milliseconds:.1f} ms[/]")


def print_hit(hit: Hit, explanation: Explanation | None) -> None:
    """One hit, with its strongest terms where they are explained."""
    title = f"[bold]{escape(hit.title)}[/]  " if hit.title else ""
    results.print(f"{hit.rank:>3}. {title}[dim]{escape(hit.doc_id)}[/]  [cyan]{hit.score:.3f}[/]", soft_wrap=True)
    results.print(f"     {escape(hit.snippet)}", soft_wrap=True)
    if explanation is not None:
        terms = [_short(part) for part in explanation.contributions[:_TERMS]]
        more = len(explanation.contributions) - len(terms)
        results.print(
            f"     [green]{escape(', '.join(terms))}[/]{f' and {more} more' if more > 0 else ''}",
            soft_wrap=True,
        )


def _short(part: Contribution) -> str:
    """A term, its contribution, and for an expansion the words that it came from, query's and document's."""
    words = [side.word or "the whole text" for side in (part.query, part.document) if side.expansion]
    origin = f" (from {' and '.join(dict.fromkeys(words))})" if words else ""
    return f"{part.term} {part.contribution:.2f}{origin}"
