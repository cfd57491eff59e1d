"""The models that are measured, as folders in the layout of sentence-transformers."""

from __future__ import annotations

import shutil
from pathlib import Path

from lexpand.encode.folder import DEFAULT, find_folder
from lexpand.models import export_model
from measured_model import MODEL

_OURS = ("onnx", "contract.json")
_ROUTES = ("router_config.json", "query_0_SparseStaticEmbedding")


def tiny(root: Path) -> tuple[Path, Path]:
    """Return the folder of splade-tiny, and a copy for the peers without Lexpand's files."""
    ours = find_folder(MODEL)
    return ours, _for_peers(ours, root / "tiny")


def mini(root: Path) -> tuple[Path, Path]:
    """Return the folder of the default model, and its float32 weights for the peers.

    The peers get its encoder alone, because sentence-transformers cannot export a router's model
    into its own folder: it moves the weights and then copies the graph onto itself.
    """
    ours = find_folder(DEFAULT)
    exported = root / f"{DEFAULT}-exported"
    if not exported.exists():
        export_model(ours, exported)
    plain = _for_peers(exported, root / f"{DEFAULT}-encoder", _ROUTES)
    shutil.copy(find_folder(MODEL) / "modules.json", plain)
    return ours, plain


def _for_peers(ours: Path, copy: Path, left_out: tuple[str, ...] = ()) -> Path:
    if not (copy / "config.json").exists():
        ignored = shutil.ignore_patterns(*_OURS, *left_out)
        shutil.copytree(ours, copy, ignore=ignored, dirs_exist_ok=True)
    return copy
