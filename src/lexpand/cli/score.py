"""`lexpand score`: add the scores of a teacher to training data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.options import OUTPUT, Json, Threads, Verbose
from lexpand.cli.output import count, is_watched, print_json, print_refused, say, show
from lexpand.data.streams import partial_of
from lexpand.encode.progress import reporting
from lexpand.errors import DataError, LexpandError, RowError
from lexpand.experiments import DensePooling
from lexpand.train.rows import Row, pairs_of, read_rows, write_rows
from lexpand.train.score_cache import ScoreCache
from lexpand.train.scoring import Kind, TeacherOptions, load_teacher, score_pairs, with_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexpand.train.score_cache import Pair

TEACHER = "Teacher"

DataPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA",
        help="JSON lines files (also .gz and .zst) or folders of query, positive, negatives and "
        "scores.",
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", help="JSON lines file to write; compressed if it ends in .gz or .zst."),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace the file that exists.", rich_help_panel=OUTPUT),
]
KindOption = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="Kind of the teacher: cross-encoder (its logit) or dense (the cosine of two vectors).",
        show_default="as the outputs of its graph say",
        rich_help_panel=TEACHER,
    ),
]
QueryPrefix = Annotated[
    str,
    typer.Option(
        "--query-prefix",
        help="Prefix of queries, for a dense teacher.",
        show_default="none",
        rich_help_panel=TEACHER,
    ),
]
DocumentPrefix = Annotated[
    str,
    typer.Option(
        "--document-prefix",
        help="Prefix of texts, for a dense teacher.",
        show_default="none",
        rich_help_panel=TEACHER,
    ),
]
Pooling = Annotated[
    DensePooling | None,
    typer.Option(
        "--pooling",
        help="Vector of a text, for a dense teacher: the state of the first token (cls) or the "
        "mean of all.",
        show_default="as 1_Pooling/config.json says, or mean",
        rich_help_panel=TEACHER,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        help="Tokens that the teacher reads. Fewer are faster.",
        show_default="the teacher's limit",
        rich_help_panel=TEACHER,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the teacher, for rows with several teachers.",
        show_default="the name of its folder",
        rich_help_panel=TEACHER,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        help="SQLite file of scores. Pairs in it are not scored again, and it is kept.",
        show_default="OUT.partial, deleted at the end",
        rich_help_panel=TEACHER,
    ),
]


def score_command(
    data: DataPaths,
    teacher: Annotated[
        str,
        typer.Option("--teacher", metavar="MODEL", help="Model folder or ONNX file."),
    ],
    out: Out,
    add: Annotated[
        bool,
        typer.Option(
            "--add",
            help="Keep the scores of other teachers: scores becomes an object of lists by the name "
            "of the teacher.",
        ),
    ] = False,
    name: Name = None,
    kind: KindOption = None,
    query_prefix: QueryPrefix = "",
    document_prefix: DocumentPrefix = "",
    pooling: Pooling = None,
    max_tokens: MaxTokens = None,
    cache: Cache = None,
    force: Force = False,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Score the positive and the negatives of each row of DATA with a teacher.

    The scores of a cross-encoder are its logits, and those of a dense model are cosines. Rows that
    cannot be used are listed (exit code 3). After Ctrl-C or a crash, run the same command again:
    pairs with a score are not scored again.
    """
    start, refused = time.perf_counter(), list[RowError]()
    check_out(out, data, force)
    rows = read_all(data, refused)
    options = TeacherOptions(kind, query_prefix, document_prefix, pooling, max_tokens, threads)
    named = name or name_of(teacher)
    with saying_refused(refused), open_cache(out, cache) as scores, saying_what_is_kept(scores):
        model, pairs = load_teacher(teacher, options), pairs_of(rows)
        known = len(scores.get(model.digest, pairs))
        with reporting(len(pairs), "scoring", is_watched()) as on_done:
            found = score_pairs(model, pairs, scores, on_done)
        write_rows(out, (with_scores(row, found, named, add=add) for row in rows))
    facts = {
        "rows": len(rows),
        "pairs": len(pairs),
        "scored": len(pairs) - known,
        "positive_first": sum(_is_first(row, found) for row in rows),
        "with_negatives": sum(len(row.documents) > 1 for row in rows),
        "seconds": round(time.perf_counter() - start, 3),
        "output": str(out),
    }
    finish(facts, refused, as_json, lambda: _print(facts))


def check_out(out: Path, data: Sequence[Path], force: bool) -> None:
    """Check that the file may be written.

    Raises:
        DataError: it exists, it is or will be part of the data, or its folder does not exist.
    """
    if not out.parent.is_dir():
        raise DataError(f"the folder {out.parent} must exist to write {out.name}: make it first")
    if out.is_dir() or (out.exists() and not force):
        raise DataError(f"{out} already exists: choose another name, or replace it with --force")
    for path in data:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise DataError(f"{out} must be outside of {path}, which is read: choose another file")
        if path.exists() and out.exists() and path.samefile(out):
            raise DataError(f"{out} is read itself: choose another file for --out")


def read_all(data: Sequence[Path], refused: list[RowError]) -> list[Row]:
    """Read all rows.

    Raises:
        DataError: no row can be used.
    """
    rows = list(read_rows(data, refused.append))
    if not rows:
        print_refused(refused)
        raise DataError(
            f"{', '.join(map(str, data))} must have at least one usable row of query and positive,"
            " got none: nothing was written"
        )
    return rows


def name_of(teacher: str) -> str:
    """Return the name of a teacher: that of its folder, or of the folder of its ONNX file."""
    path = Path(teacher).expanduser().resolve()
    folder = path.parent if path.suffix == ".onnx" else path
    return folder.parent.name if folder.name == "onnx" else folder.name


@contextmanager
def open_cache(out: Path, requested: Path | None) -> Iterator[ScoreCache]:
    """Open the requested cache, or one next to the output that is kept if the run is cut short."""
    path = requested or partial_of(out)
    if requested is None and path.exists():
        say(f"continuing from {path}", "yellow")
    useless = False
    try:
        with ScoreCache(path) as cache:
            try:
                yield cache
                useless = True
            finally:
                useless = useless or not len(cache)
    finally:
        if requested is None and useless:
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)


@contextmanager
def saying_refused(refused: list[RowError]) -> Iterator[None]:
    """If the work ends early, list the refused rows."""
    try:
        yield
    except (LexpandError, KeyboardInterrupt, typer.Exit):
        print_refused(refused)
        raise


@contextmanager
def saying_what_is_kept(cache: ScoreCache) -> Iterator[None]:
    """After Ctrl-C, print what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        kept = (
            f"{cache.path} has {count(len(cache), 'score')}; run the same command again to continue"
        )
        say(f"interrupted: {kept if len(cache) else 'nothing was scored yet'}", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def finish(facts: dict[str, Any], refused: list[RowError], as_json: bool, show_facts: Any) -> None:  # noqa: ANN401 - a function
    """Print the result and the refused rows."""
    if as_json:
        print_json({**facts, "refused": refused})
    else:
        show_facts()
        print_refused(refused)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _is_first(row: Row, scores: Mapping[Pair, float]) -> bool:
    """Return whether the positive scores above all negatives, of which there must be one."""
    positive, *negatives = (scores[row.query, text] for text in row.documents)
    return bool(negatives) and positive > max(negatives)


def _print(facts: dict[str, Any]) -> None:
    speed = facts["scored"] / max(facts["seconds"], 1e-3)
    show(
        f"{facts['output']} has {count(facts['rows'], 'row')}: {count(facts['scored'], 'pair')}"
        f" scored in {facts['seconds']:,.1f} s ({speed:,.1f} per second),"
        f" {facts['pairs'] - facts['scored']:,} from the cache"
    )
    if facts["with_negatives"]:
        share = facts["positive_first"] / facts["with_negatives"]
        show(f"the positive scores highest in {share:.0%} of the rows with negatives", indent=2)
