"""Options of commands that put documents into an index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lexpand.cli.options import ENCODING, INDEX, PRUNING_RULES, SOURCE
from lexpand.collection.settings import IndexSettings
from lexpand.data import Chunks, Dtype, Fields, Long, LongDocuments

CommitEvery = Annotated[
    int,
    typer.Option(
        "--commit-every", min=1, help="Commit after this many documents.", rich_help_panel=INDEX
    ),
]
IdField = Annotated[
    str | None,
    typer.Option(
        "--id-field",
        help="Field of the id.",
        show_default="doc_id, id or _id; otherwise a hash of the content",
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
        show_default="title, if present",
        rich_help_panel=SOURCE,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        help="Encode at most this many tokens of a document.",
        show_default="the model's limit",
        rich_help_panel=ENCODING,
    ),
]
Words = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="LANGUAGE",
        help="Language of the BM25 field, which the pipelines hybrid, best and bm25 need; 'none' "
        "for an index without one.",
        show_default="english",
        rich_help_panel=INDEX,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=TYPE",
        help="Declare a metadata field that filters use often as integer, number, keyword or "
        "boolean. Repeat the option for several fields.",
        show_default="none",
        rich_help_panel=INDEX,
    ),
]
LongPolicy = Annotated[
    Long | None,
    typer.Option(
        "--long",
        help="Truncate documents that are longer than that, encode them in chunks, or refuse them.",
        show_default="truncate",
        rich_help_panel=ENCODING,
    ),
]
ChunksAs = Annotated[
    Chunks | None,
    typer.Option(
        "--chunks",
        help="Index chunks as passages, so that the best passage finds the document, or combine "
        "them into one vector of maximum weights (max).",
        show_default="passages",
        rich_help_panel=ENCODING,
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        help="A chunk shares at most this many tokens with the previous one.",
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
        help="Add W times the vector of the title to the vector of the document. Try 0.2 if titles "
        "are informative. Not with --long chunk.",
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
        help="Apply the rules of this file to the vectors: ban, cap, boost, add or pin terms "
        "(docs/rules.md).",
        show_default="those that the index records",
        rich_help_panel=ENCODING,
    ),
]
CacheFile = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        help="Store vectors in FILE, and reuse those of texts that this model has encoded before.",
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
    """Return the fields of `DocumentEncoding` that the command line sets."""
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


def settings_of(
    encoding: Mapping[str, Any],
    *,
    model: str | None,
    rules: Path | None,
    words: str | None,
    columns: list[str] | None,
    fields: Fields,
) -> IndexSettings:
    """Return the settings of the index that the command line sets."""
    return IndexSettings(
        model=model,
        encoding=encoding,
        rules=rules,
        words=words,
        columns=columns_of(columns) or None,
        fields=fields,
    )


def columns_of(given: list[str] | None) -> dict[str, str]:
    """Return the declared columns with their types."""
    columns = {}
    for column in given or ():
        name, separator, column_type = column.rpartition("=")
        if not separator:
            raise typer.BadParameter(
                f"a column must be NAME=TYPE, got {column!r}", param_hint="'--column'"
            )
        columns[name] = column_type
    return columns
