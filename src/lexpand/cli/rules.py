"""`lexpand rules`: check a rules file, and run its tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.exit_codes import EXIT_ERROR
from lexpand.cli.options import (
    DtypeOption,
    IndexPath,
    Json,
    Model,
    PipelineOption,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import count, line, print_json, say, show, show_table
from lexpand.collection import open as open_collection
from lexpand.encode import Encoder, Role, Rules
from lexpand.errors import DataError
from lexpand.search import Outcome, run_expectations

RulesPath = Annotated[Path, typer.Argument(metavar="FILE", help="The rules file (docs/rules.md).")]


def check(
    rules_path: RulesPath,
    model: Annotated[
        str, typer.Option("--model", help="Model folder, or 'default' for the packaged one.")
    ] = "default",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Read the rules of FILE, and look up their terms in the vocabulary of a model.

    A term that the vocabulary lacks is an error, which suggests similar terms.
    """
    rules = Rules.load(rules_path)
    encoder = Encoder.load(model, rules=rules)
    pinned = encoder.pinned(Role.QUERY)
    pins = {pin.text: pinned[pin.text] for pin in rules.pins}
    kinds = {
        "ban": rules.bans,
        "cap": rules.caps,
        "boost": rules.boosts,
        "synonym": rules.synonyms,
        "pin": rules.pins,
        "test": rules.tests,
    }
    counts = {kind: len(entries) for kind, entries in kinds.items()}
    hashes = {role.value: rules.hash(role) for role in Role}
    if as_json:
        print_json(
            {"rules": counts, "pins": pins, "hashes": hashes, "model": encoder.space.model.name}
        )
        return
    listed = ", ".join(count(number, kind) for kind, number in counts.items() if number)
    show(f"{rules_path} is sound for {encoder.space.model.name}: {listed or 'no rule'}")
    for text, term in pins.items():
        show(f"{term} stands for {text}", indent=2)


def test(
    rules_path: RulesPath,
    index_path: IndexPath,
    pipeline: PipelineOption = None,
    model: Model = None,
    dtype: DtypeOption = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the tests of FILE against INDEX, with the rules of FILE applied to the queries.

    The exit code is 1 if a test fails.
    """
    rules = Rules.load(rules_path)
    if not rules.tests:
        raise DataError(
            f'{rules_path} has no [[test]]: add query = "..." and expect = "id of a document"'
        )
    queries = query_encoding(None, None, dtype)
    with open_collection(
        index_path, pipeline, model=model, threads=threads, rules=rules, queries=queries
    ) as kb:
        outcomes = run_expectations(kb.retriever(), rules.tests)
        recorded = Rules.recorded(kb.index.space.encoding)
    same = recorded.hash(Role.DOCUMENT) == rules.hash(Role.DOCUMENT)
    failed = sum(not outcome.passed for outcome in outcomes)
    if as_json:
        tests = [{**asdict(outcome), "passed": outcome.passed} for outcome in outcomes]
        print_json({"tests": tests, "failed": failed, "documents_have_these_rules": same})
    else:
        _print(outcomes, failed)
    if not same:
        say(
            f"the documents of {index_path} were indexed with other rules: index again to test all"
            f" of {rules_path}",
            "yellow",
        )
    if failed:
        raise typer.Exit(EXIT_ERROR)


def _print(outcomes: list[Outcome], failed: int) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("", "query", "expects", "found"):
        table.add_column(column, overflow="fold")
    for each in outcomes:
        verdict = ("pass", "green") if each.passed else ("FAIL", "bold red")
        wanted = f"{each.expect} in the top {each.top:,}"
        table.add_row(line(verdict), line(each.query), line(wanted), line(each.said))
    show_table(table)
    show(f"{count(len(outcomes), 'test')}, {failed:,} failed")
