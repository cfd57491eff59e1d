"""A model folder: found, checked, its parts loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.encode.body import Body
from lexpand.encode.contract import Contract
from lexpand.encode.tokens import Tokens
from lexpand.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULT = "splade-tiny"
"""The packaged model that ``default`` stands for."""

_PACKAGED = Path(__file__).parent / "models"


def find_folder(model: str | Path) -> Path:
    """The folder of a model: ``default``, the name of a packaged one, or a path.

    Raises:
        ModelError: there is no such folder.
    """
    name = DEFAULT if model == "default" else str(model)
    if (_PACKAGED / name / "contract.json").is_file() and "/" not in name:
        return _PACKAGED / name
    folder = Path(model).expanduser()
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in _PACKAGED.iterdir() if path.is_dir()))
        raise ModelError(
            f"no model {str(model)!r}: give a model folder's path, 'default', or a packaged name ({known})"
        )
    return folder


@dataclass
class ModelFolder:
    """A folder with a contract; its parts are loaded and checked when they are first asked for.

    Raises:
        ModelError: on access, where a file is missing or differs from the contract.
    """

    path: Path

    @property
    def location(self) -> str:
        """What finds this folder again: the name of a packaged one, or the absolute path."""
        return self.path.name if self.path.parent == _PACKAGED else str(self.path.resolve())

    @cached_property
    def contract(self) -> Contract:
        """The folder's contract.json."""
        return Contract.load(self.path)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokenizer."""
        return Tokens(self._load_tokenizer(), self.contract)

    def load_body(self, threads: int) -> Body:
        """The transformer, up to the states that the head takes."""
        contract = self.contract
        graph = self._read(contract.body_file, contract.body_sha256)
        weights = {name: array for name, array in self._weights.items() if name != contract.head_bias}
        return Body(graph, weights, contract.body_output, threads)

    def load_head(self) -> _native.Head:
        """The decoder of the vocabulary, with SPLADE's pooling and activation."""
        contract = self.contract
        weight, bias = self._tensor(contract.head_weight), self._tensor(contract.head_bias)
        if weight.shape[0] != contract.vocabulary_size or bias.shape != weight.shape[:1]:
            raise ModelError(
                f"{self.path}: a head of {weight.shape} with a bias of {bias.shape} does not fit a vocabulary of "
                f"{contract.vocabulary_size} terms"
            )
        return _native.Head(weight, bias, pooling=contract.pooling, activation=contract.activation)

    def load_screening(self) -> tuple[NDArray[np.float64], NDArray[np.float64], int] | None:
        """What `_native.Head.screened` takes: T and S float64 [width, width] and the dimensions kept; None without."""
        screening = self.contract.screening
        if screening is None:
            return None
        try:
            to_basis = np.load(BytesIO(self._read(screening.file, screening.sha256)), allow_pickle=False)
            to_basis = np.ascontiguousarray(to_basis, np.float64)
            return to_basis, np.ascontiguousarray(np.linalg.inv(to_basis).T), screening.kept
        except (ValueError, EOFError, np.linalg.LinAlgError) as error:
            raise ModelError(f"{self.path / screening.file} holds no basis: {error}") from error

    @cached_property
    def _weights(self) -> dict[str, NDArray[np.float32]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        contract = self.contract
        try:
            arrays: dict[str, NDArray[Any]] = load(self._read(contract.weights_file, contract.weights_sha256))
        except SafetensorError as error:
            raise ModelError(f"{self.path / contract.weights_file}: {error}") from error
        return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}

    def _tensor(self, name: str) -> NDArray[np.float32]:
        try:
            return self._weights[name]
        except KeyError:
            raise ModelError(f"{self.path / self.contract.weights_file} has no tensor {name!r}") from None

    def _load_tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        path = self.path / "tokenizer.json"
        try:
            return Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:
            raise ModelError(f"{path} cannot be used: {error}") from error

    def _read(self, name: str, sha256: str) -> bytes:
        """A file's bytes, checked against the contract."""
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ModelError(f"{self.path}: the contract names a file outside the folder: {name}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ModelError(f"{path} differs from the one in contract.json (SHA-256): copy the model folder again")
        return content
