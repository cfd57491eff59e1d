"""`lexpand model graft`: give a transformer without a language model head one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.options import Json, Verbose
from lexpand.cli.output import print_json, say, show
from lexpand.cli.train import training_module
from lexpand.data import read_documents


def graft_command(
    body: Annotated[
        str, typer.Argument(metavar="BODY", help="Folder or Hub id of a BERT, such as MiniLM.")
    ],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Folder of the new model.")],
    texts: Annotated[
        list[Path],
        typer.Option(
            "--texts",
            metavar="SOURCE",
            help="Documents of the kind that the model will encode. Repeat the option for several.",
        ),
    ],
    passages: Annotated[
        int, typer.Option("--passages", min=10, help="Documents that are read of each SOURCE.")
    ] = 1280,
    layers: Annotated[
        int,
        typer.Option(
            "--layers",
            min=0,
            help="Layers to add above BODY, which begin as the mean of its states.",
        ),
    ] = 0,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Give the transformer BODY a language model head, so that it can be trained as SPLADE.

    The head is fitted in closed form within minutes: it predicts the token at each position. DEST
    works at once and begins with about 1,500 terms a document. Train it next.
    """
    training_module()
    from lexpand.train.graft import graft

    read = [
        document.full_text
        for source in texts
        for document in islice(read_documents(source), passages)
    ]
    graft(
        body,
        read,
        dest,
        passages=len(read),
        layers=layers,
        on_step=lambda step: say(step, "dim"),
    )
    if as_json:
        print_json({"folder": dest, "body": body, "texts": len(read)})
        return
    show(f"{dest} is a model with a grafted head; train it: lexpand train RECIPE --set base={dest}")
