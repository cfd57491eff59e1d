"""Pack the weights of a model folder into 8 bits a weight, or unpack them.

    pack_model.py pack FOLDER DEST      write DEST, without graphs and contract
    pack_model.py unpack DEST FOLDER    write FOLDER, a model folder

A matrix is stored as int8 with a float32 scale for each row: weight = scale * integer, where the
scale is the largest weight of the row divided by 127. Vectors stay float32. The unpacked float32
weights are the model. Everything else that a checkpoint needs is copied.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lexpand.models import import_model
from lexpand.models.importing import ImportOptions

_WEIGHTS, _PACKED, _SCALE = "model.safetensors", "model.q8.safetensors", ".scale"
_LEFT_OUT = {"onnx", "contract.json", "README.md", "training.json", _WEIGHTS}


def main() -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["pack", "unpack"])
    parser.add_argument("source", type=Path)
    parser.add_argument("dest", type=Path)
    arguments = parser.parse_args()
    (pack if arguments.what == "pack" else unpack)(arguments.source, arguments.dest)


def pack(folder: Path, dest: Path) -> None:
    """Write the packed form of a model folder. An existing README.md of ``dest`` is kept."""
    dest.mkdir(parents=True, exist_ok=True)
    packed: dict[str, NDArray[np.generic]] = {}
    for name, tensor in load_file(folder / _WEIGHTS).items():
        if tensor.ndim == 2:
            packed[name], packed[name + _SCALE] = rounded(tensor)
        else:
            packed[name] = tensor
    save_file(packed, dest / _PACKED, metadata={"format": "lexpand-q8", "version": "1"})
    copy_others(folder, dest)


def unpack(source: Path, folder: Path) -> None:
    """Write the model folder of a packed model.

    Raises:
        ModelError: the folder exists, or the model cannot be imported.
    """
    packed = load_file(source / _PACKED)
    tensors = {
        name: tensor.astype(np.float32) * packed[name + _SCALE][:, None]
        if name + _SCALE in packed
        else tensor
        for name, tensor in packed.items()
        if not name.endswith(_SCALE)
    }
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain"
        plain.mkdir()
        copy_others(source, plain)
        save_file(tensors, plain / _WEIGHTS, metadata={"format": "pt"})
        import_model(plain, folder, ImportOptions(name=folder.name, origin="unpacked"))


def rounded(tensor: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the integers, int8 [rows, width], and the scale of each row, float32 [rows]."""
    scale = (np.abs(tensor).max(axis=1) / 127).astype(np.float32)
    divisor = np.where(scale > 0, scale, 1)[:, None]
    return np.round(tensor / divisor).astype(np.int8), scale


def copy_others(source: Path, dest: Path) -> None:
    """Copy everything but weights, graphs and what describes them."""
    for path in source.iterdir():
        if path.name in _LEFT_OUT or path.name == _PACKED:
            continue
        if path.is_dir():
            shutil.copytree(path, dest / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, dest / path.name)


if __name__ == "__main__":
    main()
