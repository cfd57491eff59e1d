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
    from lexpand.train.run import Progress
    from lexpand.train.training import Trained


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
            help="JSON lines file, folder of them, or BEIR folder (docs/training.md). PATH:2 takes "
            "each row twice. Repeat the option for several.",
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
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluate",
            help="Collection in BEIR's layout. The model keeps the weights of the step with the "
            "best nDCG@10 on it.",
            show_default="keep the last step",
        ),
    ] = None,
    evaluate_every: Annotated[
        int, typer.Option("--evaluate-every", min=1, help="Steps between evaluations.")
    ] = 200,
    save_every: Annotated[
        int, typer.Option("--save-every", min=1, help="Steps between checkpoints.")
    ] = 200,
    license: Annotated[
        str | None,
        typer.Option(
            "--license", help="License of the weights, for the model card.", show_default="none"
        ),
    ] = None,
    log_to: Annotated[
        list[str] | None,
        typer.Option(
            "--log-to",
            help="Also log to tensorboard, wandb or mlflow, if it is installed. Repeat the option "
            "for several.",
            show_default="none",
        ),
    ] = None,
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
    module = training_module()
    from lexpand.train.recipe import Recipe

    recipe = Recipe.load(recipe_name, settings or ())
    refused: list[RowError] = []
    if not dry_run and out is None:
        raise typer.BadParameter("give the folder of the model", param_hint="'--out'")
    try:
        if dry_run:
            found = module.estimate(
                recipe, data, refused, out=out, evaluation=evaluation, log_to=log_to or ()
            )
            _print_estimate(recipe, found, refused, as_json)
            raise typer.Exit(EXIT_REFUSED if refused else 0)
        done = module.train(
            recipe,
            data,
            out,
            save_every=save_every,
            report_every=report_every,
            on_progress=None if as_json and not is_watched() else print_progress,
            refused=refused,
            evaluation=evaluation,
            evaluate_every=evaluate_every,
            log_to=log_to or (),
            license=license,
            on_step=None if as_json and not is_watched() else say,
        )
    except KeyboardInterrupt:
        print_refused(refused)
        again = f"run the same command again to continue from the last checkpoint in {out}.partial"
        say("interrupted" if dry_run else f"interrupted: {again}, if there is one", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except DataError:
        print_refused(refused)
        raise
    if not module.devices.is_first():
        return
    if as_json:
        print_json(done.to_dict())
    else:
        show(
            f"{out} is trained: {count(done.steps, 'step')} on {count(done.examples, 'example')} in"
            f" {done.seconds:,.0f} s"
        )
        if done.evaluation:
            _show_evaluation(done)
        show(f"try it: lexpand index SOURCE INDEX --model {out}")
        print_refused(refused)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _show_evaluation(done: Trained) -> None:
    values = dict(done.evaluation)
    kept = done.kept_step or 0
    show(
        f"nDCG@10 {values[kept]:.3f} at step {kept:,}, which was kept; the base has {values[0]:.3f}"
    )
    if done.last is not None:
        show(f"{done.last} has the last step: lexpand model import {done.last} DEST")
    if values[kept] < values[0]:
        say(
            f"no step is better than the base, which has {values[0] - values[kept]:.3f} more: use"
            " the base, or train otherwise",
            "yellow",
        )


def training_module() -> Any:  # noqa: ANN401 - a module
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


def print_progress(progress: Progress) -> None:
    """Print a line of progress to standard error."""
    parts = [
        f"step {progress.step:,}/{progress.steps:,}",
        f"loss {progress.loss:.3f}",
        f"document terms {progress.document_terms:.0f} (lambda {progress.document_lambda:.2g})",
    ]
    if progress.query_terms:
        parts.append(f"query terms {progress.query_terms:.0f} (lambda {progress.query_lambda:.2g})")
    parts.append(f"FLOPS {progress.flops:.2f}")
    if progress.expansion is not None:
        parts.append(f"expansion {progress.expansion:.1%} of the weight")
    if progress.evaluation is not None:
        parts.append(f"nDCG@10 {progress.evaluation:.3f}")
    parts.append(f"{progress.seconds:,.0f} s, about {progress.seconds_left:,.0f} s left")
    say("; ".join(parts))
    sys.stderr.flush()


def _print_estimate(
    recipe: Recipe, found: dict[str, Any], refused: list[RowError], as_json: bool
) -> None:
    if as_json:
        print_json({"recipe": recipe.to_dict(), **found, "refused": refused})
        return
    show((recipe.name, "bold"), f": {' '.join(recipe.about.split())}")
    for name, value in found.items():
        if name != "warning" and value is not None:
            show(f"{name.replace('_', ' ')}: {value:,}", indent=2)
    if "warning" in found:
        say(found["warning"], "yellow")
    print_refused(refused)
