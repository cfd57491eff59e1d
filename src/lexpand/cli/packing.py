"""`lexpand model pack` and `export`: weights in 8 bits, and as float32 again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.model import DefaultMode, Folder
from lexpand.cli.options import PRUNING_RULES, Json, Verbose
from lexpand.cli.output import print_json, show
from lexpand.encode.contract import Contract
from lexpand.models import export_model, pack_model

Dest = Annotated[Path, typer.Argument(metavar="DEST", help="Folder of the new model.")]


def pack_command(
    folder: Folder,
    dest: Dest,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the new model.", show_default="the name of the old one"
        ),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune",
            metavar="RULES",
            help="Keep fewer terms of a document, as part of the model: " + PRUNING_RULES,
            show_default="as FOLDER does",
        ),
    ] = None,
    prune_queries: Annotated[
        str | None,
        typer.Option(
            "--prune-queries",
            metavar="RULES",
            help="The same for queries.",
            show_default="as FOLDER does",
        ),
    ] = None,
    query_mode: DefaultMode = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Round the weights of the model FOLDER to 8 bits: a quarter of the size.

    DEST is a model of its own, whose vectors differ slightly, so indexes of FOLDER need `lexpand
    reencode`. Encoding computes with float32 weights, as fast as before. To load DEST in
    sentence-transformers, export it.
    """
    made = pack_model(
        folder,
        dest,
        name=name,
        pruning=prune,
        query_pruning=prune_queries,
        query_mode=query_mode,
    )
    _say(made, dest, as_json)


def export_command(
    folder: Folder, dest: Dest, as_json: Json = False, verbose: Verbose = False
) -> None:
    """Write the model FOLDER with float32 weights, for sentence-transformers and transformers.

    DEST is the same model: it has the same contract hash, and indexes of FOLDER take it.
    """
    _say(export_model(folder, dest), dest, as_json)


def _say(contract: Contract, dest: Path, as_json: bool) -> None:
    size = sum(path.stat().st_size for path in dest.rglob("*") if path.is_file())
    if as_json:
        print_json({"folder": dest, "model": contract.name, "hash": contract.hash, "bytes": size})
        return
    show(f"{dest} is the model {contract.name}, {contract.hash[:12]}: {size / 1e6:,.1f} MB")
