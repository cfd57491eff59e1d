"""Read and write sparse vectors as a NumPy ``.npz`` archive with a checksum (docs/vectors.md)."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data.model_id import ModelId
from lexpand.data.streams import atomic_write
from lexpand.errors import SourceError

FORMAT = "lexpand.sparse-vectors"
VERSION = 1

_DTYPES = {
    "vocabulary_size": "<i8",
    "indptr": "<i8",
    "terms": "<u4",
    "weights": "<f4",
    "model": "|u1",
}

_NOT_OURS = (
    "is not a file of sparse vectors, or is cut short: give a file that SparseVectors.save wrote"
)

# Errors that zipfile and numpy.lib.format raised for files with one changed byte.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    SyntaxError,
)


def write_arrays(
    path: Path,
    indptr: NDArray[np.int64],
    terms: NDArray[np.uint32],
    weights: NDArray[np.float32],
    vocabulary_size: int,
    model: ModelId | None,
    beside: Mapping[str, object] | None = None,
) -> None:
    """Write the arrays of `SparseVectors` to a file, atomically.

    Args:
        path: the path of the file.
        indptr: int64 [n + 1], the positions of the rows.
        terms: uint32 [nnz], the terms.
        weights: float32 [nnz], the weights.
        vocabulary_size: the size of the vocabulary.
        model: the model that made the vectors; None if unknown.
        beside: additional JSON values by name, for `read_beside`. `read_arrays` ignores them.

    Raises:
        StorageError: the file cannot be written.
    """
    size = np.array([vocabulary_size])
    model_json = np.frombuffer(b"" if model is None else json.dumps(model).encode(), np.uint8)
    values: dict[str, NDArray[Any]] = dict(
        zip(_DTYPES, (size, indptr, terms, weights, model_json), strict=True)
    )
    arrays = {name: values[name].astype(dtype, copy=False) for name, dtype in _DTYPES.items()}
    members: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": _sha256(arrays),
        **arrays,
    }
    for name, value in (beside or {}).items():
        text = np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), np.uint8)
        members |= {name: text, f"{name}_sha256": _sha256({name: text})}
    with atomic_write(path) as file:
        np.savez(file, **members)


def read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int, ModelId | None]:
    """Read a file and verify its checksum.

    Returns:
        indptr, terms, weights (all read-only), vocabulary_size and model. The limits of
        SparseVectors are not checked.

    Raises:
        SourceError: the file is missing, not a file of sparse vectors, damaged, or of a newer
            version.
    """
    members = _members(path)
    try:
        return _checked(path, members)
    except _UNREADABLE as error:
        raise _damaged(path, error) from error


def read_beside(path: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    """Read an additional JSON value of a file and verify its checksum.

    Returns:
        The value; None if the file has no value of this name.

    Raises:
        SourceError: the file is missing, not a file of sparse vectors, or damaged.
    """
    members = _members(path)
    if name not in members:
        return None
    try:
        if not np.array_equal(_sha256({name: members[name]}), members[f"{name}_sha256"]):
            raise SourceError(
                f"{path} is damaged (the checksum of {name!r} does not match): "
                "copy or make it again"
            )
        return json.loads(members[name].tobytes())
    except (LookupError, ValueError, TypeError) as error:
        raise SourceError(
            f"{path}: its member {name!r} cannot be read ({error}): copy or make it again"
        ) from error


def _members(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise SourceError(f"{path} {_NOT_OURS}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
    except _UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} cannot be read, or is damaged ({error}): encode and save it again")


def _checked(
    path: Path, members: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int, ModelId | None]:
    if str(members.get("format")) != FORMAT:
        raise SourceError(f"{path} {_NOT_OURS}")
    if (version := int(members["version"])) > VERSION:
        raise SourceError(
            f"{path} has version {version}; this Lexpand reads up to {VERSION}: upgrade it"
        )
    arrays = {name: members[name] for name in _DTYPES}
    dtypes = {name: array.dtype.str for name, array in arrays.items()}
    if dtypes != _DTYPES or not np.array_equal(_sha256(arrays), members["sha256"]):
        raise SourceError(
            f"{path} is damaged (its checksum does not match): encode and save it again"
        )
    for array in arrays.values():
        array.flags.writeable = False
    model = ModelId(*json.loads(arrays["model"].tobytes())) if arrays["model"].size else None
    size = int(arrays["vocabulary_size"][0])
    return arrays["indptr"], arrays["terms"], arrays["weights"], size, model


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return SHA-256 over the size and the bytes of each array, in order."""
    digest = hashlib.sha256()
    for name in arrays:
        digest.update(arrays[name].size.to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return np.frombuffer(digest.digest(), np.uint8)
