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
SOURCE, ENCODING, INDEX, SEARCH, RERANKING, EVALUATION, OUTPUT = (
    "Source",
    "Encoding",
    "Index",
    "Search",
    "Reranking",
    "Evaluation",
    "Output",
)


def _note_verbose(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.meta[_VERBOSE] = True


def is_verbose(context: Any) -> bool:  # noqa: ANN401 - a click.Context, whichever click Typer has
    """Return whether --verbose was given, before or after the name of the command."""
    return _VERBOSE in context.meta


SourcePath = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="JSONL, JSON, CSV or TSV file (also .gz and .zst), Parquet file, BEIR folder, text, "
        "Markdown, HTML or RST file or a folder of them, or - for JSON lines on standard input.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what would change, and change nothing.")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Allow the deletion of more than half of INDEX.")
]
IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
IndexOrAddress = Annotated[
    str,
    typer.Argument(
        metavar="INDEX",
        help="Folder of the index; or the URL of another search engine that `lexpand push` filled.",
    ),
]
CONNECTION = "Connection to another search engine"

CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        help="TOML file with user and password, or api_key, that only you can read.",
        show_default="LEXPAND_ENGINE_USER and _PASSWORD, or LEXPAND_ENGINE_API_KEY",
        rich_help_panel=CONNECTION,
    ),
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="Certificates in PEM to trust besides those of the system.",
        show_default="none",
        rich_help_panel=CONNECTION,
    ),
]
QueryText = Annotated[
    str,
    typer.Argument(
        metavar="QUERY", help="The query in words. Put -- before a query that begins with a dash."
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
        show_default="the model that the index names, or the packaged one",
        rich_help_panel=ENCODING,
    ),
]
FilterText = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="TEXT",
        help="Consider only documents with matching metadata, such as "
        "'year >= 2020 and tags in (a, b)' (docs/filters.md).",
        show_default="all documents",
        rich_help_panel=SEARCH,
    ),
]
PRUNING_RULES = (
    "top=N (the N largest), position=N (the N largest of those that one token gives), threshold=W "
    "(weights >= W), ratio=R (>= R times the largest), mass=M (the largest, up to the share M of "
    "their sum), ban=special, ban=unused, ban=TOKEN. Combine rules with commas: top=128,ratio=0.1."
)
"""The rules that --prune accepts."""

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
        help="Apply the rules of this file to the vectors.",
        show_default="none",
        rich_help_panel=ENCODING,
    ),
]
QueryRules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="Apply the rules of this file to the query (docs/rules.md).",
        show_default="the rules that the index records",
        rich_help_panel=ENCODING,
    ),
]
PIPELINES = ("hybrid", "best", "splade", "bm25")
"""The names that completion offers. A test compares them with `lexpand.search.pipeline.NAMED`."""


def _complete_pipeline(incomplete: str) -> list[str]:
    return [name for name in PIPELINES if name.startswith(incomplete.lower())]


PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        metavar="NAME|FILE",
        help="How to search: hybrid (model and BM25), best (hybrid with relevance feedback), "
        "splade (the model alone), bm25 (the words alone), or a TOML file "
        "(docs/pipelines.md).",
        show_default="hybrid; splade if the index has no BM25 field",
        autocompletion=_complete_pipeline,
        rich_help_panel=SEARCH,
    ),
]
QueryModeOption = Annotated[
    QueryMode | None,
    typer.Option(
        "--query-mode",
        help="Encode queries with the model, or look them up in its table of weights.",
        show_default="as the model's contract says",
        rich_help_panel=ENCODING,
    ),
]
QueriesPath = Annotated[
    Path,
    typer.Argument(
        metavar="QUERIES",
        help="BEIR folder, query file, or a CSV, TSV, JSONL or XLSX table with a question, a"
        " document and a grade in each row.",
    ),
]
QrelsPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="QRELS",
        help="Judgments: TREC qrels, a BEIR table, or CSV.",
        show_default="those of the folder or table",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Split of a BEIR folder: qrels/SPLIT.tsv.",
        show_default="test, else dev, else train",
        rich_help_panel=EVALUATION,
    ),
]
Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        "-m",
        metavar="NAME",
        help="Measure in ir-measures' notation, such as nDCG@10, RR@10, R@100, AP, P@5, Judged@10."
        " Repeat the option for several.",
        show_default="nDCG@10, RR@10, R@100",
        rich_help_panel=EVALUATION,
    ),
]
StorePath = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar="LEXPAND_RUNS",
        metavar="DIR",
        help="Folder that keeps runs (docs/runs.md).",
        rich_help_panel=OUTPUT,
    ),
]
ReportPath = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Also write a report: .html (self-contained), .md or .json.",
        show_default="none",
        rich_help_panel=OUTPUT,
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
        help="Arithmetic of the model: float32, int8 (faster; weights differ in the second digit; "
        "needs `lexpand model optimize`) or bfloat16 (PyTorch, for GPUs). An index records the "
        "dtype of its documents; queries may use another.",
        show_default="float32; for documents, the dtype that the index records",
        rich_help_panel=ENCODING,
    ),
]
# Every command accepts it, and app.py acts on it.
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
    """Return the encoding of queries that the command line describes."""
    return QueryEncoding(mode, prune or Pruning(), dtype or Dtype.FLOAT32)
