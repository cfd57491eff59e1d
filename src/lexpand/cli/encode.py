"""`lexpand encode`: encode texts as terms with weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.encode_bulk import BULK, encode_bulk
from lexpand.cli.encode_file import FileOptions, encode_file
from lexpand.cli.exchange import FileFormat
from lexpand.cli.making import (
    CacheFile,
    ChunksAs,
    IdField,
    LongPolicy,
    MaxLength,
    Overlap,
    Prune,
    TextField,
    TitleField,
    TitleWeight,
    encoding_of,
)
from lexpand.cli.options import DtypeOption, Json, QueryModeOption, TextRules, Threads, Verbose
from lexpand.cli.output import print_json, show
from lexpand.data import Chunks, DocumentEncoding, Dtype, Fields, LongDocuments
from lexpand.encode import Encoder, QueryEncoding, Role, Trace
from lexpand.engines.bulk import SHARD_ROWS, BulkJob
from lexpand.engines.distributing import Cluster
from lexpand.errors import DataError


def encode(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT",
            help="Texts, or '-' to read one text per line from standard input. With --output, a "
            "source of documents as for `lexpand index`.",
        ),
    ],
    role: Annotated[
        Role, typer.Option("--role", help="Encode the texts as documents or as queries.")
    ] = Role.DOCUMENT,
    model: Annotated[
        str, typer.Option("--model", help="Model folder, or 'default' for the packaged one.")
    ] = "default",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="PATH",
            help="Write the vectors to this file: .jsonl (also .gz and .zst), .npz, .parquet or "
            ".ciff; with --on to this folder.",
        ),
    ] = None,
    cluster: Annotated[
        Cluster | None,
        typer.Option(
            "--on",
            help="Encode a Parquet file or a folder of them, a shard at a time, into the folder"
            " --output: here, on Ray or on Spark. Paths may be URLs such as s3://bucket/pages.",
            show_default="a file, in this process",
            rich_help_panel=BULK,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="Workers of Ray or Spark.", rich_help_panel=BULK),
    ] = 2,
    shard_rows: Annotated[
        int,
        typer.Option(
            "--shard-rows",
            min=1,
            help="Least number of rows of a shard; shards are whole row groups.",
            rich_help_panel=BULK,
        ),
    ] = SHARD_ROWS,
    file_format: FileFormat = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    stats: Annotated[
        Path | None,
        typer.Option("--stats", help="Write statistics as JSON to this file.", show_default="none"),
    ] = None,
    cache: CacheFile = None,
    id_field: IdField = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    max_length: MaxLength = None,
    long: LongPolicy = None,
    chunks: ChunksAs = None,
    overlap: Overlap = None,
    title_weight: TitleWeight = None,
    prune: Prune = None,
    rules: TextRules = None,
    dtype: DtypeOption = None,
    query_mode: QueryModeOption = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the terms of each TEXT with their weights, and the word behind each expansion term.

    With --json, each text is one line: {"text": ..., "terms": {term: weight}, "origins": {term:
    {origin, word}}}.

    With --output, the documents of a source are encoded into a file for other systems
    (docs/exchange.md). After Ctrl-C or a crash, run the same command again to continue: encoded
    vectors are kept next to the file until it is complete. Chunks of long documents become one
    vector. Rows that cannot be used are listed (exit code 3).

    With --on, the source may be larger than one machine can encode (docs/bulk.md).
    """
    fields = Fields(doc_id=id_field, text=text_field, title=title_field)
    encoding = encoding_of(
        max_length=max_length,
        long=long,
        chunks=chunks,
        overlap=overlap,
        title_weight=title_weight,
        prune=prune,
        dtype=dtype if output is not None else None,
        plain=LongDocuments(chunks=Chunks.MAX),
    )
    if query_mode is not None and role is not Role.QUERY:
        raise typer.BadParameter("needs --role query", param_hint="'--query-mode'")
    if output is not None:
        if len(texts) != 1 or role is not Role.DOCUMENT:
            raise typer.BadParameter("--output needs exactly one source of documents")
        if cluster is not None:
            if any(option is not None for option in (file_format, stats, cache)) or force:
                raise typer.BadParameter(
                    "--on writes Parquet: leave out --format, --stats, --cache and --force"
                )
            path = None if rules is None else str(rules)
            job = BulkJob(texts[0], output, model, encoding, fields, path, threads, shard_rows)
            encode_bulk(job, cluster, workers, as_json)
            return
        settings = FileOptions(
            Path(output), file_format, force, cache, stats, fields, encoding, rules
        )
        encode_file(Path(texts[0]), settings, model, threads, as_json)
        return
    if (
        any(option is not None for option in (file_format, stats, cache, cluster))
        or encoding
        or fields != Fields()
        or force
    ):
        raise typer.BadParameter("options for files and documents need --output")
    arithmetic = dtype or Dtype.FLOAT32
    encoder = Encoder.load(
        model,
        documents=DocumentEncoding(dtype=arithmetic),
        queries=QueryEncoding(query_mode, dtype=arithmetic),
        threads=threads,
        rules=rules,
    )
    for text in _lines(texts):
        trace = encoder.trace(text, role)
        ordered = sorted(trace.weights, key=lambda term: (-trace.weights[term], term))
        if as_json:
            weights = {encoder.vocabulary.term(term): trace.weights[term] for term in ordered}
            origins = {encoder.vocabulary.term(term): _origin_of(trace, term) for term in ordered}
            print_json({"text": text, "terms": weights, "origins": origins})
            continue
        show((text, "bold"))
        for term in ordered:
            show(
                f"{trace.weights[term]:.3f}  {_shown(encoder, term)}",
                *_origin(trace, term),
                indent=2,
            )


def _lines(texts: list[str]) -> Iterator[str]:
    for text in texts:
        if text == "-":
            yield from _standard_input()
        else:
            yield text


def _standard_input() -> Iterator[str]:
    for number, line in enumerate(typer.get_binary_stream("stdin"), 1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input, line {number}: invalid UTF-8 ({error.reason}): give UTF-8"
            ) from error


def _origin_of(trace: Trace, term: int) -> dict[str, str | None]:
    """Return the origin of a term (text, expansion or rule) and the word behind it, if any."""
    if term in trace.by_rule:
        return {"origin": "rule", "word": None}
    return {
        "origin": "text" if term in trace.input_terms else "expansion",
        "word": trace.word(term),
    }


def _shown(encoder: Encoder, term: int) -> str:
    """Return a term as the vocabulary spells it, or the text of a pinned term."""
    pinned = encoder.vocabulary.text(term) != encoder.readable(term)
    return encoder.readable(term) if pinned else encoder.vocabulary.term(term)


def _origin(trace: Trace, term: int) -> tuple[tuple[str, str], ...]:
    if term in trace.by_rule:
        return ((" by a rule", "dim"),)
    if term in trace.input_terms:
        return ()
    word = trace.word(term)
    return ((f" from {'the whole text' if word is None else repr(word)}", "dim"),)
