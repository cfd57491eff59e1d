"""`lexpand adapt`: fit a model to one's own documents, and keep it if it is better."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexpand.cli.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.making import IdField, TextField, TitleField
from lexpand.cli.options import Json, SourcePath, Threads, Verbose
from lexpand.cli.output import count, is_watched, print_json, print_refused, say, show
from lexpand.cli.train import print_progress, training_module
from lexpand.data import Fields, read_documents
from lexpand.data.streams import partial_of
from lexpand.errors import RowError

if TYPE_CHECKING:
    from lexpand.train.adapting import Adapted
    from lexpand.train.mining import ScorePairs


def adapt_command(
    source: SourcePath,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new model.")],
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="MODEL", help="Model to adapt.", show_default="that of the recipe"
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="JSON lines file of your users' queries with a positive (docs/training.md), "
            "instead of pseudo queries.",
            show_default="pseudo queries",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            "--teacher",
            metavar="MODEL",
            help="Cross-encoder or dense model (ONNX) whose scores are distilled.",
            show_default="none",
        ),
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option(
            "--general",
            metavar="FOLDER",
            help="Collection in BEIR's layout on which the new model must not be worse.",
            show_default="part of the packaged SciFact",
        ),
    ] = None,
    recipe_name: Annotated[
        str, typer.Option("--recipe", help="Recipe of the training (docs/training.md).")
    ] = "adapt",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the recipe. Repeat the option for several.",
            show_default="none",
        ),
    ] = None,
    id_field: IdField = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    threads: Threads = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Adapt a model to the documents of SOURCE without labels, as a new model folder.

    Titles, sentences and spans of the documents stand for queries. The new model is kept only if it
    is significantly better than its base on queries that were held out, and not worse on a general
    collection. Otherwise the report says why (exit code 1). After Ctrl-C, run the same command
    again to continue.
    """
    training_module()
    from lexpand.train.adapting import Settings, adapt
    from lexpand.train.recipe import Recipe
    from lexpand.train.rows import read_rows

    recipe = Recipe.load(recipe_name, settings or ())
    recipe = recipe.with_settings([f"base={base}"] if base else [])
    if teacher is not None and not recipe.distills:
        recipe = recipe.with_settings(["kl=1", f"negatives={recipe.negatives or 2}"])
    refused: list[RowError] = []
    fields = Fields(doc_id=id_field, text=text_field, title=title_field)
    documents = list(read_documents(source, fields=fields, on_bad_row=refused.append))
    rows = [] if pairs is None else list(read_rows([pairs], refused.append))
    with ExitStack() as open_things:
        score = None if teacher is None else _teacher(open_things, teacher, out, threads)
        try:
            done = adapt(
                documents,
                out,
                Settings(recipe),
                pairs=rows,
                score=score,
                general=general,
                on_step=lambda step: say(step, "dim"),
                on_progress=print_progress if is_watched() else None,
            )
        except KeyboardInterrupt:
            say(
                f"interrupted: {out}.partial has what is done; run the same command again to"
                " continue",
                "yellow",
            )
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print_json({**done.to_dict(), "refused": refused})
    else:
        _print(done)
        print_refused(refused)
    if not done.decision.accepted:
        raise typer.Exit(EXIT_ERROR)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _teacher(open_things: ExitStack, teacher: Path, out: Path, threads: int | None) -> ScorePairs:
    """Load the teacher, whose scores are kept next to the output until the model is complete."""
    from lexpand.train.score_cache import ScoreCache
    from lexpand.train.scoring import TeacherOptions, load_teacher, score_pairs

    partial_of(out).mkdir(parents=True, exist_ok=True)
    cache = open_things.enter_context(ScoreCache(partial_of(out) / "scores"))
    model = load_teacher(teacher, TeacherOptions(threads=threads))
    return lambda pairs: score_pairs(model, pairs, cache)


def _print(done: Adapted) -> None:
    decision: Any = done.decision
    verdict = ("accepted", "green") if decision.accepted else ("refused", "yellow")
    show("the new model is ", verdict, f": {decision.reason}")
    for mode, own in decision.own.items():
        show(
            f"queries by {mode}: {own.before:.3f} before, {own.after:.3f} after, {own.wins:,}"
            f" better, {own.losses:,} worse",
            indent=2,
        )
    general = decision.general
    show(f"general collection: {general.before:.3f} before, {general.after:.3f} after", indent=2)
    for each in decision.examples:
        old, new = (each[f"rank_{when}"] or "not found" for when in ("before", "after"))
        show(f"{each['doc_id']}: rank {old} before, {new} after: {each['query']}", indent=2)
    show(
        f"{count(done.documents, 'document')}, {done.queries:,} queries, "
        + ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in done.seconds.items())
    )
    if decision.accepted:
        show(f"index again with it: lexpand index SOURCE INDEX --model {done.folder}")
