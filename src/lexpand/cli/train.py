"""`lexpand train`: train a model by a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexpand.cli.exit_codes import EXIT_INTERRUPTED, EXIT_REFUSED
from lexpand.cli.options import OUTPUT, Json, Verbose
from lexpand.cli.output import count, is_watched, print_json, print_refused, say, show
from lexpand.errors import DataError, MissingExtra, RowError

if TYPE_CHECKING:
    from lexpand.train.recipe import Recipe
    from lexpand.train.training import Progress


def train_command(
    recipe_name: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a packaged recipe, or a TOML file (docs/training.md).",
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="JSON lines file or folder of query, positive, negatives and scores. Repeat the "
            "option for several.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the model.", show_default="required to train"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the recipe. Repeat the option for several.",
            show_default="none",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Run two steps, report memory and time, and write nothing."),
    ] = False,
    save_every: Annotated[
        int, typer.Option("--save-every", min=1, help="Steps between checkpoints.")
    ] = 200,
    report_every: Annotated[
        int,
        typer.Option(
            "--report-every", min=1, help="Steps between lines of progress.", rich_help_panel=OUTPUT
        ),
    ] = 20,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a SPLADE model by RECIPE, and write it as a model folder.

    The folder loads in Lexpand (--model) and in sentence-transformers. Rows of the data that cannot
    be used are listed (exit code 3). After Ctrl-C or a crash, run the same command again to
    continue from the last checkpoint: the result is the same.
    """
    module = _training()
    from lexpand.train.recipe import Recipe

    recipe = Recipe.load(recipe_name).with_settings(settings or ())
    if dry_run:
        _print_estimate(recipe, module.estimate(recipe, data), as_json)
        return
    if out is None:
        raise typer.BadParameter("give the folder of the model", param_hint="'--out'")
    refused: list[RowError] = []
    try:
        done = module.train(
            recipe,
            data,
            out,
            save_every=save_every,
            report_every=report_every,
            on_progress=None if as_json and not is_watched() else _print_progress,
            refused=refused,
        )
    except KeyboardInterrupt:
        print_refused(refused)
        say(
            f"interrupted: {out} has the last checkpoint; run the same command again to continue",
            "yellow",
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except DataError:
        print_refused(refused)
        raise
    if as_json:
        print_json({**module.settings_of(done), "refused": refused})
    else:
        show(
            f"{out} is trained: {count(done.steps, 'step')} on {count(done.examples, 'example')} in"
            f" {done.seconds:,.0f} s"
        )
        show(f"try it: lexpand index SOURCE INDEX --model {out}")
        print_refused(refused)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _training() -> Any:  # noqa: ANN401 - a module
    """Import the module that trains.

    Raises:
        MissingExtra: a package of the extra ``train`` is not installed.
    """
    try:
        from lexpand.train import training
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("lexpand"):
            raise
        raise MissingExtra(error.name, "train", "training") from None
    return training


def _print_progress(progress: Progress) -> None:
    parts = [
        f"step {progress.step:,}/{progress.steps:,}",
        f"loss {progress.loss:.3f}",
        f"document terms {progress.document_terms:.0f} (lambda {progress.document_lambda:.2g})",
    ]
    if progress.query_terms:
        parts.append(f"query terms {progress.query_terms:.0f} (lambda {progress.query_lambda:.2g})")
    left = progress.seconds / max(1, progress.step) * (progress.steps - progress.step)
    parts.append(f"{progress.seconds:,.0f} s, about {left:,.0f} s left")
    say("; ".join(parts))
    sys.stderr.flush()


def _print_estimate(recipe: Recipe, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"recipe": recipe.to_dict(), **found})
        return
    show((recipe.name, "bold"), f": {' '.join(recipe.about.split())}")
    for name, value in found.items():
        if name != "warning":
            show(f"{name.replace('_', ' ')}: {value:,}", indent=2)
    if "warning" in found:
        say(found["warning"], "yellow")
