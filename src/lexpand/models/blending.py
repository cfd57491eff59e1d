"""Blend the weights of a trained model with those of the model that it was trained from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from lexpand.encode.contract import Contract
from lexpand.errors import ModelError
from lexpand.models.checkpoint import read_checkpoint
from lexpand.models.importing import import_model
from lexpand.models.options import ImportOptions
from lexpand.models.writing import WEIGHTS

_MADE_NEW = ("contract.json", "onnx")


def blend_models(base: str | Path, trained: str | Path, share: float, dest: str | Path) -> None:
    """Write a model whose weights are ``share`` of the trained ones and the rest of the base's.

    A short training on few texts makes a model better there and worse elsewhere. The line between
    the two models keeps most of the gain and most of what the base knows (Wortsman et al. 2022,
    *Robust fine-tuning of zero-shot models*, arXiv 2109.01903).

    Args:
        base: the folder of the base.
        trained: the folder of the trained model; its tokenizer, settings and query table are used.
        share: from 0, the base, to 1, the trained model.
        dest: the new folder.

    Raises:
        ModelError: the share is out of range, the two models have different tensors, or ``dest``
            exists.
        StorageError: the disk refuses.
    """
    if not 0 <= share <= 1:
        raise ModelError(f"share must be from 0 to 1, got {share}")
    base, trained = Path(base), Path(trained)
    old, new = (read_checkpoint(each, ImportOptions()).tensors for each in (base, trained))
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in (old, new)]
    if shapes[0] != shapes[1]:
        raise ModelError(
            f"{trained} must have the tensors of {base}: blend a model with the one that it was"
            " trained from"
        )
    blended = {
        name: (old[name] + np.float32(share) * (tensor - old[name])).astype(np.float32)
        for name, tensor in new.items()
    }
    contract = Contract.load(trained)
    with tempfile.TemporaryDirectory(prefix="lexpand-") as scratch:
        from safetensors.numpy import save_file

        folder = Path(scratch) / "model"
        shutil.copytree(trained, folder, ignore=shutil.ignore_patterns(*_MADE_NEW))
        save_file(blended, folder / WEIGHTS, metadata={"format": "pt"})
        options = ImportOptions(
            name=contract.name,
            license=contract.license,
            origin=f"{contract.origin}; weights blended with those of the base, {share:g} trained",
        )
        import_model(folder, dest, options)
