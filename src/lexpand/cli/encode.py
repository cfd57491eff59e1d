"""`lexpand encode`: texts to terms and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from lexpand.cli.options import Json, Threads, Verbose
from lexpand.cli.output import print_json, show
from lexpand.encode import Encoder, Role, Trace
from lexpand.errors import DataError


def encode(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT", help="The texts; '-' stands for standard input, a text a line."),
    ],
    role: Annotated[Role, typer.Option("--role", help="What the texts are encoded as.")] = Role.DOCUMENT,
    model: Annotated[str, typer.Option("--model", help="Model folder, or 'default' for the packaged one.")] = "default",
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the terms of each TEXT with their weights, strongest first; an expansion term with the word it came from.

    With --json, each text is one line: {"text": ..., "terms": {term: weight}}.
    """
    encoder = Encoder.load(model, threads=threads)
    for text in _lines(texts):
        trace = encoder.trace(text, role)
        ordered = sorted(trace.weights, key=lambda term: (-trace.weights[term], term))
        if as_json:
            weights = {encoder.vocabulary.term(term): trace.weights[term] for term in ordered}
            print_json({"text": text, "terms": weights})
            continue
        show((text, "bold"))
        for term in ordered:
            show(f"{trace.weights[term]:.3f}  {encoder.vocabulary.term(term)}", *_origin(trace, term), indent=2)


def _lines(texts: list[str]) -> Iterator[str]:
    for text in texts:
        if text == "-":
            yield from _standard_input()
        else:
            yield text


def _standard_input() -> Iterator[str]:
    for number, line in enumerate(typer.get_binary_stream("stdin"), 1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"standard input, line {number}: invalid UTF-8 ({error.reason}): give UTF-8") from error


def _origin(trace: Trace, term: int) -> tuple[tuple[str, str], ...]:
    if term in trace.input_terms:
        return ()
    word = trace.word(term)
    return ((f" from {'the whole text' if word is None else repr(word)}", "dim"),)
