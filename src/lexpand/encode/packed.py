"""Weights in 8 bits, for models that travel: a quarter of the size, the same file everywhere.

A matrix is stored as integers with one scale for each row: weight = scale * integer, where the
scale is the largest absolute weight of the row divided by 127. Vectors stay float32. The float32
weights that `unpack` returns are the model: contract, golden pairs and indexes refer to them, so a
packed folder and its float32 copy are the same model. docs/model-folder.md describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import ModelError

PACKED = "model.q8.safetensors"
"""The file of packed weights in a model folder."""

FORMAT, VERSION = "lexpand-q8", "1"
"""Both are in the one entry ``format`` of the metadata: several have no fixed order in the file."""

_SCALE = ".scale"
_LEVELS = 127


def rounded(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the integers of a matrix, int8 [rows, width], and its scales, float32 [rows]."""
    scale = (np.abs(matrix).max(axis=1, initial=0.0) / np.float32(_LEVELS)).astype(np.float32)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, None]
    return np.rint(matrix / divisor).astype(np.int8), scale


def pack(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Return the content of a file of packed weights."""
    from safetensors.numpy import save

    packed: dict[str, NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            packed[name], packed[name + _SCALE] = rounded(tensor)
        else:
            packed[name] = tensor
    return save(packed, metadata={"format": f"{FORMAT} {VERSION}"})


def unpack(content: bytes, name: str) -> dict[str, NDArray[np.float32]]:
    """Return the float32 weights of a file of packed weights.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        ModelError: it is not a file of packed weights of this version, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{name} cannot be read: {error}: copy the model folder again") from error
    if metadata.get("format") != f"{FORMAT} {VERSION}":
        raise ModelError(
            f"{name} must have the format '{FORMAT} {VERSION}', got {metadata.get('format')!r}:"
            " upgrade Lexpand, or copy the model folder again"
        )
    integers = {key for key, array in arrays.items() if array.dtype == np.int8}
    scales = {key + _SCALE for key in integers}
    return {
        key: _product(arrays, key, name) if key in integers else _plain(array, key, name)
        for key, array in arrays.items()
        if key not in scales
    }


def _product(arrays: Mapping[str, NDArray[np.generic]], key: str, name: str) -> NDArray[np.float32]:
    matrix, scale = arrays[key], arrays.get(key + _SCALE)
    if (
        matrix.ndim != 2
        or scale is None
        or scale.shape != matrix.shape[:1]
        or scale.dtype != np.float32
        or not np.isfinite(scale).all()
    ):
        raise ModelError(
            f"{name}: {key} must be a matrix with a finite float32 scale for each of its rows:"
            " copy the model folder again"
        )
    product: NDArray[np.float32] = matrix.astype(np.float32) * scale.astype(np.float32)[:, None]
    return product


def _plain(array: NDArray[np.generic], key: str, name: str) -> NDArray[np.float32]:
    if array.dtype != np.float32:
        raise ModelError(
            f"{name}: {key} must be float32 or packed int8, got {array.dtype}:"
            " copy the model folder again"
        )
    return np.asarray(array, np.float32)
