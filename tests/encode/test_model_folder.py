"""Model folders: the hash of the contract, safe pruning, and errors for damaged folders."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexpand import Document, DocumentEncoding, Encoder, Role
from lexpand.data import LongDocuments
from lexpand.encode import Contract
from lexpand.encode.folder import find_folder
from lexpand.encode.shape import describe_architecture
from lexpand.errors import ModelError
from lexpand.models import optimize_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged model that a test may change."""
    return Path(shutil.copytree(find_folder("default"), tmp_path / "my model"))


def change(folder: Path, **values: Any) -> None:
    """Set keys of contract.json; ``head__pooling`` is a nested key, and None removes a key."""
    path = folder / "contract.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        *outer, last = name.split("__")
        target = contract
        for key in outer:
            target = target[key]
        if value is None and last in target:
            del target[last]
        else:
            target[last] = value
    path.write_text(json.dumps(contract), encoding="utf-8")


def load_error(folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        Encoder.load(folder)
    return str(error.value)


def test_a_copied_folder_is_the_same_model(folder: Path, encoder: Encoder) -> None:
    copy = Encoder.load(folder)
    assert copy.contract.model == encoder.contract.model
    assert copy.space.location == str(folder.resolve())
    assert copy.encode_queries(["heart"]) == encoder.encode_queries(["heart"])


def test_the_hash_does_not_cover_name_and_lengths(folder: Path, encoder: Encoder) -> None:
    change(folder, name="mine", license="?", document__max_tokens=256)
    assert Contract.load(folder).hash == encoder.contract.hash
    change(folder, head__activation="log1p(log1p(relu))")
    assert Contract.load(folder).hash != encoder.contract.hash


@pytest.mark.parametrize("values", [{"architecture__heads": 4}, {"tokenizer__sha256": "0" * 64}])
def test_the_hash_covers_what_determines_the_vectors(
    folder: Path, encoder: Encoder, values: dict[str, Any]
) -> None:
    change(folder, **values)
    assert Contract.load(folder).hash != encoder.contract.hash


def test_an_edited_tokenizer_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.json"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(raw), encoding="utf-8")
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    message = load_error(folder)
    assert "tokenizer.json differs from the file that contract.json records" in message
    assert f"its SHA-256 must be {before}, got {after}: copy the model folder again" in message


def test_an_edited_config_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    reason = (
        r"config\.json differs from the architecture in contract\.json: "
        "activation must be 'gelu', got 'relu'"
    )
    with pytest.raises(ModelError, match=reason):
        Encoder.load(folder, device="torch")
    with pytest.raises(ModelError, match=reason):
        optimize_model(folder)


def test_the_packaged_contract_agrees_with_its_folder() -> None:
    folder = find_folder("default")
    raw = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text())
    tokenizer = (folder / "tokenizer.json").read_bytes()
    assert raw["architecture"] == describe_architecture(config)
    assert raw["tokenizer"]["sha256"] == hashlib.sha256(tokenizer).hexdigest()


def test_the_error_for_a_hub_id_suggests_an_import() -> None:
    with pytest.raises(ModelError, match="run `lexpand model import naver/splade-v3 FOLDER` first"):
        find_folder("naver/splade-v3")
    with pytest.raises(ModelError) as caught:
        find_folder("./some/folder")
    assert "model import" not in str(caught.value)


def test_the_error_for_an_unknown_model_lists_the_packaged_ones() -> None:
    with pytest.raises(ModelError, match=r"no model 'nowhere'.*splade-tiny"):
        Encoder.load("nowhere")


def test_a_folder_without_a_contract_is_refused(tmp_path: Path) -> None:
    assert "has no contract.json" in load_error(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "cannot be read"),
        ("[]", "is not a contract"),
        ('{"format": "other"}', "is not a contract"),
        (
            '{"format": "lexpand-contract", "version": 9}',
            "must have version 2, got 9: upgrade Lexpand",
        ),
        (
            '{"format": "lexpand-contract", "version": 1}',
            "got 1, from before the first release: import the model again",
        ),
        ('{"format": "lexpand-contract", "version": 2}', "lacks the key 'head'"),
    ],
)
def test_a_file_that_is_not_a_contract_is_refused(folder: Path, content: str, reason: str) -> None:
    (folder / "contract.json").write_text(content)
    assert reason in load_error(folder)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"head__pooling": "mean"}, "head.pooling must be one of max, sum, got 'mean'"),
        (
            {"head__activation": "gelu"},
            "head.activation must be one of log1p(relu), log1p(log1p(relu)), got 'gelu'",
        ),
        (
            {"query__mode": "lookup"},
            "query.table must name the file of the query weights if query.mode is 'lookup'",
        ),
        ({"query__mode": "table"}, "query.mode must be one of encoder, lookup, got 'table'"),
        ({"document__mode": "lookup"}, "document.mode must be one of encoder, got 'lookup'"),
        ({"architecture": None}, "lacks the key 'architecture'"),
        ({"architecture": []}, "architecture must be an object with a model_type, got []"),
        ({"tokenizer": None}, "lacks the key 'tokenizer'"),
        ({"head__weight": None}, "lacks the key 'weight'"),
        ({"head__weight": "nothing"}, "has no tensor 'nothing'"),
        ({"weights__file": "../outside"}, "must lie in the folder, got '../outside'"),
        (
            {"vocabulary__sha256": "0" * 64},
            "must have the 30522 tokens of contract.json, got 30522 others",
        ),
        ({"vocabulary__size": 9}, "the decoder must have 9 rows, one for each term, got"),
    ],
)
def test_a_contract_that_does_not_fit_its_folder_is_refused(
    folder: Path, values: dict[str, Any], reason: str
) -> None:
    change(folder, **values)
    assert reason in load_error(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "onnx/body.onnx", "onnx/screening.npy"])
def test_a_missing_or_damaged_file_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "differs from the file that contract.json records" in load_error(folder)
    path.unlink()
    assert f"{name} cannot be read" in load_error(folder)


def test_safe_pruning_changes_no_bit(
    folder: Path, encoder: Encoder, scifact: list[Document]
) -> None:
    """The texts have enough tokens for the packaged model to prune."""
    texts = [document.full_text for document in scifact[:40]] + ["short", "heart disease"]
    change(folder, screening=None)
    plain = Encoder.load(folder)
    assert plain.contract.model == encoder.contract.model
    assert encoder.contract.screening is not None
    expected, found = (model.encode(texts, Role.DOCUMENT) for model in (plain, encoder))
    assert found.vectors == expected.vectors
    assert (found.positions == expected.positions).all()


@pytest.mark.parametrize("case", ["passages", "max", "copies"])
def test_safe_pruning_is_prepared_once(
    scifact: list[Document], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """The tokens of all copies of an encoder count together, up to a thousand."""
    long = LongDocuments("chunk", "passages" if case == "copies" else case)  # type: ignore[arg-type]
    encoder = Encoder.load(documents=DocumentEncoding(long=long))
    head, prepared = encoder._head._head, []

    class Counting:
        def __getattr__(self, name: str) -> object:
            prepared.extend([name] * (name == "screened"))
            return getattr(head, name)

    monkeypatch.setattr(encoder._head, "_head", Counting())
    for number in range(12):
        reader = encoder
        if case == "copies":
            reader = encoder.encoding(DocumentEncoding(title_weight=0.5))
        reader.encode_long([scifact[number]])
        assert number or not prepared, "one abstract has fewer tokens"
    assert prepared == ["screened"]


def test_a_basis_without_a_typical_state_changes_no_vector(
    folder: Path, encoder: Encoder, scifact: list[Document]
) -> None:
    """Older folders have such a basis."""
    path = folder / "onnx" / "screening.npy"
    np.save(path, np.load(path)[:128])
    change(folder, screening__sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    texts = [document.full_text for document in scifact[:8]]
    assert Encoder.load(folder).encode_documents(texts) == encoder.encode_documents(texts)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        np.zeros((128, 128), np.float32),
        np.eye(130, 128, dtype=np.float32),
        np.eye(12)[:, :9][:4],
    ],
)
def test_a_file_that_is_not_a_basis_is_refused(folder: Path, content: bytes | np.ndarray) -> None:
    path = folder / "onnx" / "screening.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    change(folder, screening__sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert "screening.npy does not hold a basis" in load_error(folder)


def test_a_body_that_is_not_a_graph_is_refused(folder: Path) -> None:
    (folder / "onnx" / "body.onnx").write_bytes(b"nonsense")
    change(folder, body__sha256=hashlib.sha256(b"nonsense").hexdigest())
    assert "ONNX Runtime cannot load the model's body" in load_error(folder)


def test_a_file_that_is_not_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    change(folder, tokenizer__sha256=hashlib.sha256(b"{}").hexdigest())
    assert "tokenizer.json cannot be used" in load_error(folder)
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json cannot be read" in load_error(folder)
