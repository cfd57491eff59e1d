"""`lexpand search`: a question to documents."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from lexpand.cli.options import IndexPath, Json, Model, QueryText, Threads, Verbose
from lexpand.cli.output import count, print_json, show
from lexpand.explain import Contribution, Explanation, explain
from lexpand.search import Hit, Retriever

# Terms shown for a hit; `lexpand explain` shows all.
_TERMS = 6

# As many as an index can hold.
_MOST = 2**32 - 1


def search(
    index_path: IndexPath,
    query: QueryText,
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=_MOST, help="How many documents.")] = 10,
    reasons: Annotated[bool, typer.Option("--explain", help="Show the terms that made each hit.")] = False,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Find the documents of INDEX that answer QUERY best."""
    with Retriever.open(index_path, model=model, threads=threads) as retriever:
        start = time.perf_counter()
        hits = retriever.search(query, k)
        milliseconds = (time.perf_counter() - start) * 1e3
        why = [explain(retriever.index, retriever.encoder, query, hit.doc_id) for hit in hits] if reasons else []
        documents = len(retriever.index)
    if as_json:
        found = [asdict(hit) for hit in hits]
        for plain, explanation in zip(found, why, strict=False):
            plain["explanation"] = asdict(explanation)
        print_json({"query": query, "milliseconds": round(milliseconds, 3), "hits": found})
        return
    for place, hit in enumerate(hits):
        print_hit(hit, why[place] if why else None)
    if hits:
        show((f"{count(len(hits), 'document')} in {milliseconds:.1f} ms", "dim"))
    else:
        show(f"nothing found: {_why_nothing(query, documents)}")


def print_hit(hit: Hit, explanation: Explanation | None) -> None:
    """One hit, with its strongest terms where they are explained."""
    title = ((hit.title, "bold"), "  ") if hit.title else ()
    show(f"{hit.rank:>3}. ", *title, (hit.doc_id, "dim"), "  ", (f"{hit.score:.3f}", "cyan"))
    show(hit.snippet, indent=5)
    if explanation is not None:
        terms = [_short(part) for part in explanation.contributions[:_TERMS]]
        more = len(explanation.contributions) - len(terms)
        show((", ".join(terms), "green"), f" and {more} more" if more > 0 else "", indent=5)


def _short(part: Contribution) -> str:
    """A term, its contribution, and for an expansion the words that it came from, query's and document's."""
    words = [side.word or "the whole text" for side in (part.query, part.document) if side.expansion]
    origin = f" (from {' and '.join(dict.fromkeys(words))})" if words else ""
    return f"{part.term} {part.contribution:.2f}{origin}"


def _why_nothing(query: str, documents: int) -> str:
    if not documents:
        return "the index holds no document"
    if not query.strip():
        return "the query has no words"
    return "no document shares a term with the query"
