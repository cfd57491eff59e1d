"""Find a model folder, verify its files and load its parts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
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
from lexpand.encode.body import Body, initializers_of
from lexpand.encode.contract import Contract, QueryMode, Role
from lexpand.encode.decoder import Decoder
from lexpand.encode.json_files import read_json
from lexpand.encode.packed import unpack
from lexpand.encode.query_table import QueryTable
from lexpand.encode.shape import describe_architecture
from lexpand.encode.tokens import Tokens, parse_tokenizer
from lexpand.encode.torch.body import TorchBody
from lexpand.errors import ModelError

DEFAULT = "lexpand-mini"
"""The name of the packaged model that ``default`` stands for."""

DEFAULT_VARIABLE = "LEXPAND_MODEL"
"""The environment variable that names another default model, or its folder."""

Backend = Literal["onnx", "torch"]
"""The runtime of the transformer."""

_BACKENDS: dict[Dtype, tuple[Backend, ...]] = {
    Dtype.FLOAT32: ("onnx", "torch"),
    Dtype.INT8: ("onnx",),
    Dtype.BFLOAT16: ("torch",),
}


def backend_for(dtype: Dtype, preferred: Backend | None) -> Backend:
    """Return the preferred backend if it supports the dtype, else the default for the dtype."""
    supported = _BACKENDS[dtype]
    return preferred if preferred in supported else supported[0]


def check_backend(backend: Backend | None, dtype: Dtype) -> None:
    """Check that a backend supports a dtype. None stands for any backend.

    Raises:
        ModelError: the backend does not support the dtype, or is unknown.
    """
    if backend is not None and backend not in _BACKENDS[dtype]:
        supported = " or ".join(map(repr, _BACKENDS[dtype]))
        raise ModelError(
            f"the backend for {dtype} must be {supported}, got {backend!r}: 'onnx' supports "
            "float32 and int8, 'torch' supports float32 and bfloat16"
        )


def parse_device(device: str | None) -> tuple[Backend | None, str | None]:
    """Split the device of `Encoder.load` into a backend and PyTorch's device.

    Each is None if the dtype decides.
    """
    if device in (None, "onnx", "torch"):
        return cast("Backend | None", device), None
    return "torch", device


# The form of an id of the Hugging Face Hub: owner/name.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PACKAGED = Path(__file__).parent / "packaged"


def find_folder(model: str | Path) -> Path:
    """Return the folder of a model.

    Args:
        model: ``default``, the name of a packaged model, or a path. The default is that of the
            environment variable ``LEXPAND_MODEL``, or else `DEFAULT`.

    Raises:
        ModelError: the folder does not exist.
    """
    chosen = os.environ.get(DEFAULT_VARIABLE) if model == "default" else None
    if chosen and chosen != "default":
        try:
            return find_folder(chosen)
        except ModelError as error:
            raise ModelError(f"{error} (the environment variable {DEFAULT_VARIABLE})") from None
    name = DEFAULT if model == "default" else str(model)
    if (_PACKAGED / name / "contract.json").is_file() and "/" not in name:
        return _PACKAGED / name
    folder = Path(model).expanduser()
    if not folder.is_dir():
        known = ", ".join(packaged_names())
        remedy = f"give the path of a model folder, 'default', or a packaged name ({known})"
        if _HUB_ID.fullmatch(str(model)):
            remedy += (
                "; to use a model of the Hugging Face Hub, "
                f"run `lexpand model import {model} FOLDER` first"
            )
        raise ModelError(f"no model {str(model)!r}: {remedy}")
    return folder


def _query_mode(mode: str) -> QueryMode:
    try:
        return QueryMode(mode)
    except ValueError:
        raise ModelError(f"mode must be one of {', '.join(QueryMode)}, got {mode!r}") from None


def packaged_names() -> list[str]:
    """Return the names of the models that come with Lexpand, sorted."""
    return sorted(path.name for path in _PACKAGED.iterdir() if path.is_dir())


def is_packaged(folder: Path) -> bool:
    """Return whether a folder is packaged with Lexpand. Packaged folders are never changed."""
    return folder.parent == _PACKAGED


def add_query_table(
    model: str | Path, table: QueryTable, mode: QueryMode = QueryMode.ENCODER
) -> Contract:
    """Add a table of query weights to a model folder, or replace the one that it has.

    The hash of the contract covers the table, so existing indexes refuse the changed model.

    Args:
        model: the folder. It must not be a packaged one.
        table: a weight for each term of the vocabulary.
        mode: the default way to encode queries. With ``lookup``, the golden pairs of queries are
            dropped, because the encoder produced them.

    Raises:
        ModelError: the folder does not exist or is packaged, or the table does not fit its
            vocabulary.
        StorageError: a file cannot be written.
    """
    folder = find_folder(model)
    contract = Contract.load(folder)
    mode = _query_mode(mode)
    if is_packaged(folder):
        raise ModelError(
            f"{folder.name} is packaged with Lexpand and cannot be changed: "
            f"copy {folder} and change the copy"
        )
    if len(table.weights) != contract.vocabulary_size:
        raise ModelError(
            f"the table must have {contract.vocabulary_size} weights, one for each term of "
            f"{contract.name}, got {len(table.weights)}"
        )
    content = table.to_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    # The file is named by its content. The old contract and its table stay valid until the new
    # contract replaces the old one.
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
    """The arguments of `_native.Head.screened`, which prepares safe pruning of the head.

    Attributes:
        to_basis: T, float64 [width, width].
        back: S, float64 [width, width], the transposed inverse of T.
        kept: the number of dimensions in the 8-bit product.
        typical: a typical hidden state, float64 [width], or an empty array.
    """

    to_basis: NDArray[np.float64]
    back: NDArray[np.float64]
    kept: int
    typical: NDArray[np.float64]


@dataclass
class ModelFolder:
    """A model folder. Each part is loaded and verified on first access.

    Raises:
        ModelError: on access, if a file is missing or differs from the contract.
    """

    path: Path

    @property
    def location(self) -> str:
        """The name of a packaged folder, or the absolute path. `find_folder` takes it."""
        return self.path.name if is_packaged(self.path) else str(self.path.resolve())

    @cached_property
    def contract(self) -> Contract:
        """The contract of the folder."""
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
        """Load the transformer, up to the hidden states for the head.

        Args:
            threads: threads for a batch that runs alone.
            backend: the runtime.
            device: a PyTorch device. None for the default, and with the backend ``onnx``.
            dtype: the arithmetic.

        Raises:
            ModelError: a file is missing or damaged, or the backend does not support the dtype or
                the device.
            MissingExtra: the extra ``torch`` is not installed.
        """
        check_backend(backend, dtype)
        if backend == "torch":
            self.check_config()
            packed = None if self.contract.packed is None else self.tensors
            return TorchBody(self.path, self._decoder(), device, dtype, packed)
        if device is not None:
            raise ModelError(
                f"device must be None with the backend 'onnx', got {device!r}: "
                "use the backend 'torch'"
            )
        contract = self.contract
        named = contract.body_int8 if dtype is Dtype.INT8 else contract.body
        if named is None:
            raise ModelError(
                f"{self.path} has no {dtype} graph: make it with "
                f"`lexpand model optimize {self.path}`, or run the model on PyTorch with "
                "Encoder.load(..., device='torch')"
            )
        graph = self._read(named.file, named.sha256)
        return Body(graph, initializers_of(graph, self.tensors), contract.body_output, threads)

    def check_config(self) -> None:
        """Check that config.json describes the architecture that the contract's hash covers.

        PyTorch and the making of a graph read config.json. A finished graph does not need it.

        Raises:
            ModelError: the file differs from the contract, or cannot be read.
        """
        path = self.path / "config.json"
        found, expected = describe_architecture(read_json(path, dict)), self.contract.architecture
        differing = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        if differing:
            key = differing[0]
            raise ModelError(
                f"{path} differs from the architecture in contract.json: {key} must be "
                f"{expected.get(key)!r}, got {found.get(key)!r}: copy the model folder again"
            )

    def load_head(self) -> _native.Head:
        """Load the native head: the decoder with SPLADE's pooling and activation."""
        weight, bias, pooling, activation = self._decoder()
        return _native.Head(weight, bias, pooling=pooling, activation=activation)

    def _decoder(self) -> Decoder:
        contract = self.contract
        weight, bias = self.tensor(contract.head_weight), self.tensor(contract.head_bias)
        if weight.shape[0] != contract.vocabulary_size or bias.shape != weight.shape[:1]:
            raise ModelError(
                f"{self.path}: the decoder must have {contract.vocabulary_size} rows, one for each "
                f"term, got a weight of shape {weight.shape} and a bias of shape {bias.shape}: "
                "copy the model folder again"
            )
        return Decoder(weight, bias, contract.pooling, contract.activation)

    def query_folder(self) -> ModelFolder | None:
        """Return the folder of a separate query encoder. None if one encoder serves both roles."""
        named = self.contract.query_encoder
        if named is None:
            return None
        folder = ModelFolder(self._inside(named.folder))
        if folder.contract.hash != named.hash:
            raise ModelError(
                f"{folder.path} differs from the query encoder in contract.json: "
                "copy the model folder again"
            )
        return folder

    def load_screening(self) -> Screening | None:
        """Load the basis for safe pruning of the head. None if the folder has none."""
        named = self.contract.screening
        if named is None:
            return None
        try:
            rows = np.load(BytesIO(self._read(named.file, named.sha256)), allow_pickle=False)
            rows = np.ascontiguousarray(rows, np.float64)
            width = rows.shape[1]
            if len(rows) > width + 1:
                raise ValueError(
                    f"it must have at most {width + 1} rows of {width}, got {len(rows)}"
                )
            # Older folders have no typical state.
            to_basis, typical = rows[:width], rows[width] if len(rows) > width else np.zeros(0)
            return Screening(
                to_basis, np.ascontiguousarray(np.linalg.inv(to_basis).T), named.kept, typical
            )
        except (ValueError, IndexError, EOFError, np.linalg.LinAlgError) as error:
            raise ModelError(
                f"{self.path / named.file} does not hold a basis ({error}): "
                f"make it again with `lexpand model optimize {self.path}`"
            ) from error

    def load_query_table(self) -> QueryTable | None:
        """Load the weights of inference-free queries. None if the folder has none.

        The weights of special tokens are set to 0.
        """
        named = self.contract.query_table
        if named is None:
            return None
        table = QueryTable.from_bytes(
            self._read(named.file, named.sha256), str(self.path / named.file)
        )
        if len(table.weights) != self.contract.vocabulary_size:
            raise ModelError(
                f"{self.path / named.file} must have {self.contract.vocabulary_size} weights, one "
                f"for each term, got {len(table.weights)}: use the table of this model"
            )
        return table.without(sorted(self.tokens.vocabulary.special))

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Return a tensor of the weights file, float32.

        Raises:
            ModelError: the file has no such tensor.
        """
        try:
            return self.tensors[name]
        except KeyError:
            raise ModelError(
                f"{self.path / self.contract.weights_file} has no tensor {name!r}: "
                "copy the model folder again"
            ) from None

    @cached_property
    def tensors(self) -> Mapping[str, NDArray[np.float32]]:
        """All tensors of the weights file by name, float32.

        Raises:
            ModelError: the file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        contract = self.contract
        if contract.packed is not None:
            content = self._read(contract.packed.file, contract.packed.sha256)
            return unpack(content, str(self.path / contract.packed.file))
        try:
            arrays: dict[str, NDArray[Any]] = load(
                self._read(contract.weights_file, contract.weights_sha256)
            )
        except SafetensorError as error:
            raise ModelError(
                f"{self.path / contract.weights_file} cannot be read: {error}: "
                "copy the model folder again, or import it again"
            ) from error
        return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}

    def _read(self, name: str, sha256: str) -> bytes:
        """Return the content of a file after comparing its checksum with the contract."""
        path = self._inside(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{path} cannot be read: {error.strerror}: "
                "check its permissions, or copy the model folder again"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ModelError(
                f"{path} differs from the file that contract.json records: its SHA-256 must be "
                f"{sha256}, got {found}: copy the model folder again"
            )
        return content

    def _inside(self, name: str) -> Path:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ModelError(
                f"a path in {self.path / 'contract.json'} must lie in the folder, got {name!r}"
            )
        return path


class Bodies:
    """Transformers by dtype, each loaded on first use; threads may share the object.

    Args:
        folder: the model.
        threads: threads for a batch that runs alone.
        backend: the preferred runtime, used if it supports the dtype. The default is PyTorch for
            bfloat16, and ONNX Runtime otherwise.
        device: the PyTorch device.
    """

    def __init__(
        self, folder: ModelFolder, threads: int, backend: Backend | None, device: str | None
    ) -> None:
        self._path, self._threads = folder.path, threads
        self._backend, self._device = backend, device
        self._loaded: dict[Dtype, Body | TorchBody] = {}
        self._loading = threading.Lock()

    def get(self, dtype: Dtype, folder: ModelFolder | None = None) -> Body | TorchBody:
        """Return the transformer for a dtype.

        Args:
            dtype: the arithmetic.
            folder: an open folder, whose loaded parts are reused. By default the folder is opened
                again, so that its weights are not kept in memory.

        Raises:
            ModelError, MissingExtra: see `ModelFolder.load_body`.
        """
        with self._loading:
            if dtype not in self._loaded:
                backend = backend_for(dtype, self._backend)
                # Only PyTorch takes a device. With no backend set, `load_body` refuses a device.
                device = self._device if backend == "torch" or self._backend is None else None
                folder = folder or ModelFolder(self._path)
                self._loaded[dtype] = folder.load_body(self._threads, backend, device, dtype)
            return self._loaded[dtype]
