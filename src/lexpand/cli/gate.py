"""`lexpand gate`: golden questions that an index must answer, as a step of a build."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.exit_codes import EXIT_ERROR
from lexpand.cli.options import (
    EVALUATION,
    OUTPUT,
    DtypeOption,
    IndexPath,
    Json,
    Model,
    PipelineOption,
    QueryModeOption,
    QueryRules,
    Split,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import count, is_watched, print_json, say, show, show_table
from lexpand.collection import Collection
from lexpand.collection import open as open_collection
from lexpand.data import read_judged, read_query_log
from lexpand.data.streams import atomic_write
from lexpand.encode.progress import reporting
from lexpand.experiments.gate import (
    Result,
    changes_since,
    make_gate,
    questions_of_judged,
    questions_of_log,
    record_state,
    run_gate,
)
from lexpand.experiments.gate_file import WITHIN, GateFile
from lexpand.experiments.reasons import TermShift

GatePath = Annotated[Path, typer.Argument(metavar="FILE", help="The gate file (docs/gate.md).")]

_TERMS = 5


def init(
    index_path: IndexPath,
    queries: Annotated[
        Path,
        typer.Argument(
            metavar="QUERIES",
            help="Judged queries (docs/collections.md), or with --log any query file.",
        ),
    ],
    qrels: Annotated[
        Path | None,
        typer.Argument(
            metavar="QRELS", help="Judgments.", show_default="those of the folder or table"
        ),
    ] = None,
    split: Split = None,
    out: Annotated[Path, typer.Option("--out", help="The gate file to write.")] = Path("gate.toml"),
    log: Annotated[
        bool,
        typer.Option(
            "--log", help="QUERIES has no judgments: expect the documents that are best now."
        ),
    ] = False,
    within: Annotated[
        int,
        typer.Option(
            "--within",
            min=1,
            help="The rank within which a document must be found.",
            rich_help_panel=EVALUATION,
        ),
    ] = WITHIN,
    best: Annotated[
        int | None,
        typer.Option(
            "--best",
            min=1,
            help="With --log, how many of the best documents are expected.",
            show_default="1",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    fixed_corpus: Annotated[
        bool,
        typer.Option(
            "--fixed-corpus",
            help="Fail when the documents of the index change.",
            rich_help_panel=EVALUATION,
        ),
    ] = False,
    pipeline: PipelineOption = None,
    rules: QueryRules = None,
    query_mode: QueryModeOption = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a gate file with the questions that INDEX answers now.

    A question expects the relevant documents that are found now. Edit the file as you like.
    """
    if best is not None and not log:
        raise typer.BadParameter("--best is for --log: judged queries expect relevant documents")
    encoding = query_encoding(query_mode, None, dtype)
    with open_collection(
        index_path, pipeline, model=model, threads=threads, queries=encoding, rules=rules
    ) as kb:
        if log:
            asked = list(read_query_log(queries))
            questions = questions_of_log(kb, asked, within=within, best=best or 1)
            number = len({query.text for query in asked})
        else:
            judged = read_judged(queries, qrels, split=split)
            questions = questions_of_judged(kb, judged, within=within)
            number = len(judged.judged)
        gate = make_gate(kb, out, questions, fixed_corpus=fixed_corpus)
    if as_json:
        print_json({"gate": str(out), "state": str(gate.state_path), "questions": len(questions)})
    else:
        show(f"{out} has {count(len(questions), 'question')}; {gate.state_path} has their state")
        if left_out := number - len(questions):
            say(f"{count(left_out, 'question')} left out: no document to expect was found")


def check(
    index_path: IndexPath,
    gate_path: GatePath,
    junit: Annotated[
        Path | None,
        typer.Option(
            "--junit",
            metavar="FILE",
            help="Also write the results as JUnit XML.",
            show_default="none",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    github: Annotated[
        bool,
        typer.Option(
            "--github", help="Also print annotations for GitHub Actions.", rich_help_panel=OUTPUT
        ),
    ] = False,
    pipeline: PipelineOption = None,
    rules: QueryRules = None,
    query_mode: QueryModeOption = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check that INDEX answers the questions of FILE. The exit code is 1 if a check fails."""
    gate = GateFile.load(gate_path)
    encoding = query_encoding(query_mode, None, dtype)
    with open_collection(
        index_path, pipeline, model=model, threads=threads, queries=encoding, rules=rules
    ) as kb:
        results = _run(kb, gate)
        notes = changes_since(kb, gate)
    failed = [each for each in results if not each.passed]
    if junit is not None:
        _write_junit(results, gate_path, junit)
    if as_json:
        print_json(
            {
                "results": [each.to_dict() for each in results],
                "failed": len(failed),
                "notes": notes,
            }
        )
    else:
        _print(results, failed)
        for note in notes:
            say(note, "yellow")
    if github:
        for each in failed:
            _annotate(each, gate_path)
    if failed:
        raise typer.Exit(EXIT_ERROR)


def accept(
    index_path: IndexPath,
    gate_path: GatePath,
    pipeline: PipelineOption = None,
    rules: QueryRules = None,
    query_mode: QueryModeOption = None,
    dtype: DtypeOption = None,
    model: Model = None,
    threads: Threads = None,
    force: Annotated[
        bool, typer.Option("--force", help="Accept the state although a question fails.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Record the present rankings as the last good state, and the documents if FILE fixes them."""
    gate = GateFile.load(gate_path)
    encoding = query_encoding(query_mode, None, dtype)
    with open_collection(
        index_path, pipeline, model=model, threads=threads, queries=encoding, rules=rules
    ) as kb:
        results = [each for each in _run(kb, gate) if each.query]
        failed = [each for each in results if not each.passed]
        if failed and not force:
            if as_json:
                print_json({"state": None, "failed": len(failed), "results": failed})
            else:
                _print(results, failed)
            say("the state was not recorded: use --force to record it although questions fail")
            raise typer.Exit(EXIT_ERROR)
        if gate.fingerprint and gate.fingerprint != kb.index.fingerprint():
            _replace_fingerprint(gate, kb.index.fingerprint())
        record_state(kb, gate).save(gate.state_path)
    if as_json:
        print_json({"state": str(gate.state_path), "failed": len(failed)})
    else:
        show(f"{gate.state_path} has the state of {count(len(gate.questions), 'question')}")


def _run(kb: Collection, gate: GateFile) -> list[Result]:
    with reporting(len(gate.questions), "questions", is_watched()) as on_done:
        return run_gate(kb, gate, on_done=on_done)


def _replace_fingerprint(gate: GateFile, fingerprint: str) -> None:
    """Put the new fingerprint into the file, and keep its comments."""
    text = gate.path.read_text(encoding="utf-8-sig").replace(gate.fingerprint, fingerprint)
    with atomic_write(gate.path) as file:
        file.write(text.encode())


def _print(results: Sequence[Result], failed: Sequence[Result]) -> None:
    for each in failed:
        show(("FAIL ", "bold red"), each.name)
        show(each.said, indent=5)
        if each.terms:
            show_table(_terms(each.terms), indent=5)
    verdict = f"{count(len(results), 'check')}, {len(failed):,} failed"
    show((verdict, "bold red" if failed else "green"))


def _terms(terms: Sequence[TermShift]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("margin", justify="right")
    table.add_column("term")
    for column in ("answer before", "now", "other before", "now"):
        table.add_column(column, justify="right")
    for each in terms[:_TERMS]:
        shares = (each.answer_better, each.answer_worse, each.other_better, each.other_worse)
        table.add_row(f"{each.shift:+.3f}", each.term, *(f"{share:.3f}" for share in shares))
    return table


def _details(result: Result) -> str:
    """Return a failure as plain text, with its terms."""
    lines = [result.said]
    lines += [
        f"{each.shift:+.3f} {each.term}: answer {each.answer_better:.3f} to"
        f" {each.answer_worse:.3f}, other {each.other_better:.3f} to {each.other_worse:.3f}"
        for each in result.terms[:_TERMS]
    ]
    return "\n".join(lines)


def _write_junit(results: Sequence[Result], gate_path: Path, path: Path) -> None:
    failed = sum(not each.passed for each in results)
    suite = ET.Element(
        "testsuite", name=str(gate_path), tests=str(len(results)), failures=str(failed)
    )
    for each in results:
        case = ET.SubElement(
            suite, "testcase", classname=f"lexpand.gate.{each.check}", name=_xml(each.name)
        )
        if not each.passed:
            failure = ET.SubElement(case, "failure", message=_xml(each.said))
            failure.text = _xml(_details(each))
    suites = ET.Element("testsuites", tests=str(len(results)), failures=str(failed))
    suites.append(suite)
    with atomic_write(path) as file:
        file.write(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    """Return a text without the control characters that XML 1.0 forbids."""
    return "".join(each if each in "\t\n" or ord(each) >= 0x20 else "?" for each in text)


def _annotate(result: Result, gate_path: Path) -> None:
    line = f",line={result.line}" if result.line else ""
    place = f"file={_property(str(gate_path))}{line},title={_property(result.name)}"
    # GitHub reads this line as it is, without the escapes of `show`.
    print(f"::error {place}::{_message(_details(result))}")  # noqa: T201


def _message(text: str) -> str:
    return _xml(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
