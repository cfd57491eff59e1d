"""`lexpand explain`: why a document has its score."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.options import IndexPath, Json, Model, QueryText, Threads, Verbose
from lexpand.cli.output import count, line, print_json, show, show_table
from lexpand.explain import Contribution, Explanation, Side, explain
from lexpand.index import Index
from lexpand.search import encoder_of


def explain_command(
    index_path: IndexPath,
    query: QueryText,
    doc_id: Annotated[str, typer.Argument(metavar="DOC_ID", help="The document.")],
    terms: Annotated[int, typer.Option("--terms", min=1, help="How many terms to show; --json has all.")] = 20,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show which terms make the score of document DOC_ID for QUERY, and which words they came from."""
    with Index.open(index_path) as index:
        explanation = explain(index, encoder_of(index, model=model, threads=threads), query, doc_id)
    if as_json:
        print_json(asdict(explanation))
    else:
        print_explanation(explanation, terms)


def print_explanation(explanation: Explanation, terms: int) -> None:
    """A table of the strongest contributions, their sum, and the query's terms that the document lacks."""
    show(
        (explanation.title or explanation.doc_id, "bold"),
        " ",
        (explanation.doc_id, "dim"),
        " scores ",
        (f"{explanation.score:.3f}", "cyan"),
        " for ",
        (explanation.query, "bold"),
    )
    shown, rest = explanation.contributions[:terms], explanation.contributions[terms:]
    if shown:
        show_table(_table(shown))
    if rest:
        show(f"{sum(part.contribution for part in rest):.3f} from {count(len(rest), 'more term')}")
    if explanation.unmatched:
        names = ", ".join(f"{term} {weight:.2f}" for term, weight in explanation.unmatched[:10])
        more = len(explanation.unmatched) - 10
        tail = f" and {more} more" if more > 0 else ""
        show((f"in the query, not in the document: {names}{tail}", "dim"))


def _table(parts: tuple[Contribution, ...]) -> Table:
    table = Table("contribution", "term", "query", "document", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for part in parts:
        cells = (f"{part.contribution:.3f}", part.term, _describe(part.query), _describe(part.document))
        table.add_row(*map(line, cells))
    return table


def _describe(side: Side) -> str:
    """``0.53 input``, or ``0.21 from 'crash'`` for an expansion term."""
    if not side.expansion:
        return f"{side.weight:.2f} input"
    return f"{side.weight:.2f} from {'the whole text' if side.word is None else repr(side.word)}"
