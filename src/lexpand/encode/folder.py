"""A model folder: found, checked, its parts loaded."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data.document_encoding import Dtype
from lexpand.data.streams import atomic_write
from lexpand.encode.body import Body, values_of
from lexpand.encode.contract import Contract, QueryMode, Role
from lexpand.encode.decoder import Decoder
from lexpand.encode.json_files import read_json
from lexpand.encode.query_table import QueryTable
from lexpand.encode.shape import describe_architecture
from lexpand.encode.tokens import Tokens, parse_tokenizer
from lexpand.encode.torch.body import TorchBody
from lexpand.errors import ModelError

DEFAULT = "splade-tiny"
"""The packaged model that ``default`` stands for."""

Backend = Literal["onnx", "torch"]
"""What runs the transformer."""

_BACKENDS: dict[Dtype, tuple[Backend, ...]] = {
    Dtype.FLOAT32: ("onnx", "torch"),
    Dtype.INT8: ("onnx",),
    Dtype.BFLOAT16: ("torch",),
}


def backend_for(dtype: Dtype, wished: Backend | None) -> Backend:
    """What runs this dtype: as wished, if it can."""
    able = _BACKENDS[dtype]
    return wished if wished in able else able[0]


def check_backend(backend: Backend | None, dtype: Dtype) -> None:
    """Nothing, where the backend has the dtype, or none is named.

    Raises:
        ModelError: it has not, or there is no such backend.
    """
    if backend is not None and backend not in _BACKENDS[dtype]:
        raise ModelError(
            f"backend {backend!r} and {dtype}: 'onnx' has float32 and int8, 'torch' float32 and bfloat16"
        )


def parse_device(device: str | None) -> tuple[Backend | None, str | None]:
    """What runs the transformer, and where: the backend and PyTorch's device, each None for what fits the dtype."""
    if device in (None, "onnx", "torch"):
        return cast("Backend | None", device), None
    return "torch", device


# An owner and a name, as ids of the Hugging Face Hub are.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PACKAGED = Path(__file__).parent / "packaged"


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
        way_on = f"give a model folder's path, 'default', or a packaged name ({known})"
        if _HUB_ID.fullmatch(str(model)):
            way_on += f"; to use a model of the Hugging Face Hub, run `lexpand model import {model} FOLDER` first"
        raise ModelError(f"no model {str(model)!r}: {way_on}")
    return folder


def _query_mode(mode: str) -> QueryMode:
    try:
        return QueryMode(mode)
    except ValueError:
        raise ModelError(f"mode must be one of {', '.join(QueryMode)}, got {mode!r}") from None


def is_packaged(folder: Path) -> bool:
    """Whether a folder is one of those that come with Lexpand, which stay as they are."""
    return folder.parent == _PACKAGED


def add_query_table(
    model: str | Path, table: QueryTable, mode: QueryMode = QueryMode.ENCODER
) -> Contract:
    """Put a table of query weights into a model folder, in the place of one that it has.

    The contract's hash takes the table in: this is another model for indexes that were made before.

    Args:
        model: the folder; not a packaged one.
        table: a weight for each term of the vocabulary.
        mode: how queries are encoded where nobody says otherwise. With ``lookup``, golden pairs of
            queries are dropped: they were the encoder's.

    Raises:
        ModelError: there is no such folder, it is packaged, or the vocabulary has another size.
        StorageError: the disk refused.
    """
    folder = find_folder(model)
    contract = Contract.load(folder)
    mode = _query_mode(mode)
    if is_packaged(folder):
        raise ModelError(
            f"{folder.name} is packaged with Lexpand and stays as it is: copy {folder} first"
        )
    if len(table.weights) != contract.vocabulary_size:
        raise ModelError(
            f"{len(table.weights)} query weights for a vocabulary of {contract.vocabulary_size} terms"
        )
    content = table.to_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    # Named by its content, so that the old contract and its table hold until the new contract is
    # there.
    name = f"query_weights.{sha256[:12]}.safetensors"
    table.save(folder / name)
    raw = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    raw["query"] |= {"mode": str(mode), "table": {"file": name, "sha256": sha256}}
    if mode is QueryMode.LOOKUP:
        raw["golden"] = [pair for pair in raw["golden"] if pair["role"] != Role.QUERY]
    with atomic_write(folder / "contract.json") as file:
        file.write(json.dumps(raw, indent=2, ensure_ascii=False).encode() + b"\n")
    if contract.query_table is not None and contract.query_table.file != name:
        (folder / contract.query_table.file).unlink(missing_ok=True)
    return Contract.load(folder)


class Screening(NamedTuple):
    """What `_native.Head.screened` takes: T and S float64 [width, width], dimensions kept, a typical state [width]."""

    to_basis: NDArray[np.float64]
    back: NDArray[np.float64]
    kept: int
    typical: NDArray[np.float64]


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
        return self.path.name if is_packaged(self.path) else str(self.path.resolve())

    @cached_property
    def contract(self) -> Contract:
        """The folder's contract.json."""
        return Contract.load(self.path)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokenizer."""
        named = self.contract.tokenizer
        return Tokens(
            parse_tokenizer(self._read(named.file, named.sha256), self.path / named.file),
            self.contract,
        )

    def load_body(
        self,
        threads: int,
        backend: Backend = "onnx",
        device: str | None = None,
        dtype: Dtype = Dtype.FLOAT32,
    ) -> Body | TorchBody:
        """The transformer, up to the states that the head takes; see `Encoder.load`."""
        check_backend(backend, dtype)
        if backend == "torch":
            self.check_config()
            return TorchBody(self.path, self._decoder(), device, dtype)
        if device is not None:
            raise ModelError(
                f"device {device!r}: devices are those of the backend 'torch', not of 'onnx'"
            )
        contract = self.contract
        named = contract.body_int8 if dtype is Dtype.INT8 else contract.body
        if named is None:
            raise ModelError(
                f"{self.path} has no {dtype} graph to run yet: make it with `lexpand model optimize {self.path}`, or "
                "run the model on PyTorch: Encoder.load(..., device='torch')"
            )
        graph = self._read(named.file, named.sha256)
        return Body(graph, values_of(graph, self._weights), contract.body_output, threads)

    def check_config(self) -> None:
        """Refuse a config.json that no longer describes what the contract's hash covers.

        For who computes by it: PyTorch, and the making of a graph. A graph that is made needs no
        config.

        Raises:
            ModelError: it differs, or cannot be read.
        """
        path = self.path / "config.json"
        described, agreed = describe_architecture(read_json(path, dict)), self.contract.architecture
        differing = [
            key for key in {**agreed, **described} if agreed.get(key) != described.get(key)
        ]
        if differing:
            key = differing[0]
            raise ModelError(
                f"{path} differs from the architecture in contract.json: {key} must be {agreed.get(key)!r}, got "
                f"{described.get(key)!r}: copy the model folder again"
            )

    def load_head(self) -> _native.Head:
        """The decoder of the vocabulary, with SPLADE's pooling and activation."""
        weight, bias, pooling, activation = self._decoder()
        return _native.Head(weight, bias, pooling=pooling, activation=activation)

    def _decoder(self) -> Decoder:
        contract = self.contract
        weight, bias = self.tensor(contract.head_weight), self.tensor(contract.head_bias)
        if weight.shape[0] != contract.vocabulary_size or bias.shape != weight.shape[:1]:
            raise ModelError(
                f"{self.path}: a head of {weight.shape} with a bias of {bias.shape} does not fit a vocabulary of "
                f"{contract.vocabulary_size} terms"
            )
        return Decoder(weight, bias, contract.pooling, contract.activation)

    def query_folder(self) -> ModelFolder | None:
        """The folder of the queries' own encoder; None where one encoder does both."""
        named = self.contract.query_encoder
        if named is None:
            return None
        folder = ModelFolder(self._inside(named.folder))
        if folder.contract.hash != named.hash:
            raise ModelError(
                f"{folder.path} differs from the one in contract.json: copy the model folder again"
            )
        return folder

    def load_screening(self) -> Screening | None:
        """The basis in which the head proves most terms inactive; None where the folder has none."""
        named = self.contract.screening
        if named is None:
            return None
        try:
            rows = np.load(BytesIO(self._read(named.file, named.sha256)), allow_pickle=False)
            rows = np.ascontiguousarray(rows, np.float64)
            width = rows.shape[1]
            if len(rows) > width + 1:
                raise ValueError(f"it has {len(rows)} rows of {width}")
            # Folders of before had no typical state.
            to_basis, typical = rows[:width], rows[width] if len(rows) > width else np.zeros(0)
            return Screening(
                to_basis, np.ascontiguousarray(np.linalg.inv(to_basis).T), named.kept, typical
            )
        except (ValueError, IndexError, EOFError, np.linalg.LinAlgError) as error:
            raise ModelError(f"{self.path / named.file} holds no basis: {error}") from error

    def load_query_table(self) -> QueryTable | None:
        """The weights of inference-free queries, those of special tokens made 0; None where the folder has none."""
        named = self.contract.query_table
        if named is None:
            return None
        table = QueryTable.from_bytes(
            self._read(named.file, named.sha256), str(self.path / named.file)
        )
        if len(table.weights) != self.contract.vocabulary_size:
            raise ModelError(
                f"{self.path / named.file} has {len(table.weights)} weights for a vocabulary of "
                f"{self.contract.vocabulary_size} terms: it must have one a term"
            )
        return table.without(sorted(self.tokens.vocabulary.special))

    def tensor(self, name: str) -> NDArray[np.float32]:
        """A tensor of the weights' file, float32."""
        try:
            return self._weights[name]
        except KeyError:
            raise ModelError(
                f"{self.path / self.contract.weights_file} has no tensor {name!r}"
            ) from None

    @cached_property
    def _weights(self) -> dict[str, NDArray[np.float32]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        contract = self.contract
        try:
            arrays: dict[str, NDArray[Any]] = load(
                self._read(contract.weights_file, contract.weights_sha256)
            )
        except SafetensorError as error:
            raise ModelError(f"{self.path / contract.weights_file}: {error}") from error
        return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}

    def _read(self, name: str, sha256: str) -> bytes:
        """A file's bytes, checked against the contract."""
        path = self._inside(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ModelError(
                f"{path} differs from the one in contract.json: its SHA-256 must be {sha256}, got {found}: copy the "
                "model folder again"
            )
        return content

    def _inside(self, name: str) -> Path:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ModelError(f"{self.path}: the contract names a file outside the folder: {name}")
        return path


class Bodies:
    """Transformers by dtype, each loaded when it is first asked for. May be shared by threads.

    Args:
        folder: the model.
        threads: that a batch alone may use.
        backend: what runs them where it has the dtype; by default PyTorch for bfloat16, else ONNX
            Runtime.
        device: of PyTorch.
    """

    def __init__(
        self, folder: ModelFolder, threads: int, backend: Backend | None, device: str | None
    ) -> None:
        self._path, self._threads = folder.path, threads
        self._backend, self._device = backend, device
        self._loaded: dict[Dtype, Body | TorchBody] = {}
        self._loading = threading.Lock()

    def get(self, dtype: Dtype, folder: ModelFolder | None = None) -> Body | TorchBody:
        """The transformer in this dtype.

        Args:
            dtype: the arithmetic.
            folder: the model's folder with what was read of it; read anew by default, so that
                nobody keeps the weights.

        Raises:
            ModelError, MissingExtra: see `ModelFolder.load_body`.
        """
        with self._loading:
            if dtype not in self._loaded:
                backend = backend_for(dtype, self._backend)
                # A device is PyTorch's; who named one without a backend is told so.
                device = self._device if backend == "torch" or self._backend is None else None
                folder = folder or ModelFolder(self._path)
                self._loaded[dtype] = folder.load_body(self._threads, backend, device, dtype)
            return self._loaded[dtype]
