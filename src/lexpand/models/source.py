"""Where a checkpoint lies: a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from lexpand.errors import ModelError

# As the Hub has them: an owner and a name.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

# What is read of a repository; its ONNX files, TensorFlow weights and datasets are not.
_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt", "*.md"]


def find_source(source: str) -> Path:
    """The folder of a checkpoint; a Hub id is downloaded, or taken from the Hub's cache.

    Raises:
        ModelError: there is no such folder, or the Hub could not give it.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{folder} is a file: give the folder that holds the checkpoint")
    if not _HUB_ID.fullmatch(source) or source.startswith("."):
        raise ModelError(
            f"no folder {source!r}: give a checkpoint's folder, or an id of the Hugging Face Hub (owner/name)"
        )
    return _download(source)


def _download(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download  # comes with tokenizers

        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    # Whatever goes wrong (the network, the id, access), the way out is the same.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"no folder {hub_id!r}, and the Hugging Face Hub did not give it ({reason}): check the id and the network "
            f"(for a gated model, `hf auth login` first), or run `hf download {hub_id} --local-dir FOLDER` where "
            "there is one, and import FOLDER"
        ) from error
