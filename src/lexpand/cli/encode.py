"""`lexpand encode`: texts to terms and weights."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from lexpand.cli.app import command
from lexpand.cli.options import Json, Model, Threads
from lexpand.cli.output import print_json, results
from lexpand.encode import Encoder, Role, Trace


@command
def encode(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="The texts; '-' reads one a line from standard input."),
    ],
    role: Annotated[Role, typer.Option(help="What the texts are encoded as.")] = Role.DOCUMENT,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Print the terms of each TEXT with their weights, strongest first; an expansion term with the word it came from.

    With --json, each text is one line: {"text": ..., "terms": {term: weight}}.
    """
    encoder = Encoder.load(model or "default", threads=threads)
    for text in _lines(texts):
        trace = encoder.trace(text, role)
        ordered = sorted(trace.weights, key=lambda term: (-trace.weights[term], term))
        if as_json:
            weights = {encoder.vocabulary.term(term): trace.weights[term] for term in ordered}
            print_json({"text": text, "terms": weights})
            continue
        results.print(f"[bold]{escape(text)}[/]", soft_wrap=True)
        for term in ordered:
            results.print(f"  {trace.weights[term]:.3f}  {escape(encoder.vocabulary.term(term))}{_origin(trace, term)}")


def _lines(texts: list[str]) -> list[str]:
    if texts == ["-"]:
        return [line.rstrip("\n") for line in typer.get_text_stream("stdin")]
    return texts


def _origin(trace: Trace, term: int) -> str:
    if term in trace.input_terms:
        return ""
    word = trace.word(term)
    return f" [dim]from {'the whole text' if word is None else escape(repr(word))}[/]"
