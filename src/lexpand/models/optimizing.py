"""What makes a model folder fast: the graph for ONNX Runtime, and the basis of the head's screening."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lexpand.data import collection_path, read_documents
from lexpand.data.streams import atomic_write
from lexpand.encode.contract import Contract
from lexpand.encode.encoder import Encoder
from lexpand.encode.folder import ModelFolder, find_folder, is_packaged
from lexpand.encode.json_files import read_json
from lexpand.errors import ModelError
from lexpand.models.checking import replay
from lexpand.models.graphs import make_graph
from lexpand.models.screening import FILE as SCREENING
from lexpand.models.screening import is_worthwhile, write_screening
from lexpand.models.writing import sha256_of, write_contract

_BODY, _BODY_INT8 = "onnx/body.onnx", "onnx/body_int8.onnx"

# Abstracts that the basis is made from: some 20,000 tokens, far more than a hidden state has
# dimensions.
_DOCUMENTS = 64


@dataclass(frozen=True, slots=True)
class Optimized:
    """What was made.

    Attributes:
        body: the graph's file in the folder.
        screening: whether there is a basis; heads that are too large get none.
        difference: the largest to a golden weight; None without golden pairs.
    """

    body: str
    screening: bool
    difference: float | None


def optimize_model(model: str | Path) -> Optimized:
    """Make the graphs of a model folder, and a basis for its head where that pays. No vector changes.

    Raises:
        ModelError: no graph here computes what the model does, or it gives other vectors than the
            golden ones; the folder is then as it was.
        MissingExtra: the package onnx is not installed.
        StorageError: the disk refused.
    """
    path = find_folder(model)
    if is_packaged(path):
        raise ModelError(f"{path.name} is packaged with Lexpand and optimized already")
    contract = Contract.load(path)
    if contract.query_encoder is not None:
        optimize_model(path / contract.query_encoder.folder)
    ModelFolder(path).check_config()
    shapes = _shapes(path, contract)
    config = read_json(path / "config.json", dict)
    graphs = {_BODY: make_graph(config, shapes), _BODY_INT8: make_graph(config, shapes, int8=True)}
    before = read_json(path / "contract.json", dict)
    (path / _BODY).parent.mkdir(exist_ok=True)
    screened = is_worthwhile(*shapes[contract.head_weight])
    with _putting_back(path, (*graphs, SCREENING, "contract.json")):
        for name, graph in graphs.items():
            _write(path / name, graph)
        files = [{"file": name, "sha256": sha256_of(path / name)} for name in graphs]
        body = {**files[0], "output": "hidden", "int8": files[1]}
        write_contract(
            path,
            {key: value for key, value in before.items() if key != "screening"} | {"body": body},
        )
        difference = replay(Encoder.load(path)) if contract.golden else None
        if screened:
            write_screening(path, _texts())
    return Optimized(_BODY, screened, difference)


@contextmanager
def _putting_back(path: Path, names: Sequence[str]) -> Iterator[None]:
    """Where the work ends early, by Ctrl-C too, these files are what they were: a contract names checksums."""
    before = {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
    try:
        yield
    except BaseException:
        for name in names:
            if name in before:
                _write(path / name, before[name])
            else:
                (path / name).unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)


def _shapes(path: Path, contract: Contract) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path / contract.weights_file, "np") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path / contract.weights_file} cannot be read: {error}") from error


def _texts() -> Iterator[str]:
    documents = islice(read_documents(collection_path("scifact")), _DOCUMENTS)
    return (document.full_text for document in documents)
