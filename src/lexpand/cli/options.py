"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model folder, or 'default'. [default: the one that the index names, else the packaged one]",
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads to use. [default: all cores]")]
