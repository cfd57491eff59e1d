"""Find a checkpoint: a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from lexpand.encode.folder import find_folder, packaged_names
from lexpand.errors import ModelError

# The form of an id of the Hub: owner/name, or the name alone for some old models.
_HUB_ID = re.compile(r"([\w.-]+/)?[\w.-]+")

# The files to download. ONNX files, TensorFlow weights and data sets are skipped.
_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt", "*.md"]


def find_source(source: str) -> Path:
    """Return the folder of a checkpoint.

    A repository of the Hub is downloaded, or taken from the cache of the Hub.

    Raises:
        ModelError: the folder does not exist, or the download failed.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{folder} is a file: give the folder that holds the checkpoint")
    if not _HUB_ID.fullmatch(source) or source.startswith("."):
        raise ModelError(
            f"no folder {source!r}: "
            "give the folder of a checkpoint, or an id of the Hugging Face Hub (owner/name)"
        )
    return _download(source)


def find_base(model: str | Path) -> Path:
    """Return the folder of a packaged model, or of a checkpoint; see `find_source`.

    Args:
        model: ``default`` or empty for the default model, the name of a packaged one, a folder, or
            an id of the Hub.

    Raises:
        ModelError: there is no such model, or the download failed.
    """
    try:
        return find_folder(model or "default")
    except ModelError:
        if model in ("", "default"):
            raise
    try:
        return find_source(str(model))
    except ModelError as error:
        raise ModelError(
            f"{error}; the packaged models are {', '.join(packaged_names())}"
        ) from None


def _download(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download  # comes with tokenizers

        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    # The remedies are the same for all errors: of the network, of the id and of access.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"no folder {hub_id!r}, and the download from the Hugging Face Hub failed ({reason}): "
            "check the id and the network (for a gated model, run `hf auth login` first), or run "
            f"`hf download {hub_id} --local-dir FOLDER` on a machine with a network, and give "
            "FOLDER"
        ) from error
