"""`lexpand evaluate`: measure the rankings of an index, or of a run file, and keep the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lexpand.cli.engine_search import is_address
from lexpand.cli.exit_codes import EXIT_REFUSED
from lexpand.cli.options import (
    EVALUATION,
    OUTPUT,
    Authority,
    CredentialsFile,
    DtypeOption,
    Json,
    Measures,
    Model,
    QrelsPath,
    QueriesPath,
    QueryModeOption,
    QueryPrune,
    QueryRules,
    Split,
    StorePath,
    Threads,
    Verbose,
    query_encoding,
)
from lexpand.cli.output import is_watched, line, print_json, print_refused, say, show, show_table
from lexpand.collection import Collection
from lexpand.collection import open as open_collection
from lexpand.data import JudgedQueries, read_judged
from lexpand.encode import Encoder, QueryEncoding
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, EngineError, RowError
from lexpand.evaluation.store import RunStore, read_run
from lexpand.experiments.baseline_folders import Baseline, find_baselines
from lexpand.experiments.evaluating import (
    Evaluated,
    SelfMatches,
    evaluate_collection,
    evaluate_foreign,
    evaluate_retriever,
)
from lexpand.index import Index


def evaluate_command(
    where: Annotated[
        str,
        typer.Argument(
            metavar="INDEX",
            help="Folder of the index; the URL of another search engine that `lexpand push` filled;"
            " or with --run a run file in TREC's format.",
        ),
    ],
    queries: QueriesPath,
    qrels: QrelsPath = None,
    split: Split = None,
    measures: Measures = None,
    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline",
            metavar="NAME|FILE",
            help="How to search; see `lexpand search --help`. Repeat the option to evaluate several"
            " pipelines.",
            show_default="as `lexpand search`",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    is_run: Annotated[
        bool,
        typer.Option(
            "--run", help="INDEX is a run file of any system.", rich_help_panel=EVALUATION
        ),
    ] = False,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            "--top",
            min=1,
            help="The number of documents to rank for each query.",
            show_default="100, or the largest cutoff of a measure",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(
            "--baselines",
            metavar="DIR",
            help="Also evaluate the models in this folder: dense models search all documents,"
            " late-interaction models and cross-encoders rerank the first 100 of the pipeline.",
            show_default="none",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    self_matches: Annotated[
        SelfMatches,
        typer.Option(
            "--self-matches",
            help="Drop or keep a document whose text is the query, unless it is judged relevant.",
            rich_help_panel=EVALUATION,
        ),
    ] = SelfMatches.DROP,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost/--no-cost",
            help="Also measure latency, work per query, size and memory.",
            rich_help_panel=EVALUATION,
        ),
    ] = True,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Name of the run in the store.",
            show_default="that of the pipeline or file",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    store: StorePath = Path("lexpand-runs"),
    save: Annotated[
        bool,
        typer.Option("--save/--no-save", help="Keep the run in the store.", rich_help_panel=OUTPUT),
    ] = True,
    per_query: Annotated[
        bool,
        typer.Option(
            "--per-query", "-q", help="Print the measures of each query.", rich_help_panel=OUTPUT
        ),
    ] = False,
    query_mode: QueryModeOption = None,
    prune: QueryPrune = None,
    rules: QueryRules = None,
    dtype: DtypeOption = None,
    model: Model = None,
    credentials: CredentialsFile = None,
    ca: Authority = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Evaluate INDEX on the judged QUERIES, and keep the run in a store.

    QUERIES is a BEIR folder, a query file together with QRELS, or one table with a question, a
    document and a grade in each row (docs/collections.md). Compare runs with `lexpand compare`.
    """
    if Index.exists(queries) and not is_address(where) and not Index.exists(where):
        raise DataError(
            f"QUERIES must be judged queries, got the index {queries}: the order is INDEX QUERIES"
            " QRELS"
        )
    refused: list[RowError] = []
    try:
        judged = read_judged(queries, qrels, split=split, on_bad_row=refused.append)
    except DataError:
        print_refused(refused)
        raise
    kept = RunStore(store) if save else None
    if kept is not None:
        kept.prepare()
    chosen = tuple(measures or ("nDCG@10", "RR@10", "R@100"))
    done: list[Evaluated] = []
    saved: list[str] = []
    if is_run:
        _refuse_search_options(
            baselines, k, pipelines, query_mode, prune, rules, dtype, model, threads
        )
    settings = _Settings(judged, chosen, k, self_matches, cost, threads)
    encoding = query_encoding(query_mode, prune, dtype)
    cache = None if kept is None else kept.path / ".vectors"
    connection = (credentials, ca)
    asked = _Asked(model, encoding, rules, pipelines, name, baselines, cache, connection)
    # Each is saved at once, so that an interruption loses no finished one.
    for each in settings.evaluated(where, is_run, asked):
        done.append(each)
        if kept is not None:
            saved.append(each.save(kept).card.run_id)
    print_refused(refused)
    if as_json:
        found = [each.to_dict() for each in done]
        for plain, run_id in zip(found, saved, strict=False):
            plain["run_id"] = run_id
        print_json({"runs": found, "refused": refused})
    else:
        _print(judged, done, saved, store, per_query)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is evaluated."""

    model: str | None
    encoding: QueryEncoding
    rules: Path | None
    pipelines: Sequence[str] | None
    name: str | None
    baselines: Path | None
    cache: Path | None
    connection: tuple[Path | None, Path | None]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What all evaluations of one command have in common."""

    judged: JudgedQueries
    measures: tuple[str, ...]
    k: int | None
    self_matches: SelfMatches
    cost: bool
    threads: int | None

    def evaluated(self, where: str, is_run: bool, asked: _Asked) -> Iterator[Evaluated]:
        """Yield the evaluations of a run file, of an engine, or of all that an index is asked."""
        if is_run:
            run, name = read_run(Path(where)), asked.name or _name_of(Path(where))
            yield evaluate_foreign(run, self.judged, self.measures, name=name)
        elif is_address(where):
            if asked.baselines or asked.rules:
                raise typer.BadParameter(
                    "an engine is searched as it is: leave out --baselines and --rules"
                )
            pipelines: Sequence[str | None] = asked.pipelines or [None]
            for each in pipelines:
                yield self.engine(where, asked, each)
        else:
            yield from self.index(Path(where), asked)

    def index(self, path: Path, asked: _Asked) -> Iterator[Evaluated]:
        """Yield the evaluation of each pipeline and of each baseline."""
        models = [] if asked.baselines is None else find_baselines(asked.baselines)
        pipelines: Sequence[str | None] = asked.pipelines or [None]
        with open_collection(
            path,
            model=asked.model,
            threads=self.threads,
            queries=asked.encoding,
            rules=asked.rules,
        ) as kb:
            for each in pipelines:
                yield self.pipeline(kb, each, _named(asked.name, each, asked.pipelines or []))
            for baseline in models:
                yield self.baseline(kb, pipelines[0], baseline, asked.cache)

    def engine(self, address: str, asked: _Asked, pipeline: str | None) -> Evaluated:
        """Evaluate a pipeline of an engine."""
        from lexpand.engines import engine_pipeline, open_engine

        encoder = Encoder.load(
            asked.model or "default", queries=asked.encoding, threads=self.threads
        )
        credentials, ca = asked.connection
        with open_engine(address, encoder, credentials=credentials, ca=ca) as engine:
            engine.check_model(encoder.space.model)
            info = engine.info()
            if info.records is None:
                raise EngineError(f"{info.name} has no {info.target}: push to it first")
            model = encoder.space.model.label
            with self._progress(info.target) as on_done:
                return evaluate_retriever(
                    engine_pipeline(engine, pipeline),
                    self.judged,
                    self.measures,
                    name=_named(asked.name, pipeline, asked.pipelines or [])
                    or "-".join(filter(None, [Path(info.target).name, pipeline])),
                    k=self.k,
                    self_matches=self.self_matches,
                    cost=self.cost,
                    on_done=on_done,
                    facts={"engine": info.name, "target": info.target, "model": model},
                )

    def pipeline(self, kb: Collection, pipeline: str | None, name: str) -> Evaluated:
        """Evaluate a pipeline of the collection."""
        with self._progress(pipeline or "queries") as on_done:
            return evaluate_collection(
                kb,
                self.judged,
                self.measures,
                pipeline=pipeline,
                name=name,
                k=self.k,
                self_matches=self.self_matches,
                cost=self.cost,
                threads=self.threads or 1,
                on_done=on_done,
            )

    def baseline(
        self, kb: Collection, pipeline: str | None, baseline: Baseline, cache: Path | None
    ) -> Evaluated:
        """Evaluate a baseline over the collection; a reranker takes the pipeline's documents."""
        say(baseline.described(), "dim")
        with reporting(len(kb), f"encoding by {baseline.name}", is_watched()) as encoded:
            retriever = baseline.retriever(
                kb, kb.retriever(pipeline), threads=self.threads, cache=cache, on_done=encoded
            )
        with self._progress(baseline.name) as on_done:
            return evaluate_retriever(
                retriever,
                self.judged,
                self.measures,
                name=baseline.name,
                k=self.k,
                self_matches=self.self_matches,
                cost=self.cost,
                on_done=on_done,
                facts={"baseline": {"kind": str(baseline.kind), **baseline.settings}},
                kb=kb,
            )

    def _progress(self, what: str) -> AbstractContextManager[Callable[[int], None]]:
        return reporting(len(self.judged.judged), what, is_watched())


def _named(name: str | None, pipeline: str | None, pipelines: Sequence[str]) -> str:
    """Return the name of a run; empty for that of its pipeline."""
    if name is None or len(pipelines) < 2:
        return name or ""
    return f"{name}-{Path(pipeline or '').stem}"


def _refuse_search_options(*options: object) -> None:
    """Raise if an option is set that a run file cannot follow."""
    if any(option is not None for option in options):
        raise typer.BadParameter(
            "a run file has its rankings already: leave out -k, --baselines and the options of"
            " searching and encoding"
        )


def _name_of(path: Path) -> str:
    """Return the name of a run file without its suffixes."""
    return path.name.partition(".")[0] or "run"


def _print(
    judged: JudgedQueries,
    done: Sequence[Evaluated],
    saved: Sequence[str],
    store: Path,
    per_query: bool,
) -> None:
    if per_query:
        for each in done:
            _print_queries(each)
    show_table(_table(done))
    for each in done:
        if len(done) > 1:
            show((each.name, "bold"))
        for sentence in each.accounting():
            show(sentence, indent=2 if len(done) > 1 else 0)
    for note in judged.notes:
        say(note, "yellow")
    for run_id, each in zip(saved, done, strict=False):
        show((f"{each.name} is run {run_id} in {store}", "dim"))


def _table(done: Sequence[Evaluated]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("run")
    measures = list(done[0].means)
    costs = done[0].cost is not None
    for column in (*measures, *(("p50", "p95", "FLOPS", "bytes/doc") if costs else ())):
        table.add_column(column, justify="right")
    for each in done:
        row = [f"{each.means[measure]:.4f}" for measure in measures]
        if each.cost is not None:
            size, flops = each.cost.bytes_per_document, each.cost.flops
            row += [f"{each.cost.total_ms.p50:.2f} ms", f"{each.cost.total_ms.p95:.2f} ms"]
            row += [
                "-" if flops is None else f"{flops:.2f}",
                "-" if size is None else f"{size:,.0f}",
            ]
        table.add_row(each.name, *row)
    return table


def _print_queries(done: Evaluated) -> None:
    texts = {query.query_id: query.text for query in done.judged.queries}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, title=done.name)
    table.add_column("query_id")
    for measure in done.means:
        table.add_column(measure, justify="right")
    table.add_column("query")
    values = done.evaluation.values
    for query in next(iter(values.values()), {}):
        cells = [f"{values[measure][query]:.4f}" for measure in done.means]
        table.add_row(line(query), *cells, line(texts.get(query, "")))
    show_table(table)
