"""`lexpand model`: a checkpoint becomes a model folder; the folder is made fast, checked and described."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lexpand.cli.options import Json, Verbose
from lexpand.cli.output import print_json, say, show
from lexpand.data import ModelId
from lexpand.encode import Contract, Role
from lexpand.encode.folder import find_folder
from lexpand.encode.json_files import read_json
from lexpand.models import Choices, check_model, import_model, optimize_model

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Model folder; 'default' is the packaged one.")
]


class Pooling(StrEnum):
    """How the weights of all tokens become one."""

    MAX = "max"
    SUM = "sum"


class HeadActivation(StrEnum):
    """What makes a logit a weight."""

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
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The model folder to make.")],
    pooling: Annotated[
        Pooling | None,
        typer.Option(
            "--pooling",
            help="How a term's weights become one.",
            show_default="what SOURCE says, else max",
        ),
    ] = None,
    activation: Annotated[
        HeadActivation | None,
        typer.Option(
            "--activation",
            help="What makes a logit a weight; OpenSearch's v3 models take the logarithm twice.",
            show_default="what SOURCE says, else log1p(relu)",
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="Weights of query tokens, for queries without the model: idf.json, query_token_weights.txt, a "
            "safetensors file, or a folder with one of them.",
            show_default="what SOURCE has",
        ),
    ] = None,
    query_encoder: Annotated[
        str | None,
        typer.Option(
            "--query-encoder",
            metavar="SOURCE",
            help="Another checkpoint that encodes the queries (efficient SPLADE has two): a folder, or a Hub id.",
            show_default="what SOURCE has",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            help="The longest text read, in tokens.",
            show_default="the model's limit",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="How the model is called.", show_default="the name of DEST"),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            "--license", help="Of the weights.", show_default="what SOURCE's README.md says"
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin", help="What the model was trained on.", show_default="what README.md says"
        ),
    ] = None,
    optimize: Annotated[
        bool,
        typer.Option(
            "--optimize/--no-optimize", help="Make the graph too, as `lexpand model optimize` does."
        ),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace DEST where it is a model folder.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a model folder, DEST, of a SPLADE checkpoint, SOURCE.

    Read are masked language models (BERT, DistilBERT, RoBERTa, XLM-R, ModernBERT) in Hugging Face's
    layout, and SparseEncoder folders of sentence-transformers. DEST is both: Lexpand's and
    sentence-transformers'.
    """
    choices = Choices(
        pooling=None if pooling is None else pooling.value,
        activation=None if activation is None else activation.value,
        query=query,
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
        print_json(asdict(done) | _named(done.model))
        return
    show(f"{dest} is the model {done.model.name}, {done.model.hash[:12]}")
    if not done.optimized:
        way = "pip install 'lexpand[onnx]', then " if optimize else ""
        show(f"it has no graph yet: {way}lexpand model optimize {dest}")
    if done.reference is None:
        show("it has no golden pairs: with lexpand[torch] or lexpand[onnx] an import makes them")
    elif done.difference is not None:
        show(f"checked against PyTorch: weights differ by {done.difference:.1e} at most")


def optimize_command(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Make what runs FOLDER fast: its graph for ONNX Runtime, and for small models the basis of the head's screening.

    No vector changes. If there are golden pairs, the graph is checked against them.
    """
    done = optimize_model(folder)
    if as_json:
        print_json(done)
        return
    show(f"{folder} has {done.body}{' and a screening' if done.screening else ''}")
    if done.difference is not None:
        show(f"golden pairs: weights differ by {done.difference:.1e} at most")


def check(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Verify FOLDER: every file by its checksum, and the vectors of its golden pairs."""
    done = check_model(folder)
    if as_json:
        print_json(asdict(done) | _named(done.model))
        return
    show(
        f"{folder} is sound: {done.pairs} golden pairs, weights differ by {done.difference:.1e} at most"
    )


def info(folder: Folder, as_json: Json = False, verbose: Verbose = False) -> None:
    """Describe FOLDER: architecture, vocabulary, lengths, head, queries, license, origin."""
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


def _named(model: ModelId) -> dict[str, str]:
    return {"model": model.name, "contract_hash": model.hash}
