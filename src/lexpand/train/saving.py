"""Write what was trained as a model folder, completely or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lexpand.data.pruning import Pruning
from lexpand.data.streams import partial_of, write_lines
from lexpand.encode.contract import Role
from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError, StorageError
from lexpand.models import ImportResult, import_model
from lexpand.models.options import ImportOptions
from lexpand.models.packing import pruned_contract
from lexpand.models.writing import write_contract

FACTS = "training.json"
"""The file of a model folder that says how it was made."""


def check_new(folder: Path) -> None:
    """Check that a model can be written to ``folder``.

    Raises:
        ModelError: the folder exists and is not empty.
    """
    if (folder / "contract.json").is_file():
        raise ModelError(f"{folder} holds a model: choose another folder, or remove it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is not empty: choose another folder for the model")


def save_model(
    write: Callable[[Path], object],
    folder: Path,
    *,
    origin: str,
    facts: Mapping[str, Any],
    card: str | None = None,
    license: str | None = None,
    pruning: Pruning | None = None,
) -> ImportResult:
    """Write a checkpoint as a model folder that loads in Lexpand and in sentence-transformers.

    Unfinished files are in ``<folder>.partial``, which is removed in the end.

    Args:
        write: writes the checkpoint into an empty folder, as Hugging Face or sentence-transformers
            lay it out.
        folder: the new folder.
        origin: what the weights come from, for the contract.
        facts: how the model was made, as JSON values; written to ``training.json``.
        card: the model card in Markdown, written to ``README.md``.
        license: the license of the weights.
        pruning: rules of the model, for documents and queries; None for none.

    Raises:
        ModelError: the folder exists, or the model cannot be imported.
        StorageError: the disk refuses.
    """
    check_new(folder)
    if folder.exists():
        folder.rmdir()
    saved = partial_of(folder) / "model"
    try:
        shutil.rmtree(saved, ignore_errors=True)
        saved.mkdir(parents=True)
        write(saved)
        made = partial_of(folder) / "folder"
        shutil.rmtree(made, ignore_errors=True)
        done = import_model(
            saved, made, ImportOptions(name=folder.name, origin=origin, license=license)
        )
        if pruning:
            raw = read_json(made / "contract.json", dict)
            rules = {str(role): pruning.to_dict() for role in Role}
            write_contract(made, raw | pruned_contract(made, rules))
        write_lines(made / FACTS, [json.dumps(facts, indent=1)])
        if card is not None:
            write_lines(made / "README.md", card.splitlines())
        made.rename(folder)
        shutil.rmtree(partial_of(folder), ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"cannot write the model {folder}: {error.strerror or error}; free the disk and run the"
            " same command again"
        ) from error
    return done
