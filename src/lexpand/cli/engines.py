"""`lexpand push`, `verify`, `switch` and `pull`: the same ranking in another search engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexpand.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.options import (
    CONNECTION,
    Authority,
    CredentialsFile,
    IndexPath,
    Json,
    Model,
    Threads,
    Verbose,
)
from lexpand.cli.output import count, is_watched, json_line, print_json, say, show
from lexpand.collection import open as open_collection
from lexpand.data import Query, read_queries
from lexpand.data.streams import write_lines
from lexpand.encode import Encoder
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, EngineError
from lexpand.index import Index

if TYPE_CHECKING:
    from lexpand.engines import Engine, Fields, Verification

Address = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Server and index: https://search.example.org:9200/pages (Elasticsearch, OpenSearch or"
        " Qdrant; the server says which), postgresql://host/database/table,"
        " milvus+https://host:19530/collection, qdrant-edge:FOLDER, or"
        " milvus-lite:FOLDER.db/collection.",
    ),
]
FOREIGN = "A target that something else filled"

VectorField = Annotated[
    str,
    typer.Option(
        "--vector-field",
        metavar="NAME",
        help="Field, column or named vector of the weights.",
        rich_help_panel=FOREIGN,
    ),
]
TextField = Annotated[
    str,
    typer.Option(
        "--text-field", metavar="NAME", help="Field of the texts.", rich_help_panel=FOREIGN
    ),
]
TitleField = Annotated[
    str,
    typer.Option(
        "--title-field",
        metavar="NAME",
        help="Field of the titles, if there is one.",
        rich_help_panel=FOREIGN,
    ),
]
IdField = Annotated[
    str,
    typer.Option(
        "--id-field",
        metavar="NAME",
        help="Column of the ids, in PostgreSQL. Elsewhere a record has an id of its own.",
        rich_help_panel=FOREIGN,
    ),
]

_VESPA = "vespa:"
_REFUSED_SHOWN = 10
_REPAIRED = ("records", "texts", "vectors")
"""The checks of differences that a push repairs."""


def push_command(
    index_path: IndexPath,
    address: Address,
    shards: Annotated[int, typer.Option("--shards", min=1, help="Shards of a new target.")] = 1,
    analyzer: Annotated[
        str,
        typer.Option(
            "--analyzer",
            metavar="NAME",
            help="Analyzer of words of a new target (Elasticsearch, OpenSearch, Milvus), such as"
            " english.",
        ),
    ] = "standard",
    seismic: Annotated[
        bool,
        typer.Option(
            "--seismic",
            help="Let a new target be searched approximately by SEISMIC (OpenSearch 3.3 with the"
            " plugin neural-search).",
        ),
    ] = False,
    fold_query_weights: Annotated[
        bool,
        typer.Option(
            "--fold-query-weights",
            help="Multiply the query weights of an inference-free model into those of documents. A"
            " query is then the bag of its tokens with weight 1.",
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Send all passages, also those that URL says it has: repairs a target that"
            " something else changed.",
        ),
    ] = False,
    requests: Annotated[
        int,
        typer.Option(
            "--requests", min=1, max=64, help="Requests at a time.", rich_help_panel=CONNECTION
        ),
    ] = 4,
    credentials: CredentialsFile = None,
    ca: Authority = None,
    model: Model = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make URL hold exactly the passages of INDEX, with their stored vectors.

    Passages that URL has already are not sent again, so run the command again after an
    interruption or a change. Prove the result with `lexpand verify`.

    With vespa:FOLDER as URL, an application package and a feed are written for Vespa.
    """
    from lexpand.engines import open_engine, push

    if address.startswith(_VESPA):
        if fold_query_weights:
            raise DataError("files for Vespa have the weights of the model: leave out the folding")
        _write_vespa(index_path, Path(address.removeprefix(_VESPA)), as_json)
        return
    with (
        Index.open(index_path) as index,
        open_engine(address, credentials=credentials, ca=ca) as engine,
    ):
        if fold_query_weights:
            engine.encoder = Encoder.load(model or index.space.location or "default")
        if (shards, analyzer, seismic) != (1, "standard", False):
            _note_ignored(engine)
        try:
            with reporting(index.live_passages, "pushing", is_watched()) as on_done:
                report = push(
                    index,
                    engine,
                    shards=shards,
                    analyzer=analyzer,
                    seismic=seismic,
                    fold_query_weights=fold_query_weights,
                    again=again,
                    threads=requests,
                    on_done=on_done,
                )
        except KeyboardInterrupt:
            say("interrupted: run the same command again to continue", "yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        name = engine.info().name
    if as_json:
        print_json({"engine": name, "target": address, **asdict(report)})
    else:
        show(
            f"{name}: {count(report.uploaded, 'passage')} written, {report.unchanged:,} unchanged,"
            f" {report.deleted:,} deleted"
        )
        for each in report.refused[:_REFUSED_SHOWN]:
            say(f"refused {each.record_id}: {each.reason}", "yellow")
        if len(report.refused) > _REFUSED_SHOWN:
            say(f"... and {len(report.refused) - _REFUSED_SHOWN:,} more", "yellow")
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)


def _note_ignored(engine: Engine) -> None:
    """Say that the options of a new target change nothing, if the target exists."""
    info = engine.info()
    if info.records is not None:
        say(
            f"{info.target} exists, so --shards, --analyzer and --seismic change nothing",
            "yellow",
        )


def _write_vespa(index_path: Path, folder: Path, as_json: bool) -> None:
    from lexpand.engines.vespa import write_application

    with (
        Index.open(index_path) as index,
        reporting(index.live_passages, "writing", is_watched()) as on_done,
    ):
        passages = write_application(index, folder, on_done=on_done)
    if as_json:
        print_json({"target": str(folder), "passages": passages})
        return
    show(f"{folder} has an application of Vespa, and a feed of {count(passages, 'passage')}")
    say(f"vespa deploy {folder / 'application'} && vespa feed {folder / 'feed.jsonl'}", "dim")


def verify_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Index that was pushed; or a model folder, or `default`, to verify a target that"
            " something else filled.",
        ),
    ],
    address: Address,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            metavar="FILE",
            help="Queries whose rankings are compared.",
            show_default="titles of documents",
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Passages whose vectors are compared.")
    ] = 200,
    k: Annotated[int, typer.Option("-k", "--top", min=1, help="Documents of a ranking.")] = 10,
    vector_field: VectorField = "splade",
    text_field: TextField = "text",
    title_field: TitleField = "title",
    id_field: IdField = "doc_id",
    credentials: CredentialsFile = None,
    ca: Authority = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Verify that URL holds the vectors of SOURCE and ranks by them.

    The verdict is: equal; equal within the engine's precision; or not equal, with the reasons. The
    exit code is 1 if it is not equal.
    """
    from lexpand.engines import Fields, Verdict

    fields = Fields(vector_field, text_field, title_field, id_field)
    asked: list[Query] = [] if queries is None else list(read_queries(queries))
    connection = (credentials, ca)
    found = _verified(source, address, model, threads, fields, connection, asked, sample, k)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if found.verdict is Verdict.DIFFERENT:
        raise typer.Exit(EXIT_ERROR)


def switch_command(
    address: Address,
    alias: Annotated[
        str, typer.Argument(metavar="ALIAS", help="Name that searches use, such as pages.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--verify",
            metavar="SOURCE",
            help="Verify URL against this index, model folder or `default` first, and switch only"
            " if it is equal.",
        ),
    ] = None,
    credentials: CredentialsFile = None,
    ca: Authority = None,
    model: Model = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Let ALIAS point to URL, at once for all searches.

    The target that ALIAS pointed to stays as it is, so switching back is the same command.
    """
    from lexpand.engines import Fields, Verdict, open_engine

    if source is not None:
        found = _verified(source, address, model, threads, Fields(), (credentials, ca))
        if not as_json:
            _print(found)
        if found.verdict is Verdict.DIFFERENT:
            say(f"{alias} was not switched", "yellow")
            raise typer.Exit(EXIT_ERROR)
    with open_engine(address, credentials=credentials, ca=ca) as engine:
        before = engine.alias(alias)
        target = engine.info().target
    if as_json:
        print_json({"alias": alias, "target": target, "before": before})
        return
    show((alias, "bold"), f" points to {target}" + (f", no longer to {before}" if before else ""))


def pull_command(
    address: Address,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write to this file.", show_default="standard output"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    vector_field: VectorField = "splade",
    id_field: IdField = "doc_id",
    credentials: CredentialsFile = None,
    ca: Authority = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the documents of URL as lines of JSON, with all fields but the vectors.

    `lexpand index` reads them: lexpand pull URL | lexpand index - pages.index
    """
    from lexpand.engines import Fields, open_engine

    if out is not None and out.exists() and not force:
        raise DataError(f"{out} exists: choose another file, or replace it with --force")
    fields = Fields(vector=vector_field, doc_id=id_field)
    with open_engine(address, fields=fields, credentials=credentials, ca=ca) as engine:
        info = engine.info()
        if info.records is None:
            raise EngineError(f"{info.name} has no {info.target}")
        with reporting(info.records, "pulling", out is not None and is_watched()) as on_done:
            lines = _counted(engine.exported(), on_done)
            if out is None:
                for each in lines:
                    print_json(each)
            else:
                write_lines(out, map(json_line, lines))
    if out is None:
        return
    if as_json:
        print_json({"out": str(out), "records": info.records, "target": info.target})
    else:
        show(f"{out} has {count(info.records, 'record')} of {info.target}")


def _counted(
    rows: Iterator[dict[str, Any]], on_done: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for each in rows:
        yield each
        on_done(1)


def _verified(
    source: str,
    address: str,
    model: str | None,
    threads: int | None,
    fields: Fields,
    connection: tuple[Path | None, Path | None],
    queries: Sequence[Query] = (),
    sample: int = 200,
    k: int = 10,
) -> Verification:
    """Verify an address against an index or a model; ``connection`` is credentials and ca."""
    from lexpand.engines import open_engine, verify

    credentials, ca = connection
    if Index.exists(source):
        with (
            open_collection(Path(source), model=model, threads=threads) as kb,
            open_engine(
                address, kb.encoder, fields=fields, credentials=credentials, ca=ca
            ) as engine,
        ):
            return verify(engine, kb.encoder, kb.index, queries, sample=sample, k=k)
    encoder = Encoder.load(source, threads=threads)
    with open_engine(address, encoder, fields=fields, credentials=credentials, ca=ca) as engine:
        return verify(engine, encoder, None, queries, sample=sample, k=k)


def _print(found: Verification) -> None:
    color = "bold red" if found.differences else "bold green"
    show((str(found.verdict), color), f"  {found.target} on {found.engine}")
    for each in found.differences:
        show((f"{each.check}: ", "bold"), each.said, indent=2)
    if any(each.check in _REPAIRED for each in found.differences):
        say("a push with --again writes all passages of an index again", "yellow")
    show(
        f"{count(found.records, 'passage')}; vectors of {found.vectors:,} compared, largest"
        f" relative error of a weight {found.largest_weight_error:.2%}",
        indent=2,
    )
    ranked = f"{found.queries:,} rankings of {found.k}, " if found.overlap is not None else ""
    show(
        f"{ranked}{found.scores:,} scores compared, largest relative error of a score"
        f" {found.largest_score_error:.2%}",
        indent=2,
    )
    if found.overlap is not None and found.same_order is not None:
        show(
            f"overlap {found.overlap:.1%}, same order for {found.same_order:.1%} of the queries",
            indent=2,
        )
    if found.precision:
        show(f"the engine's precision explains {found.precision:.2%}", indent=2)
    for note in found.notes:
        say(note, "yellow")
