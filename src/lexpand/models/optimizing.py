"""Make the files that speed a model up: the graphs, and the basis for safe pruning of the head."""

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
from lexpand.models.screening import pays_off, write_screening
from lexpand.models.writing import sha256_of, write_contract

_BODY, _BODY_INT8 = "onnx/body.onnx", "onnx/body_int8.onnx"

# The number of abstracts for the basis. They have about 20,000 tokens, far more than a hidden state
# has dimensions.
_DOCUMENTS = 64


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """The result of `optimize_model`.

    Attributes:
        body: the file of the float32 graph in the folder.
        screening: whether a basis for safe pruning was made. A head that is too large gets none.
        difference: the largest difference to a golden weight. None without golden pairs.
    """

    body: str
    screening: bool
    difference: float | None


def optimize_model(model: str | Path) -> OptimizeResult:
    """Make the graphs of a model folder, and the basis for safe pruning if it pays off.

    No vector changes. If an error occurs, the folder stays as it was.

    Raises:
        ModelError: the folder is damaged or packaged, the graphs do not support the model, or its
            vectors differ from the golden ones.
        MissingExtra: the package onnx is not installed.
        StorageError: a file cannot be written.
    """
    path = find_folder(model)
    if is_packaged(path):
        raise ModelError(
            f"{path.name} is packaged with Lexpand and optimized already: use it as it is"
        )
    contract = Contract.load(path)
    if contract.query_encoder is not None:
        optimize_model(path / contract.query_encoder.folder)
    folder = ModelFolder(path)
    folder.check_config()
    shapes = {name: tensor.shape for name, tensor in folder.tensors.items()}
    config = read_json(path / "config.json", dict)
    graphs = {_BODY: make_graph(config, shapes), _BODY_INT8: make_graph(config, shapes, int8=True)}
    before = read_json(path / "contract.json", dict)
    (path / _BODY).parent.mkdir(exist_ok=True)
    prunable = pays_off(*shapes[contract.head_weight])
    with _restored_on_error(path, (*graphs, SCREENING, "contract.json")):
        for name, graph in graphs.items():
            _write(path / name, graph)
        files = [{"file": name, "sha256": sha256_of(path / name)} for name in graphs]
        body = {**files[0], "output": "hidden", "int8": files[1]}
        kept = {key: value for key, value in before.items() if key != "screening"}
        write_contract(path, kept | {"body": body})
        difference = replay(Encoder.load(path)) if contract.golden else None
        if prunable:
            write_screening(path, _texts())
    return OptimizeResult(_BODY, prunable, difference)


@contextmanager
def _restored_on_error(path: Path, names: Sequence[str]) -> Iterator[None]:
    """Restore files after an error or Ctrl-C, so that they match the checksums in the contract."""
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


def _texts() -> Iterator[str]:
    documents = islice(read_documents(collection_path("scifact")), _DOCUMENTS)
    return (document.full_text for document in documents)
