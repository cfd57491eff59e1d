"""Parts of the commands that put documents into an index: source, interruption, report."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED
from lexpand.cli.output import count, is_watched, print_json, print_refused, say, show
from lexpand.collection import Collection, IngestReport
from lexpand.collection.settings import recorded_source
from lexpand.data import Chunks, Document, Fields, Long
from lexpand.data.objects import documents_of
from lexpand.data.readers.beir import find_corpus
from lexpand.data.readers.text_file import SUFFIXES
from lexpand.data.streams import read_lines, split_compression
from lexpand.encode import Role
from lexpand.errors import DataError, LexpandError, RowError


class Stream(NamedTuple):
    """Documents of a source, the first one already read.

    Attributes:
        documents: the documents.
        total: the number of rows; None if no progress bar is shown, or counting would take long.
    """

    documents: Iterator[Document]
    total: int | None


def begun(
    source: Path,
    index_path: Path,
    fields: Fields,
    columns: Mapping[str, str],
    refused: list[RowError],
) -> Stream:
    """Open a source with the fields that the index records, and read its first document."""
    recorded, declared = recorded_source(index_path)
    documents = documents_of(
        source,
        fields=fields if fields != Fields() else recorded,
        on_bad_row=refused.append,
        columns={**declared, **columns},
    )
    for first in documents:
        return Stream(itertools.chain([first], documents), total_of(source))
    print_refused(refused)
    raise DataError(f"{source} has no usable row: nothing was indexed")


def total_of(source: Path) -> int | None:
    """Count the rows of a source (lines, or files of a folder) for a progress bar.

    A CSV file may have fewer rows than lines, so its bar may end early.
    """
    if not is_watched():
        return None
    if source.is_dir():
        corpus = find_corpus(source)
        if corpus is None:
            return (
                sum(1 for path in source.rglob("*") if path.name.lower().endswith(SUFFIXES)) or None
            )
        source = corpus
    kind = split_compression(source)[0]
    if not source.is_file() or kind not in (".jsonl", ".ndjson", ".tsv", ".csv"):
        return None
    header = 1 if kind in (".csv", ".tsv") else 0
    return max(0, sum(1 for _, line in read_lines(source) if line.strip()) - header)


@contextmanager
def saying_what_is_kept(collection: Collection, refused: list[RowError]) -> Iterator[None]:
    """If the work ends early, list the refused rows; after Ctrl-C also print what is kept."""
    try:
        yield
    except LexpandError:
        print_refused(refused)
        raise
    except KeyboardInterrupt:
        print_refused(refused)
        kept = count(len(collection), "document")
        say(
            f"interrupted: {collection.path} has {kept}; run the same command again to continue",
            "yellow",
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_report(
    report: IngestReport, collection: Collection, seconds: float, as_json: bool, **more: int
) -> None:
    """Print what was done with the documents, and the refused rows."""
    if as_json:
        facts = {
            **report.to_dict(),
            **more,
            "documents": len(collection),
            "seconds": round(seconds, 3),
        }
        print_json({**facts, "encode_seconds": round(report.encode_seconds, 3)})
        return
    rate = (
        f" (encoded {report.added / report.encode_seconds:,.1f} documents/s)"
        if report.encode_seconds
        else ""
    )
    show(f"{count(report.added, 'document')} added in {seconds:,.1f} s{rate}")
    encoder = collection.encoder
    notes = {
        "skipped: already in the index with the same content": report.unchanged,
        "skipped: in the index with different content": report.skipped,
        "of them replaced a document with different content": report.replaced,
        f"truncated at {encoder.max_tokens[Role.DOCUMENT]} tokens: {report.tokens_lost:,} of "
        f"{report.tokens:,} tokens were not read; --long chunk reads all": report.truncated,
        "without a term: no query can find them": report.empty,
        "without a word in the text": report.wordless,
    }
    for note, number in notes.items():
        if number:
            show(f"{number:,} {note}", indent=2)
    if report.most_cut:
        most = ", ".join(f"{doc_id} {lost:,}" for lost, doc_id in report.most_cut)
        show(f"documents that lost the most tokens: {most}", indent=2)
    if encoder.long.policy is Long.CHUNK and encoder.long.chunks is Chunks.PASSAGES:
        show(
            f"{count(report.passages, 'passage')} in all: long documents are in chunks",
            indent=2,
        )
    show(f"{collection.path} holds {count(len(collection), 'document')}")
    print_refused(report.refused)
