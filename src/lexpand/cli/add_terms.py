"""`lexpand model add-terms`: words of a corpus as terms of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.model import Folder, Force, Name, Optimize, named, show_made
from lexpand.cli.options import OUTPUT, SOURCE, Json, Verbose
from lexpand.cli.output import count, print_json, print_refused, say, show
from lexpand.data import Fields, read_documents
from lexpand.data.streams import STDIN, bad_utf8, read_lines, split_compression
from lexpand.errors import DataError, RowError
from lexpand.models import NewTerm, add_terms, choose_terms


def add_terms_command(
    model: Folder,
    dest: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST",
            help="The model folder to create.",
            show_default="required unless --list is given",
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            "--texts",
            metavar="SOURCE",
            help="Choose words of these documents: any source of `lexpand index`, or JSON lines of "
            "training rows. Repeat the option for several.",
            show_default="none",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    terms: Annotated[
        Path | None,
        typer.Option(
            "--terms",
            metavar="FILE",
            help="Add the words of this file instead, one in each line.",
            show_default="none",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    number: Annotated[
        int,
        typer.Option("-n", "--count", min=1, help="Choose at most this many words."),
    ] = 1000,
    min_documents: Annotated[
        int,
        typer.Option(
            "--min-documents", min=1, help="Choose words that occur in this many documents."
        ),
    ] = 5,
    list_only: Annotated[
        bool,
        typer.Option(
            "--list",
            help="Print the words with their documents and pieces, and write nothing.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    name: Name = None,
    optimize: Optimize = True,
    force: Force = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy FOLDER to DEST with more terms: words that its tokenizer splits into pieces.

    The words are chosen from --texts, or given with --terms. A new term begins with the mean of its
    pieces' weights, so DEST can be used at once, and trained from there. Indexes must be made again
    with DEST. The tokenizer must be WordPiece (BERT, DistilBERT).
    """
    if bool(texts) == (terms is not None):
        raise typer.BadParameter("give either --texts or --terms")
    if list_only and terms is not None:
        raise typer.BadParameter("--list needs --texts")
    if dest is None and not list_only:
        raise typer.BadParameter("give the folder to create", param_hint="'DEST'")
    refused: list[RowError] = []
    chosen = (
        choose_terms(model, _texts(texts, refused), number, min_documents=min_documents)
        if texts
        else []
    )
    print_refused(refused)
    if list_only:
        _print(chosen, as_json)
    else:
        assert dest is not None
        words = [term.word for term in chosen] if terms is None else _words(terms)
        if not words:
            raise DataError(
                "the texts must have words that the tokenizer splits, got none in "
                f"{min_documents} documents or more: give more texts, or lower --min-documents"
            )
        _add(model, words, dest, as_json, name=name, optimize=optimize, force=force)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _add(model: str, words: Sequence[str], dest: Path, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - options of add_terms
    done = add_terms(model, words, dest, on_step=lambda step: say(step, "dim"), **options)
    made = done.imported
    for note in made.notes:
        say(note, "yellow")
    if done.skipped:
        say(
            f"{count(len(done.skipped), 'word')} skipped, terms already: {done.skipped[0]}",
            "yellow",
        )
    if as_json:
        facts = {"path": made.path, **named(made.model)}
        facts |= {"terms": done.terms, "skipped": done.skipped, "vocabulary_size": done.size}
        print_json(facts | {"optimized": made.optimized, "reference": made.reference})
        return
    detail = f", with {count(len(done.terms), 'new term')}, {done.size:,} in all"
    show_made(dest, made, options["optimize"], detail)


def _print(chosen: Sequence[NewTerm], as_json: bool) -> None:
    if as_json:
        print_json({"terms": [asdict(term) for term in chosen]})
        return
    for term in chosen:
        documents = count(term.documents, "document")
        show((term.word, "bold"), f"  {documents}, now {' '.join(term.pieces)}")
    if not chosen:
        show("no word that the tokenizer splits occurs in enough documents")


def _texts(sources: Sequence[Path], refused: list[RowError]) -> Iterator[str]:
    """Yield the texts of documents, and of training rows with their queries."""
    for source in sources:
        documents = read_documents(source, fields=_fields(source), on_bad_row=refused.append)
        for document in documents:
            query = document.metadata.get("query")
            yield f"{query} {document.full_text}" if isinstance(query, str) else document.full_text


def _fields(source: Path) -> Fields:
    """Return the field of the text in training rows, which is ``positive`` or a default name."""
    if source == STDIN or split_compression(source)[0] not in (".jsonl", ".ndjson"):
        return Fields()
    for _, line in read_lines(source):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                return Fields()
            return (
                Fields(text="positive") if isinstance(row, dict) and "positive" in row else Fields()
            )
    return Fields()


def _words(path: Path) -> list[str]:
    """Read a word from each line; blank lines are skipped."""
    words = []
    for number, line in read_lines(path):
        try:
            word = line.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: {bad_utf8(error)}") from None
        if word:
            words.append(word)
    if not words:
        raise DataError(f"{path} must have a word in some line, got none: write one in each line")
    return words
