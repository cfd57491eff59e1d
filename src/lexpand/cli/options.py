"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lexpand.data import Dtype, Pruning
from lexpand.encode import QueryEncoding
from lexpand.encode.contract import QueryMode

_VERBOSE = "lexpand.verbose"

# Panels of options in the help of a command.
SOURCE, ENCODING, INDEX, SEARCH, RERANKING, OUTPUT = (
    "Source",
    "Encoding",
    "Index",
    "Search",
    "Reranking",
    "Output",
)


def _note_verbose(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.meta[_VERBOSE] = True


def is_verbose(context: Any) -> bool:  # noqa: ANN401 - a click.Context, whichever click Typer has
    """Whether --verbose was given, before the command's name or behind it: both contexts share their `meta`."""
    return _VERBOSE in context.meta


SourcePath = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="JSONL, JSON, CSV, TSV (.gz, .zst too) or Parquet file, BEIR folder, folder of text, Markdown, HTML and "
        "RST files, one such file, or - for JSON lines on standard input.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Delete even if more than half of INDEX would go.")
]
IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
QueryText = Annotated[
    str,
    typer.Argument(
        metavar="QUERY", help="The question, in words; behind -- if it begins with a dash."
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one line of JSON instead of text.", rich_help_panel=OUTPUT),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model folder, or 'default'.",
        show_default="the one that the index names, else the packaged one",
        rich_help_panel=ENCODING,
    ),
]
FilterText = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="TEXT",
        help="Only documents whose metadata match, e.g. 'year >= 2020 and tags in (a, b)'; see docs/filters.md.",
        show_default="all documents",
        rich_help_panel=SEARCH,
    ),
]
PRUNING_RULES = (
    "top=N (the largest), threshold=W (weights of at least W), ratio=R (at least R times the largest), mass=M (the "
    "largest that make up the share M of the sum), ban=special, ban=unused, ban=TOKEN; several with commas: "
    "top=128,ratio=0.1."
)
"""What --prune takes."""

QueryPrune = Annotated[
    str | None,
    typer.Option(
        "--prune",
        metavar="RULES",
        help="Keep fewer terms of the query: " + PRUNING_RULES,
        show_default="keep all",
        rich_help_panel=ENCODING,
    ),
]
TextRules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="Edit vectors by the rules of this file.",
        show_default="none",
        rich_help_panel=ENCODING,
    ),
]
QueryRules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="Edit the query's vector by the rules of this file (docs/rules.md).",
        show_default="those that the index records",
        rich_help_panel=ENCODING,
    ),
]
PIPELINES = ("hybrid", "best", "splade", "bm25")
"""The names that completion offers; a test compares them with `lexpand.search.pipeline.NAMED`."""


def _complete_pipeline(incomplete: str) -> list[str]:
    return [name for name in PIPELINES if name.startswith(incomplete.lower())]


PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        metavar="NAME|FILE",
        help="How to search: hybrid (the model's vectors and the documents' words), best (hybrid, and again with terms "
        "of the best documents), splade (the vectors alone), bm25 (the words alone), or a TOML file that says it "
        "(docs/pipelines.md).",
        show_default="hybrid; splade in an index without words",
        autocompletion=_complete_pipeline,
        rich_help_panel=SEARCH,
    ),
]
QueryModeOption = Annotated[
    QueryMode | None,
    typer.Option(
        "--query-mode",
        help="How queries are encoded: by the model, or looked up in its table of weights.",
        show_default="what the model's contract says",
        rich_help_panel=ENCODING,
    ),
]
DocIds = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of documents.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        help="Threads to use.",
        show_default="all cores",
        rich_help_panel=ENCODING,
    ),
]
DtypeOption = Annotated[
    Dtype | None,
    typer.Option(
        "--dtype",
        help="Arithmetic of the model: float32; int8 (quicker, other weights in the second digit; `lexpand model "
        "optimize` makes its graph); bfloat16 (on PyTorch, for GPUs). An index's documents are all in one, which it "
        "records; queries may be in another.",
        show_default="float32; for documents of an index, what it records",
        rich_help_panel=ENCODING,
    ),
]
# Every command takes it; only the frame in app.py acts on it.
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        callback=_note_verbose,
        help="Show the traceback of an error.",
        rich_help_panel=OUTPUT,
    ),
]


def query_encoding(mode: QueryMode | None, prune: str | None, dtype: Dtype | None) -> QueryEncoding:
    """How the command line wants queries to be encoded."""
    return QueryEncoding(mode, prune or Pruning(), dtype or Dtype.FLOAT32)
