"""`lexpand encode SOURCE --output OUT`: encode documents into a file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.ingesting import total_of
from lexpand.cli.output import count, is_watched, json_line, print_json, print_refused, say, show
from lexpand.collection import encode_to_file
from lexpand.data import DocumentEncoding, Fields
from lexpand.data.objects import documents_of
from lexpand.data.readers.rows import in_file_order
from lexpand.data.streams import partial_of, write_lines
from lexpand.encode import Encoder, VectorCache
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.index.exchange import Format, check_target


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The options for the file and for the encoding of the documents."""

    output: Path
    file_format: Format | None
    force: bool
    cache: Path | None
    stats: Path | None
    fields: Fields
    encoding: Mapping[str, Any]
    rules: Path | None


def encode_file(
    source: Path, settings: FileOptions, model: str, threads: int | None, as_json: bool
) -> None:
    """Encode the documents of a source into a file, and print statistics."""
    start, refused = time.perf_counter(), list[RowError]()
    check_target(settings.output, settings.file_format, None, settings.force)
    _check_places(source, settings)
    with _cache(settings) as cache:
        encoding = DocumentEncoding(**settings.encoding)
        encoder = Encoder.load(
            model, documents=encoding, rules=settings.rules, threads=threads
        ).with_cache(cache)
        with (
            _saying_what_is_kept(cache, refused),
            reporting(total_of(source), "encoding", is_watched()) as on_done,
        ):
            statistics = encode_to_file(
                encoder,
                documents_of(source, fields=settings.fields, on_bad_row=refused.append),
                settings.output,
                format=settings.file_format,
                overwrite=settings.force,
                on_bad_row=refused.append,
                on_done=on_done,
            )
    refused.sort(key=in_file_order)
    summary = statistics.summary(time.perf_counter() - start)
    facts = {**summary, "output": str(settings.output), "bytes": settings.output.stat().st_size}
    if settings.stats is not None:
        write_lines(settings.stats, [json_line({**facts, "refused": refused})])
    if as_json:
        print_json({**facts, "refused": refused})
    else:
        _print(facts)
        print_refused(refused)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _check_places(source: Path, settings: FileOptions) -> None:
    """Raise an error if the output would replace the source or an existing file."""
    if source.exists() and settings.output.exists() and source.samefile(settings.output):
        raise DataError(f"{settings.output} is the source itself: choose another file for --output")
    if settings.stats is not None and settings.stats.exists() and not settings.force:
        raise DataError(f"{settings.stats} exists: choose another file, or replace it with --force")


@contextmanager
def _cache(settings: FileOptions) -> Iterator[VectorCache]:
    """Open the requested cache, or one next to the output that is kept if the run is cut short."""
    path = settings.cache or partial_of(settings.output)
    if settings.cache is None and path.exists():
        say(f"continuing from {path}", "yellow")
    useless = False
    try:
        with VectorCache(path) as cache:
            try:
                yield cache
                useless = True
            finally:
                useless = useless or not len(cache)
    finally:
        if settings.cache is None and useless:
            _remove(path)


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


@contextmanager
def _saying_what_is_kept(cache: VectorCache, refused: list[RowError]) -> Iterator[None]:
    try:
        yield
    except LexpandError:
        print_refused(refused)
        raise
    except KeyboardInterrupt:
        print_refused(refused)
        kept = (
            f"{cache.path} has {count(len(cache), 'text')}; run the same command again to continue"
        )
        say(f"interrupted: {kept if len(cache) else 'nothing was encoded yet'}", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _print(facts: dict[str, Any]) -> None:
    nnz = facts["nnz"]
    documents = count(facts["documents"], "document")
    show(
        f"{facts['output']} has {documents}, {facts['bytes']:,} bytes:"
        f" {facts['documents_per_second']:,.1f} documents and {facts['terms_per_second']:,} terms"
        " per second"
    )
    show(
        f"terms per document: mean {nnz['mean']:,.1f}, median {nnz['p50']:,}, 90th percentile"
        f" {nnz['p90']:,}, maximum {nnz['max']:,}",
        indent=2,
    )
    hubs = ", ".join(f"{term} {share:.0%}" for term, share in facts["hub_terms"].items())
    show(f"most frequent terms, by share of documents: {hubs}", indent=2)
    if facts["truncated"]:
        most = ", ".join(f"{doc_id} {lost:,}" for lost, doc_id in facts["most_cut"])
        lost = f"{facts['tokens_lost']:,} of {facts['tokens']:,} tokens not read"
        show(f"{facts['truncated']:,} cut: {lost}; most, by document: {most}", indent=2)
    if facts["empty"]:
        show(f"{facts['empty']:,} without any term: {', '.join(facts['empty_ids'])} …", indent=2)
