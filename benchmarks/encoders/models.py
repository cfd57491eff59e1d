"""The models that are measured, as folders in the layout of sentence-transformers."""

from __future__ import annotations

import shutil
from pathlib import Path

from lexpand.encode.folder import DEFAULT, find_folder
from lexpand.models import export_model
from measured_model import MODEL

_OURS = ("onnx", "contract.json")


def tiny(root: Path) -> tuple[Path, Path]:
    """Return the folder of splade-tiny, and a copy for the peers without Lexpand's files."""
    ours = find_folder(MODEL)
    return ours, _for_peers(ours, root / "tiny")


def mini(root: Path) -> tuple[Path, Path]:
    """Return the folder of the default model, and its float32 weights for the peers."""
    ours = find_folder(DEFAULT)
    exported = root / f"{DEFAULT}-exported"
    if not exported.exists():
        export_model(ours, exported)
    return ours, _for_peers(exported, root / DEFAULT)


def _for_peers(ours: Path, copy: Path) -> Path:
    if not (copy / "config.json").exists():
        shutil.copytree(ours, copy, ignore=shutil.ignore_patterns(*_OURS), dirs_exist_ok=True)
    return copy
