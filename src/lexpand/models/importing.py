"""A checkpoint becomes a model folder: all of it, or nothing."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lexpand.data import ModelId
from lexpand.encode.contract import Contract, Role
from lexpand.encode.encoder import Encoder
from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError, StorageError
from lexpand.models.checkpoint import Checkpoint, read_checkpoint
from lexpand.models.choices import Choices
from lexpand.models.golden import Weigh, make_golden
from lexpand.models.optimizing import optimize_model
from lexpand.models.reference import has_torch, torch_reference
from lexpand.models.source import find_source
from lexpand.models.writing import QUERIES, write_contract, write_folder

OnStep = Callable[[str], None]
"""Called with a line about what is done next."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        path: the model folder.
        model: name and hash.
        notes: what was changed, for people.
        optimized: whether the graph was made.
        reference: what the golden pairs come from: ``torch``, ``onnx`` (Lexpand's own encoder), or
            None.
        difference: the largest between a golden weight and Lexpand's; None where only one of them
            is there.
    """

    path: Path
    model: ModelId
    notes: tuple[str, ...]
    optimized: bool
    reference: str | None
    difference: float | None


def import_model(
    source: str | Path,
    dest: str | Path,
    choices: Choices | None = None,
    *,
    force: bool = False,
    optimize: bool = True,
    on_step: OnStep | None = None,
) -> Imported:
    """Make a model folder of a checkpoint.

    With the extra ``torch``, golden pairs come from transformers and the graph is checked against
    them.

    Args:
        source: a folder, or an id of the Hugging Face Hub.
        dest: the new folder; it takes its name when all of it is written.
        choices: what the checkpoint does not say.
        force: replace `dest`, if it is a model folder.
        optimize: make the graph too, where the package onnx is installed.
        on_step: told what is done next.

    Raises:
        ModelError: the checkpoint cannot be used, or `dest` exists.
        MissingExtra: its weights are in ``.bin`` files, and torch is not installed.
        StorageError: the disk refused.
    """
    say, choices, dest = (
        on_step or (lambda _: None),
        choices or Choices(),
        Path(dest).expanduser().absolute(),
    )
    _refuse_existing(dest, force)
    folder = find_source(str(source))
    say(f"reading {folder}")
    checkpoint = read_checkpoint(folder, choices)
    beside = dest.with_name(f".{dest.name}.{secrets.token_hex(4)}.tmp")
    try:
        beside.mkdir(parents=True)
        # Of a folder only the name: a path is nobody's business who gets the model.
        named = folder.resolve().name if Path(source).expanduser().is_dir() else str(source)
        write_folder(checkpoint, beside, choices.name or dest.name, named)
        imported = _complete(checkpoint, beside, optimize, say)
        _take_name(beside, dest)
    except OSError as error:
        raise StorageError(f"cannot write {dest}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    notes = (*checkpoint.notes, *(() if checkpoint.queries is None else checkpoint.queries.notes))
    return Imported(dest, Contract.load(dest).model, notes, *imported)


def _refuse_existing(dest: Path, force: bool) -> None:
    if not dest.exists():
        return
    if not force:
        raise ModelError(f"{dest} exists: give another folder, or --force to replace it")
    if not (dest / "contract.json").is_file():
        raise ModelError(
            f"{dest} is no model folder of Lexpand, and is not replaced: give another folder"
        )


def _complete(
    checkpoint: Checkpoint, folder: Path, optimize: bool, say: OnStep
) -> tuple[bool, str | None, float | None]:
    """Golden pairs and graph; whether there is a graph, what the pairs come from, and how far both differ."""
    if checkpoint.queries is not None:
        _complete(
            checkpoint.queries, folder / QUERIES, optimize, lambda step: say(f"{step}, of queries")
        )
    by_torch, graph = has_torch(), optimize and find_spec("onnx") is not None
    if by_torch:
        say("golden pairs by transformers")
        _write_golden(folder, _by_torch(checkpoint))
    if not graph:
        return False, "torch" if by_torch else None, None
    say("making the graph")
    difference = optimize_model(folder).difference
    if not by_torch:
        encoder = Encoder.load(folder)
        _write_golden(folder, lambda role, text: _weigh(encoder, role, text))
    return True, "torch" if by_torch else "onnx", difference


def _by_torch(checkpoint: Checkpoint) -> Weigh:
    """Each role by its own encoder."""
    documents = torch_reference(checkpoint)
    queries = documents if checkpoint.queries is None else torch_reference(checkpoint.queries)
    return lambda role, text: (queries if role is Role.QUERY else documents)(role, text)


def _weigh(encoder: Encoder, role: Role, text: str) -> dict[int, float]:
    (weights,) = encoder.encode([text], role).vectors.as_dicts()
    return weights


def _write_golden(folder: Path, weigh: Weigh) -> None:
    write_contract(
        folder, read_json(folder / "contract.json", dict) | {"golden": make_golden(weigh)}
    )


def _take_name(beside: Path, dest: Path) -> None:
    """Rename the new folder; one that had the name is put aside first, and put back if that fails."""
    if not dest.exists():
        beside.rename(dest)
        return
    old = dest.with_name(f".{dest.name}.{secrets.token_hex(4)}.old")
    dest.rename(old)
    try:
        beside.rename(dest)
    except BaseException:
        old.rename(dest)
        raise
    shutil.rmtree(old)
