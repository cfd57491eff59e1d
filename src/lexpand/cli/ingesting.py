"""What commands that put documents into an index share: a first document, an early end, a report."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED
from lexpand.cli.output import count, print_json, print_refused, say, show
from lexpand.data import Document
from lexpand.encode import Chunks, Encoder, Long, Role
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.index import Index, IngestReport


def begun(source: Path, documents: Iterator[Document], refused: list[RowError]) -> Iterator[Document]:
    """The documents, the first one already read: a source without any makes no index."""
    for first in documents:
        return itertools.chain([first], documents)
    print_refused(refused)
    raise DataError(f"{source} has no row that can be used: nothing was indexed")


@contextmanager
def saying_what_is_kept(index: Index, refused: list[RowError]) -> Iterator[None]:
    """Where the work ends early, list the rows refused by then; after Ctrl-C say what the index has."""
    try:
        yield
    except LexpandError:
        print_refused(refused)
        raise
    except KeyboardInterrupt:
        print_refused(refused)
        kept = count(len(index), "document")
        say(f"interrupted: {index.path} has {kept}; the same command again carries on", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_report(
    report: IngestReport,
    refused: list[RowError],
    index: Index,
    encoder: Encoder,
    seconds: float,
    as_json: bool,
) -> None:
    """What became of the documents, and the rows that were refused."""
    if as_json:
        facts = {**asdict(report), "refused": refused, "documents": len(index), "seconds": round(seconds, 3)}
        print_json({**facts, "encode_seconds": round(report.encode_seconds, 3)})
        return
    rate = f" ({report.added / report.encode_seconds:,.1f} a second encoded)" if report.added else ""
    show(f"{count(report.added, 'document')} added in {seconds:,.1f} s{rate}")
    notes = {
        "already there with the same content: skipped": report.unchanged,
        "already there with another content: left as they are": report.skipped,
        "of them in the place of another content": report.replaced,
        f"longer than {encoder.max_tokens[Role.DOCUMENT]} tokens: cut, {report.tokens_lost:,} of "
        f"{report.tokens:,} tokens not read": report.truncated,
        "without any term: no query can find them": report.empty,
    }
    for note, number in notes.items():
        if number:
            show(f"{number:,} {note}", indent=2)
    if report.most_cut:
        most = ", ".join(f"{doc_id} {lost:,}" for lost, doc_id in report.most_cut)
        show(f"most tokens not read, by document: {most}", indent=2)
    if encoder.long.policy is Long.CHUNK and encoder.long.chunks is Chunks.UNITS:
        show(f"{count(report.units, 'unit')} made of them, long documents being in chunks", indent=2)
    show(f"{index.path} holds {count(len(index), 'document')}")
    print_refused(refused)
