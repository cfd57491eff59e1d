"""`lexpand model`: import, optimize, check and describe model folders."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.options import Json, Verbose
from lexpand.cli.output import print_json, say, show
from lexpand.data import ModelId
from lexpand.encode import Contract, QueryMode, Role
from lexpand.encode.folder import find_folder
from lexpand.encode.json_files import read_json
from lexpand.models import (
    ImportOptions,
    ImportResult,
    check_model,
    import_model,
    optimize_model,
)

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Model folder; 'default' is the packaged one.")
]


DefaultMode = Annotated[
    QueryMode | None,
    typer.Option(
        "--query-mode",
        help="Default way to encode queries of a model with a table of weights, which has both.",
        show_default="as in the source, else lookup",
    ),
]


Optimize = Annotated[
    bool,
    typer.Option(
        "--optimize/--no-optimize",
        help="Also write the graph, as `lexpand model optimize` does.",
    ),
]

Force = Annotated[bool, typer.Option("--force", help="Replace DEST if it is a model folder.")]

Name = Annotated[
    str | None,
    typer.Option("--name", help="Name of the model.", show_default="the name of DEST"),
]


class Pooling(StrEnum):
    """Pooling over the positions of a text."""

    MAX = "max"
    SUM = "sum"


class HeadActivation(StrEnum):
    """Activation of the logits."""

    ONCE = "log1p(relu)"
    TWICE = "log1p(log1p(relu))"


def import_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of the checkpoint, or its id on the Hugging Face Hub (owner/name).",
        ),
    ],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The model folder to create.")],
    pooling: Annotated[
        Pooling | None,
        typer.Option(
            "--pooling",
            help="Pooling over the positions of a text.",
            show_default="as SOURCE declares, or max",
        ),
    ] = None,
    activation: Annotated[
        HeadActivation | None,
        typer.Option(
            "--activation",
            help="Activation of the logits. OpenSearch's v3 models take the logarithm twice.",
            show_default="as SOURCE declares, or log1p(relu)",
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="Weights of query tokens, for inference-free queries: idf.json, "
            "query_token_weights.txt, a safetensors file, or a folder with one of them.",
            show_default="those of SOURCE",
        ),
    ] = None,
    query_mode: DefaultMode = None,
    query_encoder: Annotated[
        str | None,
        typer.Option(
            "--query-encoder",
            metavar="SOURCE",
            help="A second checkpoint that encodes queries, as in efficient SPLADE: a folder, or a "
            "Hub id.",
            show_default="that of SOURCE",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            help="Encode at most this many tokens of a text.",
            show_default="the model's limit",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the model.", show_default="the name of DEST"),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            "--license",
            help="License of the weights.",
            show_default="as in SOURCE's README.md",
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            help="Data and models that it was trained on.",
            show_default="as in README.md",
        ),
    ] = None,
    optimize: Optimize = True,
    force: Force = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Import the SPLADE checkpoint SOURCE as the model folder DEST.

    SOURCE is a masked language model (BERT, DistilBERT, RoBERTa, XLM-R, ModernBERT) in Hugging
    Face's layout, or a SparseEncoder folder of sentence-transformers. DEST loads in Lexpand and in
    sentence-transformers.
    """
    choices = ImportOptions(
        pooling=None if pooling is None else pooling.value,
        activation=None if activation is None else activation.value,
        query=query,
        query_mode=query_mode,
        query_encoder=query_encoder,
        max_tokens=max_length,
        name=name,
        license=license,
        origin=origin,
    )
    done = import_model(
        source, dest, choices, force=force, optimize=optimize, on_step=lambda step: say(step, "dim")
    )
    for note in done.notes:
        say(note, "yellow")
    if as_json:
        print_json(asdict(done) | named(done.model))
        return
    show_made(dest, done, optimize)
    if done.reference is None:
        show("it has no golden pairs: install lexpand[torch] or lexpand[onnx] and import again")
    elif done.difference is not None:
        show(f"checked against PyTorch: weights differ by at most {done.difference:.1e}")


def optimize_command(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Write the ONNX graph of FOLDER, and for small models the basis of the head's safe pruning.

    No vector changes. The graph is checked against the golden pairs, if there are any.
    """
    done = optimize_model(folder)
    if as_json:
        print_json(done)
        return
    show(f"{folder} has {done.body}{' and a screening' if done.screening else ''}")
    if done.difference is not None:
        show(f"golden pairs: weights differ by at most {done.difference:.1e}")


def check(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Verify the checksums of FOLDER and the vectors of its golden pairs."""
    done = check_model(folder)
    if as_json:
        print_json(asdict(done) | named(done.model))
        return
    show(
        f"{folder} is sound: {done.pairs} golden pairs, weights differ by at most"
        f" {done.difference:.1e}"
    )


def info(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Describe FOLDER: architecture, vocabulary, lengths, head, queries, license and origin."""
    path = find_folder(folder)
    contract, config = Contract.load(path), read_json(path / "config.json", dict)
    facts = {
        "model": contract.name,
        "contract_hash": contract.hash,
        "folder": str(path),
        "architecture": config.get("model_type"),
        "vocabulary_size": contract.vocabulary_size,
        "document_max_tokens": contract.max_tokens[Role.DOCUMENT],
        "query_max_tokens": contract.max_tokens[Role.QUERY],
        "pooling": contract.pooling,
        "activation": contract.activation,
        "query_mode": contract.query_mode.value,
        "query_table": contract.query_table is not None,
        "query_encoder": contract.query_encoder is not None,
        "graph": contract.body is not None,
        "screening": contract.screening is not None,
        "golden_pairs": len(contract.golden),
        "license": contract.license,
        "origin": contract.origin,
    }
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        shown = f"{shown:,}" if isinstance(shown, int) else str(shown)
        show(f"{name.replace('_', ' '):<{width}}  {shown}", wrap=False)


def show_made(dest: Path, made: ImportResult, optimize: bool, detail: str = "") -> None:
    """Say which model a folder is now, and what it still needs."""
    show(f"{dest} is the model {made.model.name}, {made.model.hash[:12]}{detail}")
    if not made.optimized:
        way = "pip install 'lexpand[onnx]', then " if optimize else ""
        show(f"it has no graph yet: run {way}lexpand model optimize {dest}")


def named(model: ModelId) -> dict[str, str]:
    """Return the name and the hash of a model by their keys in JSON output."""
    return {"model": model.name, "contract_hash": model.hash}
