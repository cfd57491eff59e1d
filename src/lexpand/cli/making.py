"""Options of commands that put documents into an index, and the wishes that they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lexpand.cli.options import ENCODING, INDEX, PRUNING_RULES, SOURCE
from lexpand.collection.making import Wishes
from lexpand.data import Chunks, Dtype, Fields, Long, LongDocuments

CommitEvery = Annotated[
    int,
    typer.Option(
        "--commit-every", min=1, help="Documents between two commits.", rich_help_panel=INDEX
    ),
]
IdField = Annotated[
    str | None,
    typer.Option(
        "--id-field",
        help="Field of the id.",
        show_default="doc_id, id or _id, else a hash",
        rich_help_panel=SOURCE,
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(
        "--text-field",
        help="Field of the text.",
        show_default="text, contents, content or body",
        rich_help_panel=SOURCE,
    ),
]
TitleField = Annotated[
    str | None,
    typer.Option(
        "--title-field",
        help="Field of the title.",
        show_default="title, if there",
        rich_help_panel=SOURCE,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        help="Read at most this many tokens of a document.",
        show_default="the model's limit",
        rich_help_panel=ENCODING,
    ),
]
Words = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="LANGUAGE",
        help="Language of the words that are indexed next to the vectors, for the pipelines hybrid, best and bm25; "
        "'none' for no words.",
        show_default="english",
        rich_help_panel=INDEX,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=TYPE",
        help="Metadata field that filters ask for often, with its type: integer, number, keyword or boolean. "
        "May be given several times.",
        show_default="none",
        rich_help_panel=INDEX,
    ),
]
LongPolicy = Annotated[
    Long | None,
    typer.Option(
        "--long",
        help="What becomes of documents longer than that: truncate them, encode them in chunks, or refuse them as rows "
        "that cannot be used.",
        show_default="truncate",
        rich_help_panel=ENCODING,
    ),
]
ChunksAs = Annotated[
    Chunks | None,
    typer.Option(
        "--chunks",
        help="What chunks become: passages of the index, the best of which finds the document (passages), or one vector "
        "with the largest weights (max).",
        show_default="passages",
        rich_help_panel=ENCODING,
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        help="Tokens that a chunk may share with the one before.",
        show_default="an eighth of it",
        rich_help_panel=ENCODING,
    ),
]
TitleWeight = Annotated[
    float | None,
    typer.Option(
        "--title-weight",
        min=0,
        metavar="W",
        help="Add the vector of a document's title to its own, times W: 0.2 is good where titles say what documents "
        "are about. Not with --long chunk.",
        show_default="0",
        rich_help_panel=ENCODING,
    ),
]
Prune = Annotated[
    str | None,
    typer.Option(
        "--prune",
        metavar="RULES",
        help="Keep fewer terms of a document: " + PRUNING_RULES,
        show_default="keep all",
        rich_help_panel=ENCODING,
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="Edit vectors by the rules of this file (docs/rules.md): terms banned, capped, boosted, added, pinned.",
        show_default="those that the index records",
        rich_help_panel=ENCODING,
    ),
]
CacheFile = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        help="Keep vectors in FILE and take from it those of texts that this model has encoded before.",
        show_default="none",
        rich_help_panel=ENCODING,
    ),
]


def encoding_of(
    *,
    max_length: int | None,
    long: Long | None,
    chunks: Chunks | None,
    overlap: int | None,
    title_weight: float | None,
    prune: str | None,
    dtype: Dtype | None,
    plain: LongDocuments = LongDocuments(),
) -> dict[str, Any]:
    """Fields of `DocumentEncoding` that the command line names."""
    if long is not Long.CHUNK and (chunks or overlap is not None):
        raise typer.BadParameter("--chunks and --overlap are for --long chunk")
    policy = None if long is None else LongDocuments(long, chunks or plain.chunks, overlap)
    named = {
        "max_tokens": max_length,
        "long": policy,
        "title_weight": title_weight,
        "pruning": prune,
        "dtype": dtype,
    }
    return {name: value for name, value in named.items() if value is not None}


def wishes_of(
    encoding: Mapping[str, Any],
    *,
    model: str | None,
    rules: Path | None,
    words: str | None,
    columns: list[str] | None,
    fields: Fields,
) -> Wishes:
    """What the command line says of the index."""
    return Wishes(
        model=model,
        encoding=encoding,
        rules=rules,
        words=words,
        columns=columns_of(columns) or None,
        fields=fields,
    )


def columns_of(given: list[str] | None) -> dict[str, str]:
    """The columns that were declared, with their types."""
    columns = {}
    for column in given or ():
        name, separator, column_type = column.rpartition("=")
        if not separator:
            raise typer.BadParameter(f"{column!r} is no NAME=TYPE", param_hint="'--column'")
        columns[name] = column_type
    return columns
