"""Read the weights of a checkpoint as float32, from safetensors or .bin files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.encode.packed import PACKED, unpack
from lexpand.errors import MissingExtra, ModelError

Tensors = dict[str, NDArray[np.float32]]

_FLOATS: dict[str, type[np.floating[Any]]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
}


def read_tensors(folder: Path) -> Tensors:
    """Return the floating-point tensors of a folder, float32.

    ``model.safetensors`` takes precedence over ``pytorch_model.bin`` and over the packed weights of
    a model folder. The former two may be split into shards that an index file names.

    Raises:
        ModelError: there are no weights, a file is missing or damaged, or the type of a tensor is
            not supported.
        MissingExtra: the weights are in ``.bin`` files, and torch is not installed.
    """
    for name, read in (
        ("model.safetensors", read_safetensors),
        ("pytorch_model.bin", _read_pickle),
    ):
        files = _files(folder, name)
        if files:
            return {tensor: array for file in files for tensor, array in read(file)}
    if (folder / PACKED).is_file():
        return unpack((folder / PACKED).read_bytes(), str(folder / PACKED))
    raise ModelError(
        f"{folder} has neither model.safetensors nor pytorch_model.bin: "
        "give the folder of a checkpoint"
    )


def _files(folder: Path, name: str) -> list[Path]:
    if (folder / name).is_file():
        return [folder / name]
    index = folder / f"{name}.index.json"
    if not index.is_file():
        return []
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{index} cannot be read ({error!r}): copy the checkpoint again"
        ) from error
    outside = [shard for shard in shards if Path(shard).name != shard]
    if outside:
        raise ModelError(f"a shard in {index} must lie in the folder, got {outside[0]!r}")
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {missing[0]}, which {index.name} names: copy the checkpoint again"
        )
    return [folder / shard for shard in shards]


def read_safetensors(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the names and float32 arrays of one file. Integer tensors are skipped.

    Raises:
        ModelError: the file is damaged, or the type of a tensor is not supported.
    """
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ModelError(f"{path}: {error}: copy the checkpoint again") from error
    for name, tensor in tensors:
        kind = str(tensor["dtype"])
        if kind.startswith(("I", "U", "BOOL")):
            continue
        yield name, _as_float32(path, name, kind, tensor["data"]).reshape(tensor["shape"])


def _as_float32(path: Path, name: str, kind: str, data: bytes) -> NDArray[np.float32]:
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    if kind not in _FLOATS:
        raise ModelError(
            f"{path}: the type of tensor {name} must be float, got {kind}: "
            "save the checkpoint in float32, float16 or bfloat16"
        )
    return np.frombuffer(data, _FLOATS[kind]).astype(np.float32)


def _read_pickle(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtra(
            "torch", "torch", f"reading {path.name}, which is not a safetensors file,"
        ) from None
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    # torch raises errors of pickle and of zip files. The remedy is the same.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise ModelError(f"{path} cannot be read ({reason}): copy the checkpoint again") from error
    if not isinstance(tensors, dict):
        raise ModelError(
            f"{path} must hold tensors by name, got a {type(tensors).__name__}: "
            "save the state_dict of the model"
        )
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            yield name, tensor.float().numpy()
