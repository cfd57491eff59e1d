"""Import a checkpoint as a model folder, completely or not at all."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from lexpand.data import ModelId, Pruning
from lexpand.encode.contract import Contract, Role
from lexpand.encode.encoder import Encoder
from lexpand.encode.folder import ModelFolder
from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError, StorageError
from lexpand.models.checkpoint import Checkpoint, read_checkpoint
from lexpand.models.golden import Weigh, make_golden
from lexpand.models.optimizing import optimize_model
from lexpand.models.options import ImportOptions
from lexpand.models.reference import has_torch, torch_reference
from lexpand.models.source import find_source
from lexpand.models.staging import staging
from lexpand.models.writing import QUERIES, write_contract, write_folder

OnStep = Callable[[str], None]
"""A callback that takes a line about the next step."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import.

    Attributes:
        path: the model folder.
        model: the name and the hash.
        notes: changes to the checkpoint, as messages.
        optimized: whether the graph was made.
        reference: the source of the golden pairs: ``torch``, ``onnx`` (Lexpand's own encoder), or
            None if there are no pairs.
        difference: the largest difference between Lexpand's weights and the golden ones. None
            without a graph or without independent pairs.
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
    choices: ImportOptions | None = None,
    *,
    force: bool = False,
    optimize: bool = True,
    on_step: OnStep | None = None,
) -> ImportResult:
    """Import a checkpoint as a model folder.

    With the extra ``torch``, golden pairs come from transformers, and the graph is checked against
    them.

    Args:
        source: a folder, or an id of the Hugging Face Hub.
        dest: the new folder. It appears under this name when it is complete.
        choices: settings that override the checkpoint.
        force: replace `dest` if it is a model folder.
        optimize: make the graph too, if the package onnx is installed.
        on_step: called before each step.

    Raises:
        ModelError: the checkpoint cannot be used, or `dest` exists.
        MissingExtra: the weights are in ``.bin`` files, and torch is not installed.
        StorageError: a file cannot be written.
    """
    report, choices = on_step or (lambda _: None), choices or ImportOptions()
    dest = Path(dest).expanduser().absolute()
    _check_destination(dest, force)
    folder = find_source(str(source))
    report(f"reading {folder}")
    checkpoint = read_checkpoint(folder, choices)
    # Only the name of a local folder is recorded: its path is private.
    origin = folder.resolve().name if Path(source).expanduser().is_dir() else str(source)
    with staging(dest) as made:
        write_folder(checkpoint, made, choices.name or dest.name, origin)
        completed = _complete(checkpoint, made, optimize, report)
        _move_into_place(made, dest)
    notes = (*checkpoint.notes, *(() if checkpoint.queries is None else checkpoint.queries.notes))
    return ImportResult(dest, Contract.load(dest).model, notes, *completed)


def import_changed(
    checkpoint: Checkpoint,
    source: str,
    dest: Path,
    *,
    change: str,
    name: str | None = None,
    force: bool = False,
    optimize: bool = True,
    on_step: OnStep | None = None,
    revise: Callable[[Path], object] = lambda _: None,
) -> ImportResult:
    """Import a checkpoint that was changed in memory, as any other checkpoint.

    Args:
        checkpoint: the changed one.
        source: the name of the model that was changed, recorded as the origin.
        dest: the new folder.
        change: what was changed, recorded too.
        name: the name of the new model. None takes the name of `dest`.
        force: replace `dest` if it is a model folder.
        optimize: make the graph too, if the package onnx is installed.
        on_step: called before each step.
        revise: changes the files before they are imported; takes their folder.

    Raises:
        ModelError: `dest` exists.
        StorageError: a file cannot be written.
    """
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{dest.name}.", dir=dest.parent) as scratch:
            folder = Path(scratch) / source.replace("/", "-")
            folder.mkdir()
            write_folder(checkpoint, folder, source, source)
            revise(folder)
            choices = ImportOptions(
                name=name or dest.name,
                max_tokens=checkpoint.max_tokens,
                license=checkpoint.license or None,
                origin="; ".join(part for part in (checkpoint.origin, change) if part),
            )
            done = import_model(
                folder, dest, choices, force=force, optimize=optimize, on_step=on_step
            )
            return replace(done, notes=(*checkpoint.notes, *done.notes))
    except OSError as error:
        raise StorageError(f"cannot write {dest}: {error.strerror or error}") from error


def read_changeable(folder: Path, purpose: str) -> Checkpoint:
    """Read a checkpoint or a model folder that is to be changed; the contract has precedence.

    Args:
        folder: of a checkpoint or a model.
        purpose: what it is to be changed for, for the message.

    Raises:
        ModelError: the checkpoint cannot be used, or the contract has pruning, which a changed copy
            would lose.
    """
    path = folder / "contract.json"
    if not path.is_file():
        return read_checkpoint(folder)
    contract = Contract.load(folder)
    if any(rules != Pruning() for rules in contract.pruning.values()):
        raise ModelError(
            f"pruning in {path} must be null to {purpose}, because it would be lost: set it to"
            " null, and prune when you encode"
        )
    return replace(
        read_checkpoint(folder),
        query_table=ModelFolder(folder).load_query_table(),
        query_mode=contract.query_mode,
        license=contract.license,
        origin=contract.origin,
    )


def _check_destination(dest: Path, force: bool) -> None:
    if not dest.exists():
        return
    if not force:
        raise ModelError(
            f"{dest} exists: give another folder, or replace it with force=True (--force on the"
            " command line)"
        )
    if not (dest / "contract.json").is_file():
        raise ModelError(
            f"{dest} must be a model folder to be replaced, and has no contract.json: "
            "give another folder"
        )


def _complete(
    checkpoint: Checkpoint, folder: Path, optimize: bool, report: OnStep
) -> tuple[bool, str | None, float | None]:
    """Add golden pairs and the graph.

    Returns:
        Whether the graph was made, the source of the golden pairs, and the largest difference
        between the two.
    """
    if checkpoint.queries is not None:
        _complete(
            checkpoint.queries,
            folder / QUERIES,
            optimize,
            lambda step: report(f"{step} (query encoder)"),
        )
    with_torch, with_graph = has_torch(), optimize and find_spec("onnx") is not None
    if with_torch:
        report("making golden pairs with transformers")
        _write_golden(folder, _torch_weigh(checkpoint))
    if not with_graph:
        return False, "torch" if with_torch else None, None
    report("making the graph")
    difference = optimize_model(folder).difference
    if not with_torch:
        encoder = Encoder.load(folder)
        _write_golden(folder, lambda role, text: _weigh(encoder, role, text))
    return True, "torch" if with_torch else "onnx", difference


def _torch_weigh(checkpoint: Checkpoint) -> Weigh:
    """Return the reference weights, with the encoder of each role."""
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


def _move_into_place(staging: Path, dest: Path) -> None:
    """Rename the new folder.

    An existing folder is moved away first, and restored if the renaming fails.
    """
    if not dest.exists():
        staging.rename(dest)
        return
    old = dest.with_name(f".{dest.name}.{secrets.token_hex(4)}.old")
    dest.rename(old)
    try:
        staging.rename(dest)
    except BaseException:
        old.rename(dest)
        raise
    shutil.rmtree(old)
