"""`lexpand judge`: grade the documents that several pipelines find, one key a grade."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import click
import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED
from lexpand.cli.explain_tables import marked, shortly
from lexpand.cli.options import (
    EVALUATION,
    OUTPUT,
    IndexPath,
    Json,
    Model,
    QueryRules,
    Threads,
    Verbose,
)
from lexpand.cli.output import (
    count,
    is_watched,
    print_json,
    say,
    show,
    show_heading,
    show_text,
)
from lexpand.collection import Collection
from lexpand.collection import open as open_collection
from lexpand.data import JudgedQueries, Qrels, Query, read_query_log, write_quepid
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, LexpandError
from lexpand.evaluation.agreement import agreement
from lexpand.experiments.judging import (
    DEPTH,
    JudgmentFile,
    PooledDocument,
    Session,
    pool,
)
from lexpand.experiments.model_judge import endpoint_judge

_MEANINGS = ("not relevant", "related", "answers the query", "answers it fully")
_TERMS = 8
_HELP = "s skip, n next query, b back, o whole text, q quit"


class _Quit(Exception):
    """The judge pressed q."""


def judge_command(
    index_path: IndexPath,
    queries: Annotated[
        Path,
        typer.Argument(metavar="QUERIES", help="Query file or BEIR folder (docs/collections.md)."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="File of grades, a BEIR table. An existing one is continued."),
    ] = Path("judgments.tsv"),
    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline",
            metavar="NAME|FILE",
            help="Whose best documents are judged. Repeat the option for several.",
            show_default="bm25, splade and hybrid",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    depth: Annotated[
        int,
        typer.Option(
            "--depth", min=1, help="Documents of each pipeline.", rich_help_panel=EVALUATION
        ),
    ] = DEPTH,
    top_grade: Annotated[
        int,
        typer.Option(
            "--top-grade",
            min=1,
            max=3,
            help="The highest grade: 1 (relevant or not), 2 or 3.",
            rich_help_panel=EVALUATION,
        ),
    ] = 2,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="Let a chat model behind an OpenAI-compatible endpoint grade, with the key in"
            " LEXPAND_JUDGE_KEY. Queries and texts are sent there.",
            show_default="you grade",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    chat_model: Annotated[
        str,
        typer.Option(
            "--chat-model", help="Name of the chat model at URL.", rich_help_panel=EVALUATION
        ),
    ] = "",
    quepid: Annotated[
        Path | None,
        typer.Option(
            "--quepid",
            metavar="FILE",
            help="Also write the grades as Quepid's CSV at the end.",
            show_default="none",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    rules: QueryRules = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Grade the documents that pipelines find for QUERIES, one key a grade.

    Each grade is written at once. Run the same command again to continue. Ranks and pipelines are
    hidden, and documents of a query come in random order.
    """
    judgments = JudgmentFile(out)
    asked = list(read_query_log(queries))
    with open_collection(index_path, model=model, threads=threads, rules=rules) as kb:
        names = pipelines or _default_pipelines(kb)
        pooled = pool(kb, asked, names, depth=depth, threads=threads or 1)
        session = Session(pooled, judgments)
        try:
            if endpoint is not None:
                _ask_model(kb, session, endpoint, chat_model, _MEANINGS[: top_grade + 1], pooled)
            elif not sys.stdin.isatty():
                raise DataError(
                    "grading by keys needs a terminal: run the command in one, or give --endpoint"
                )
            else:
                _grade_by_keys(kb, session, top_grade, len(pooled))
        except _Quit:
            pass  # to continue another time
        except (KeyboardInterrupt, click.Abort):
            _finish(judgments, asked, out, quepid, len(pooled), session.judged, as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    _finish(judgments, asked, out, quepid, len(pooled), session.judged, as_json)


def agreement_command(
    first: Annotated[Path, typer.Argument(metavar="QRELS", help="Judgments of one judge.")],
    second: Annotated[Path, typer.Argument(metavar="OTHER", help="Judgments of another one.")],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Report how far two judges agree: the share of equal grades, and Cohen's kappa."""
    found = agreement(Qrels.read(first), Qrels.read(second))
    if as_json:
        print_json(found)
        return
    show(f"{count(found.pairs, 'pair')} judged by both, {found.same:.1%} with the same grade")
    show(f"Cohen's kappa {found.kappa:.3f}, with quadratic weights {found.weighted:.3f}")
    show(f"kappa of relevant or not {found.binary:.3f}")


def _default_pipelines(kb: Collection) -> list[str]:
    return ["bm25", "splade", "hybrid"] if kb.index.schema.words is not None else ["splade"]


def _ask_model(
    kb: Collection,
    session: Session,
    endpoint: str,
    chat_model: str,
    meanings: Sequence[str],
    pooled: Sequence[PooledDocument],
) -> None:
    if not chat_model:
        raise typer.BadParameter("--endpoint needs --chat-model, the name of the model there")
    judge = endpoint_judge(endpoint, chat_model, meanings)
    with reporting(len(pooled) - session.judged, "judging", is_watched()) as on_done:
        while (current := session.current) is not None:
            session.grade(judge(current.query.text, kb.get(current.doc_id)))
            on_done(1)


def _grade_by_keys(kb: Collection, session: Session, top_grade: int, size: int) -> None:
    say(", ".join(f"{grade} {_MEANINGS[grade]}" for grade in range(top_grade + 1)), "bold")
    say(_HELP)
    query: Query | None = None
    while (current := session.current) is not None:
        if current.query != query:
            query = current.query
            show_heading(query.text)
        _show_document(kb, current, session.judged + 1, size)
        while not _act(kb, session, click.getchar(), top_grade):
            pass


def _act(kb: Collection, session: Session, key: str, top_grade: int) -> bool:
    """Do what a key stands for; return whether another document comes."""
    if key.isdigit() and int(key) <= top_grade:
        session.grade(int(key))
    elif key == "s":
        session.skip()
    elif key == "n":
        session.skip_query()
    elif key == "b":
        if not session.back():
            say("this is the first document")
            return False
    elif key == "q":
        raise _Quit
    elif key in ("\x03", "\x04"):
        raise click.Abort
    elif key == "o" and session.current is not None:
        show_text(kb.get(session.current.doc_id).full_text, indent=2)
        return False
    else:
        say(f"press 0 to {top_grade}; {_HELP}")
        return False
    return True


def _show_document(kb: Collection, current: PooledDocument, number: int, size: int) -> None:
    document = kb.get(current.doc_id)
    show(
        (f"{number:,}/{size:,}  ", "dim"), (document.title, "bold"), "  ", (document.doc_id, "dim")
    )
    with suppress(LexpandError):
        explanation = kb.explain(current.query.text, current.doc_id)
        show(*marked(explanation.snippet()), indent=2)
        show((shortly(explanation, _TERMS), "green"), indent=2)


def _finish(
    judgments: JudgmentFile,
    queries: Sequence[Query],
    out: Path,
    quepid: Path | None,
    size: int,
    judged: int,
    as_json: bool,
) -> None:
    if quepid is not None and judgments.grades:
        write_quepid(quepid, JudgedQueries(tuple(queries), judgments.qrels()))
    if as_json:
        print_json({"out": str(out), "pool": size, "judged": judged})
    else:
        show(f"{judged:,} of {count(size, 'document')} are judged in {out}")
        if judged < size:
            say("run the same command again to continue")
