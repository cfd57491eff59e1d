"""`lexpand collection check` and `overlap`: whether a collection can measure something."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.making import IdField
from lexpand.cli.options import OUTPUT, SOURCE, Json, QrelsPath, QueriesPath, Verbose
from lexpand.cli.output import (
    count,
    is_watched,
    print_json,
    print_refused,
    say,
    show,
)
from lexpand.data import Fields, read_documents, read_judged, read_queries
from lexpand.data.readers.beir import find_queries
from lexpand.diagnose.finding import Finding, Severity
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, NotAnIndex, RowError
from lexpand.experiments.checking import CheckKind, CollectionReport, check_collection
from lexpand.experiments.contamination import WORDS, CollectionTexts, Hit, search_rows
from lexpand.index import Index
from lexpand.train.rows import Row, read_rows, write_rows

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_ITEMS_SHOWN = 10
_HITS_SHOWN = 20
_WORDS_SHOWN = 16


def check_command(
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="CORPUS",
            help="The documents: a source as for `lexpand index`, or the folder of an index.",
        ),
    ],
    queries: QueriesPath,
    qrels: QrelsPath = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Judgments of a BEIR folder.",
            show_default="the first of test, dev and train",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    id_field: IdField = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check whether QUERIES with their judgments can measure a search of CORPUS.

    Errors are judged ids that do not exist, contradicting judgments and unreadable rows
    (docs/collections.md). They give the exit code 3; warnings do not.
    """
    refused: list[RowError] = []
    with reporting(None, "reading", is_watched()) as on_done:
        doc_ids = _doc_ids(corpus, Fields(doc_id=id_field), refused, on_done)
    judged = read_judged(queries, qrels, split=split, on_bad_row=refused.append)
    report = check_collection(judged, doc_ids, refused=refused)
    if as_json:
        print_json({**report.to_dict(), "notes": judged.notes})
    else:
        for note in judged.notes:
            say(note, "yellow")
        _print_report(report)
    if not report.is_sound:
        raise typer.Exit(EXIT_REFUSED)


def overlap_command(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...", help="Training data: JSONL files, folders of them, BEIR folders."
        ),
    ],
    collections: Annotated[
        list[Path],
        typer.Option(
            "--with",
            metavar="COLLECTION",
            help="Test collection: a BEIR folder, or a source of documents. Repeat the option for "
            "several.",
        ),
    ],
    clean: Annotated[
        Path | None,
        typer.Option(
            "--clean",
            metavar="OUT",
            help="Write the rows that share nothing to this JSONL file (also .gz and .zst).",
            show_default="none",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    words: Annotated[
        int, typer.Option("--words", min=1, help="Length of a shared run, in words.")
    ] = WORDS,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List the rows of DATA that share a query or a run of words with a test collection.

    A model that is trained on such rows has seen what it is measured on. Without --clean, the exit
    code is 3 if there is such a row. Rows that cannot be used are listed (exit code 3).
    """
    if clean is not None and clean.exists():
        raise DataError(f"{clean} already exists: choose another name, or remove it")
    refused: list[RowError] = []
    texts = [_texts(path, words, refused) for path in collections]
    search = _Search(data, texts, refused)
    if clean is None:
        deque(search.clean_rows(), maxlen=0)
    else:
        write_rows(clean, search.clean_rows())
    facts = {
        "rows": search.rows,
        "overlapping": search.overlapping,
        "hits": search.hits,
        "output": None if clean is None else str(clean),
    }
    if as_json:
        print_json({**facts, "refused": refused})
    else:
        _print_hits(search, clean)
        print_refused(refused)
    if refused or (search.overlapping and clean is None):
        raise typer.Exit(EXIT_REFUSED)


def _doc_ids(
    corpus: Path, fields: Fields, refused: list[RowError], on_done: Callable[[int], None]
) -> set[str]:
    if corpus.is_dir():
        try:
            with Index.open(corpus) as index:
                return set(index.doc_ids())
        except NotAnIndex:
            pass
    found = set()
    for document in read_documents(corpus, fields=fields, on_bad_row=refused.append):
        found.add(document.doc_id)
        on_done(1)
    return found


def _print_report(report: CollectionReport) -> None:
    for finding in report.findings:
        _print_finding(finding)
    smallest, median, largest = report.relevant
    grades = ", ".join(f"{grade} ({number:,})" for grade, number in report.grades.items())
    show(
        f"{report.name}: {count(report.documents or 0, 'document')}, {report.queries:,} queries, "
        f"{report.judged:,} of them judged ({report.judged_share:.0%})"
    )
    show(f"{count(report.judgments, 'judgment')}, grades {grades}", indent=2)
    show(f"{smallest:,} to {largest:,} relevant documents per query, median {median:,g}", indent=2)
    show(f"{count(len(report.findings), 'finding')}")


def _print_finding(finding: Finding) -> None:
    show(
        (finding.severity, _STYLES[finding.severity]),
        f" {finding.kind}: {finding.count:,} {finding.what}",
    )
    if finding.kind in (CheckKind.CONTRADICTIONS, CheckKind.INVALID_ROWS):
        for item in finding.examples:
            show(item, indent=2)
    elif finding.examples:
        more = len(finding.examples) - _ITEMS_SHOWN
        rest = f" and {more:,} more (--json lists all)" if more > 0 else ""
        show(", ".join(finding.examples[:_ITEMS_SHOWN]) + rest, indent=2)
    show((finding.advice, "green"), indent=2)


def _texts(path: Path, words: int, refused: list[RowError]) -> CollectionTexts:
    """Return the texts of a collection; a source of documents has no queries."""
    has_queries = path.is_dir() and find_queries(path) is not None
    queries = read_queries(path, on_bad_row=refused.append) if has_queries else ()
    documents = read_documents(path, on_bad_row=refused.append)
    return CollectionTexts(documents, queries, name=path.resolve().name, words=words)


class _Search:
    """The search of training data for the texts of collections.

    Attributes:
        rows: the number of rows that were read.
        overlapping: the number of rows that share something.
        hits: what they share.
    """

    def __init__(
        self, data: Sequence[Path], texts: Sequence[CollectionTexts], refused: list[RowError]
    ) -> None:
        self.rows, self.overlapping = 0, 0
        self.hits: list[Hit] = []
        self._data, self._texts, self._refused = data, texts, refused

    def clean_rows(self) -> Iterator[Row]:
        """Yield the rows that share nothing."""
        waiting: deque[Row] = deque()
        with reporting(None, "comparing", is_watched()) as on_done:
            for hits in search_rows(self._read(waiting), self._texts):
                row = waiting.popleft()
                on_done(1)
                self.rows += 1
                self.overlapping += bool(hits)
                self.hits += hits
                if not hits:
                    yield row

    def _read(self, waiting: deque[Row]) -> Iterator[tuple[str, Sequence[str], str]]:
        for row in read_rows(self._data, self._refused.append):
            waiting.append(row)
            yield row.place, row.documents, row.query


def _print_hits(search: _Search, clean: Path | None) -> None:
    for hit in search.hits[:_HITS_SHOWN]:
        words = hit.words.split()
        rest = " ..." if len(words) > _WORDS_SHOWN else ""
        show(f"{hit.place}: {hit.kind} {hit.shared_id!r} of {hit.collection}")
        show((" ".join(words[:_WORDS_SHOWN]) + rest, "dim"), indent=2)
    if len(search.hits) > _HITS_SHOWN:
        show(f"... and {len(search.hits) - _HITS_SHOWN:,} more (--json lists all)")
    verb = "shares" if search.overlapping == 1 else "share"
    show(f"{search.overlapping:,} of {count(search.rows, 'row')} {verb} text with a collection")
    if clean is not None:
        show(f"{clean} has the other {count(search.rows - search.overlapping, 'row')}")
