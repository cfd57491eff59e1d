"""The table of commands. A module is imported when its command runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple, get_type_hints

import typer
import typer.main
from typer.core import TyperCommand

from lexpand.errors import DataError


class Entry(NamedTuple):
    """The place of a command's function, and what its help says.

    Attributes:
        module: the module in `lexpand.cli`.
        function: the name of the function there.
        panel: the panel that lists the command in the help of its group.
        examples: command lines for the end of its help.
    """

    module: str
    function: str
    panel: str = "Commands"
    examples: tuple[str, ...] = ()

    def load(self) -> Any:  # noqa: ANN401 - a function of any signature
        """Import the module and return the function."""
        return getattr(import_module(f"lexpand.cli.{self.module}"), self.function)


DOCUMENTS, SEARCH = "Put documents in", "Find and explain"
INSPECT, MAINTAIN = "Inspect", "Maintain"
EVALUATE = "Evaluate"
ENGINES = "Other search engines"
VECTORS, TRAINING = "Vectors, models and rules", "Train a model"

COMMANDS: dict[str, Entry] = {
    "index": Entry(
        "index",
        "index",
        DOCUMENTS,
        (
            "lexpand index pages.jsonl pages.index",
            "lexpand index docs/ docs.index --long chunk --column year=integer",
            "zcat dump.jsonl.gz | lexpand index - dump.index --id-field url",
        ),
    ),
    "sync": Entry(
        "sync",
        "sync_command",
        DOCUMENTS,
        (
            "lexpand sync pages.jsonl pages.index --dry-run",
            "lexpand sync pages.jsonl pages.index",
        ),
    ),
    "delete": Entry(
        "documents",
        "delete",
        DOCUMENTS,
        (
            "lexpand delete pages.index invoice printer",
            "lexpand delete pages.index --filter 'year < 2015' --dry-run",
        ),
    ),
    "search": Entry(
        "search",
        "search",
        SEARCH,
        (
            'lexpand search pages.index "how do I get a day off" --explain',
            "lexpand search pages.index invoice --filter \"team = 'finance'\" -k 3",
            'lexpand search pages.index "CVE-2023-5678" --pipeline bm25 --json',
        ),
    ),
    "explain": Entry(
        "explain",
        "explain_command",
        SEARCH,
        (
            'lexpand explain pages.index "day off" leave',
            'lexpand explain pages.index "day off" invoice --why-not',
            'lexpand explain pages.index "day off" leave --html leave.html',
        ),
    ),
    "get": Entry("documents", "get", SEARCH, ("lexpand get pages.index leave invoice",)),
    "demo": Entry("demo", "demo", SEARCH, ("lexpand demo",)),
    "info": Entry("info", "info", INSPECT, ("lexpand info pages.index",)),
    "fields": Entry("documents", "fields", INSPECT, ("lexpand fields pages.index",)),
    "lint": Entry("diagnose", "lint_command", INSPECT, ("lexpand lint pages.index",)),
    "oov": Entry(
        "diagnose",
        "oov_command",
        INSPECT,
        (
            "lexpand oov pages.index queries.txt",
            'lexpand oov pages.index "reset my wifi"',
        ),
    ),
    "evaluate": Entry(
        "evaluate",
        "evaluate_command",
        EVALUATE,
        (
            "lexpand evaluate pages.index questions.csv",
            "lexpand evaluate pages.index questions.csv --pipeline bm25 --pipeline hybrid",
            "lexpand evaluate run.trec queries.tsv qrels.txt --run -m nDCG@10 -m AP",
        ),
    ),
    "compare": Entry(
        "compare",
        "compare_command",
        EVALUATE,
        (
            "lexpand compare bm25 hybrid",
            "lexpand compare baseline last --report comparison.html",
            "lexpand compare hybrid elasticsearch.trec -m nDCG@10",
        ),
    ),
    "tune": Entry(
        "tune",
        "tune_command",
        EVALUATE,
        (
            "lexpand tune pages.index questions.csv --out pipeline.toml",
            "lexpand tune pages.index questions.csv --out fast.toml --budget-ms 3",
            "lexpand tune pages.index queries.tsv qrels.txt -m RR@10 --report tuning.html",
        ),
    ),
    "judge": Entry(
        "judge",
        "judge_command",
        EVALUATE,
        (
            "lexpand judge pages.index queries.tsv",
            "lexpand judge pages.index queries.tsv --out mine.tsv --depth 5 --quepid ratings.csv",
        ),
    ),
    "reencode": Entry(
        "reencode",
        "reencode_command",
        MAINTAIN,
        (
            "lexpand reencode pages.index --model default",
            "lexpand reencode pages.index --long chunk --keep before.index",
        ),
    ),
    "check": Entry("maintenance", "check", MAINTAIN, ("lexpand check pages.index",)),
    "compact": Entry("maintenance", "compact", MAINTAIN, ("lexpand compact pages.index",)),
    "backup": Entry("maintenance", "backup", MAINTAIN, ("lexpand backup pages.index copy.index",)),
    "push": Entry(
        "engines",
        "push_command",
        ENGINES,
        (
            "lexpand push pages.index http://localhost:9200/pages",
            "lexpand push pages.index postgresql://localhost/search/pages",
            "lexpand push pages.index qdrant-edge:pages.edge",
            "lexpand push pages.index vespa:pages.vespa",
        ),
    ),
    "verify": Entry(
        "engines",
        "verify_command",
        ENGINES,
        (
            "lexpand verify pages.index http://localhost:9200/pages",
            "lexpand verify default https://search.example.org:9200/pages",
        ),
    ),
    "pull": Entry(
        "engines",
        "pull_command",
        ENGINES,
        (
            "lexpand pull http://localhost:9200/articles --out articles.jsonl",
            "lexpand pull http://localhost:9200/articles | lexpand index - articles.index",
        ),
    ),
    "switch": Entry(
        "engines",
        "switch_command",
        ENGINES,
        (
            "lexpand switch http://localhost:9200/pages-2 pages",
            "lexpand switch http://localhost:9200/pages-2 pages --verify pages.index",
        ),
    ),
    "encode": Entry(
        "encode",
        "encode",
        VECTORS,
        (
            'lexpand encode "a car accident"',
            "lexpand encode pages.jsonl --output pages.parquet",
        ),
    ),
    "export": Entry(
        "exchange",
        "export",
        VECTORS,
        ("lexpand export pages.index pages.jsonl",),
    ),
    "import": Entry(
        "exchange",
        "import_command",
        VECTORS,
        ("lexpand import vectors.npz pages.index",),
    ),
    "train": Entry(
        "train",
        "train_command",
        TRAINING,
        (
            "lexpand train small --data pairs.jsonl --out my-model",
            "lexpand train inference-free --data pairs.jsonl --out my-model --set steps=5000",
            "lexpand train splade-v3 --data scored/ --out my-model --dry-run",
        ),
    ),
    "adapt": Entry(
        "adapt",
        "adapt_command",
        TRAINING,
        (
            "lexpand adapt pages.jsonl --out my-model",
            "lexpand adapt pages.jsonl --out my-model --teacher cross-encoder/",
            "lexpand adapt pages.jsonl --out my-model --pairs clicks.jsonl",
        ),
    ),
    "mine": Entry(
        "mine",
        "mine_command",
        TRAINING,
        (
            "lexpand mine pairs.jsonl --out mined.jsonl",
            "lexpand mine pairs.jsonl --out mined.jsonl --index pages.index --pipeline bm25",
            "lexpand mine pairs.jsonl --out mined.jsonl --teacher cross-encoder/ --margin 1",
        ),
    ),
    "score": Entry(
        "score",
        "score_command",
        TRAINING,
        (
            "lexpand score mined.jsonl --teacher cross-encoder/ --out scored.jsonl",
            "lexpand score scored.jsonl --teacher bge-small/ --pooling cls --add --out both.jsonl",
        ),
    ),
}

GROUPS: dict[str, tuple[str, dict[str, Entry]]] = {
    "model": (
        "Import checkpoints as model folders; optimize, check, describe and extend them.",
        {
            "import": Entry(
                "model",
                "import_command",
                examples=(
                    "lexpand model import checkpoint/ my-model",
                    "lexpand index pages.jsonl pages.index --model my-model",
                ),
            ),
            "optimize": Entry(
                "model", "optimize_command", examples=("lexpand model optimize my-model",)
            ),
            "check": Entry("model", "check", examples=("lexpand model check my-model",)),
            "info": Entry("model", "info", examples=("lexpand model info default",)),
            "graft": Entry(
                "graft",
                "graft_command",
                examples=("lexpand model graft all-MiniLM-L6-v2/ grafted --texts pages.jsonl",),
            ),
            "pack": Entry(
                "packing", "pack_command", examples=("lexpand model pack my-model small",)
            ),
            "export": Entry(
                "packing", "export_command", examples=("lexpand model export default exported",)
            ),
            "add-terms": Entry(
                "add_terms",
                "add_terms_command",
                examples=(
                    "lexpand model add-terms default --texts pages.jsonl --list",
                    "lexpand model add-terms default my-model --texts pages.jsonl -n 500",
                    "lexpand model add-terms default my-model --terms words.txt",
                ),
            ),
            "fold": Entry("fold", "fold_command", examples=("lexpand model fold cased/ folded",)),
        },
    ),
    "collection": (
        "Check judged collections, compare judges, and find overlapping training data.",
        {
            "check": Entry(
                "collection_checks",
                "check_command",
                examples=(
                    "lexpand collection check pages.jsonl questions.csv",
                    "lexpand collection check my-collection/ my-collection/ --split dev",
                    "lexpand collection check pages.index queries.tsv qrels.txt --json",
                ),
            ),
            "agreement": Entry(
                "judge",
                "agreement_command",
                examples=("lexpand collection agreement mine.tsv yours.tsv",),
            ),
            "overlap": Entry(
                "collection_checks",
                "overlap_command",
                examples=(
                    "lexpand collection overlap pairs.jsonl --with my-collection/",
                    "lexpand collection overlap pairs.jsonl --with scifact/ --with nfcorpus/"
                    " --clean clean.jsonl",
                ),
            ),
        },
    ),
    "gate": (
        "Check that an index still answers golden questions, as a step of a build.",
        {
            "init": Entry(
                "gate",
                "init",
                examples=(
                    "lexpand gate init pages.index questions.csv",
                    "lexpand gate init pages.index log.tsv --log --within 3",
                ),
            ),
            "check": Entry(
                "gate",
                "check",
                examples=(
                    "lexpand gate check pages.index gate.toml",
                    "lexpand gate check pages.index gate.toml --junit gate.xml --github",
                ),
            ),
            "accept": Entry(
                "gate", "accept", examples=("lexpand gate accept pages.index gate.toml",)
            ),
        },
    ),
    "runs": (
        "List, show, tag, remove and export the runs that `lexpand evaluate` keeps.",
        {
            "list": Entry("runs", "list_command", examples=("lexpand runs list",)),
            "show": Entry(
                "runs",
                "show_command",
                examples=(
                    "lexpand runs show last",
                    "lexpand runs show bm25 hybrid --report runs.html",
                ),
            ),
            "tag": Entry("runs", "tag_command", examples=("lexpand runs tag last baseline",)),
            "remove": Entry("runs", "remove_command", examples=("lexpand runs remove bm25",)),
            "export": Entry(
                "runs", "export_command", examples=("lexpand runs export last --experiment search",)
            ),
        },
    ),
    "rules": (
        "Check and test rules files, which edit the vectors of queries and documents.",
        {
            "check": Entry("rules", "check", examples=("lexpand rules check rules.toml",)),
            "test": Entry("rules", "test", examples=("lexpand rules test rules.toml pages.index",)),
        },
    ),
}

_EVALUATING = ("collection", "gate", "runs")

SETTINGS = {"help_option_names": ["-h", "--help"]}


class Loaded(dict[str, Any]):
    """Commands by name, each created on first use."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        super().__init__(dict.fromkeys([*entries, *(GROUPS if entries is COMMANDS else ())]))
        self._entries = entries

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - typer's own types differ between its versions
        made = super().__getitem__(name)
        if made is None:
            made = (
                command_of(name, self._entries[name]) if name in self._entries else group_of(name)
            )
            self[name] = made
        return made

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as above
        """Return the command, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def items(self) -> Any:  # noqa: ANN401 - as above
        """Return names and commands, all created."""
        return [(name, self[name]) for name in self]

    def values(self) -> Any:  # noqa: ANN401 - as above
        """Return the commands, all created."""
        return [self[name] for name in self]


class _Command(TyperCommand):
    """A command that reads its texts as UTF-8, whatever the encoding of the terminal is.

    Attributes:
        paths: names of the parameters that are paths, which may have any bytes.
    """

    paths: frozenset[str] = frozenset()

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command.

        Raises:
            DataError: an argument is not UTF-8.
        """
        for param in self.params:
            if param.name in ctx.params and param.name not in self.paths:
                label = next(
                    (name for name in param.opts if name.startswith("--")),
                    getattr(param, "metavar", None),
                )
                ctx.params[param.name] = _as_utf8(ctx.params[param.name], label or param.name)
        return super().invoke(ctx)


def _as_utf8(value: Any, label: str) -> Any:  # noqa: ANN401 - of any parameter
    """Decode a text as UTF-8; Python decoded it with the encoding of the terminal."""
    if isinstance(value, list | tuple):
        return type(value)(_as_utf8(each, label) for each in value)
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeDecodeError:
        shown = os.fsencode(value)
        raise DataError(
            f"{label} must be UTF-8, got the bytes {shown!r}: check the terminal's encoding"
        ) from None
    except UnicodeEncodeError:
        return value  # the terminal's encoding lacks a letter, so Python did not decode it


def command_of(name: str, entry: Entry) -> Any:  # noqa: ANN401 - as above
    """Create the Typer command of a function."""
    function = entry.load()
    # Typer joins the lines of the first paragraph only, so all paragraphs are joined here.
    text = "\n\n".join(" ".join(part.split()) for part in (function.__doc__ or "").split("\n\n"))
    alone = typer.Typer(add_completion=False, context_settings=SETTINGS)
    epilog = "\n\n".join(("Examples:", *entry.examples)) if entry.examples else None
    alone.command(name, cls=_Command, help=text, epilog=epilog)(function)
    made: Any = typer.main.get_command(alone)
    made.rich_help_panel = entry.panel
    made.paths = frozenset(
        each for each, hint in get_type_hints(function).items() if "Path" in str(hint)
    )
    return made


def group_of(name: str) -> Any:  # noqa: ANN401 - as above
    """Create the Typer group of commands."""
    text, entries = GROUPS[name]
    group = typer.Typer(
        name=name, help=text, no_args_is_help=True, add_completion=False, context_settings=SETTINGS
    )
    group.callback()(_nothing)
    made: Any = typer.main.get_command(group)
    made.commands = Loaded(entries)
    made.rich_help_panel = EVALUATE if name in _EVALUATING else VECTORS
    return made


def entries() -> Iterator[tuple[str, Entry]]:
    """Yield the full name and the entry of every command, for the reference."""
    yield from sorted(COMMANDS.items())
    for group, (_, members) in GROUPS.items():
        for name, entry in sorted(members.items()):
            yield f"{group} {name}", entry


def _nothing() -> None: ...
