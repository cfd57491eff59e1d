"""`lexpand model fold`: the forms of a word in a cased vocabulary as one term."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.model import Force, Name, Optimize, named, show_made
from lexpand.cli.options import Json, Verbose
from lexpand.cli.output import print_json, say
from lexpand.models import fold_vocabulary


def fold_command(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="Masked language model or SPLADE model: a folder, or an id of the Hugging Face"
            " Hub (owner/name).",
        ),
    ],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The model folder to create.")],
    name: Name = None,
    optimize: Optimize = True,
    force: Force = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy BASE to DEST with one term for the forms of a word that differ in case or in a space.

    DEST lower-cases texts, and each term has the weights of its first form. Train it next.
    The tokenizer must be WordPiece (BERT) or byte-level BPE (RoBERTa, ModernBERT).
    """
    done = fold_vocabulary(
        base,
        dest,
        name=name,
        force=force,
        optimize=optimize,
        on_step=lambda step: say(step, "dim"),
    )
    made = done.imported
    for note in made.notes:
        say(note, "yellow")
    if as_json:
        facts = {"path": made.path, **named(made.model)}
        facts |= {"vocabulary_before": done.before, "vocabulary_size": done.after}
        print_json(facts | {"optimized": made.optimized, "reference": made.reference})
        return
    show_made(dest, made, optimize, f", with {done.after:,} terms instead of {done.before:,}")
