"""Model folders that cannot be used: each says why."""

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
    """A copy of the packaged model that a test may spoil."""
    return Path(shutil.copytree(find_folder("default"), tmp_path / "my model"))


def change(folder: Path, **values: Any) -> None:
    """Sets keys of contract.json; ``head__pooling`` reaches inside."""
    path = folder / "contract.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        *outer, last = name.split("__")
        place = contract
        for key in outer:
            place = place[key]
        if value is None and last in place:
            del place[last]
        else:
            place[last] = value
    path.write_text(json.dumps(contract), encoding="utf-8")


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        Encoder.load(folder)
    return str(error.value)


def test_a_copy_is_the_same_model(folder: Path, encoder: Encoder) -> None:
    copy = Encoder.load(folder)
    assert copy.contract.model == encoder.contract.model
    assert copy.space.location == str(folder.resolve())
    assert copy.encode_queries(["heart"]) == encoder.encode_queries(["heart"])


def test_name_and_lengths_are_no_part_of_the_hash(folder: Path, encoder: Encoder) -> None:
    change(folder, name="mine", license="?", document__max_tokens=256)
    assert Contract.load(folder).hash == encoder.contract.hash
    change(folder, head__activation="log1p(log1p(relu))")
    assert Contract.load(folder).hash != encoder.contract.hash


@pytest.mark.parametrize("change_of", [{"architecture__heads": 4}, {"tokenizer__sha256": "0" * 64}])
def test_what_decides_vectors_is_part_of_the_hash(
    folder: Path, encoder: Encoder, change_of: dict[str, Any]
) -> None:
    change(folder, **change_of)
    assert Contract.load(folder).hash != encoder.contract.hash


def test_an_edited_tokenizer_is_noticed(folder: Path) -> None:
    path = folder / "tokenizer.json"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(raw), encoding="utf-8")
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (
        f"tokenizer.json differs from the one in contract.json: its SHA-256 must be {before}, got {after}"
        in refused(folder)
    )


def test_an_edited_config_is_noticed(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    reason = "config.json differs from the architecture in contract.json: activation must be 'gelu', got 'relu'"
    with pytest.raises(ModelError, match=reason):
        Encoder.load(folder, device="torch")
    with pytest.raises(ModelError, match=reason):
        optimize_model(folder)


def test_the_packaged_contract_is_what_its_maker_writes() -> None:
    folder = find_folder("default")
    raw = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    assert raw["architecture"] == describe_architecture(
        json.loads((folder / "config.json").read_text())
    )
    assert (
        raw["tokenizer"]["sha256"]
        == hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    )


def test_an_id_of_the_hub_names_the_import() -> None:
    with pytest.raises(ModelError, match="run `lexpand model import naver/splade-v3 FOLDER` first"):
        find_folder("naver/splade-v3")
    with pytest.raises(ModelError) as caught:
        find_folder("./some/folder")
    assert "model import" not in str(caught.value)


def test_no_such_model() -> None:
    with pytest.raises(ModelError, match=r"no model 'nowhere'.*splade-tiny"):
        Encoder.load("nowhere")


def test_no_contract(tmp_path: Path) -> None:
    assert "has no contract.json" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "cannot be read"),
        ("[]", "is no contract"),
        ('{"format": "other"}', "is no contract"),
        (
            '{"format": "lexpand-contract", "version": 9}',
            "must have version 2, got 9: upgrade Lexpand",
        ),
        (
            '{"format": "lexpand-contract", "version": 1}',
            "got 1: made before the first release: import the model again",
        ),
        ('{"format": "lexpand-contract", "version": 2}', "lacks the key 'head'"),
    ],
)
def test_what_is_no_contract(folder: Path, content: str, reason: str) -> None:
    (folder / "contract.json").write_text(content)
    assert reason in refused(folder)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"head__pooling": "mean"}, "head.pooling is 'mean': it must be one of max, sum"),
        ({"head__activation": "gelu"}, "head.activation is 'gelu'"),
        ({"query__mode": "lookup"}, "query.mode is 'lookup', but query.table"),
        ({"query__mode": "table"}, "query.mode is 'table': it must be one of encoder, lookup"),
        ({"document__mode": "lookup"}, "document.mode is 'lookup': it must be one of encoder"),
        ({"architecture": None}, "lacks the key 'architecture'"),
        ({"architecture": []}, "architecture is []"),
        ({"tokenizer": None}, "lacks the key 'tokenizer'"),
        ({"head__weight": None}, "lacks the key 'weight'"),
        ({"head__weight": "nothing"}, "has no tensor 'nothing'"),
        ({"weights__file": "../outside"}, "names a file outside the folder"),
        ({"vocabulary__sha256": "0" * 64}, "30522 tokens that are not"),
        ({"vocabulary__size": 9}, "does not fit a vocabulary of 9"),
    ],
)
def test_a_contract_that_does_not_hold(folder: Path, values: dict[str, Any], reason: str) -> None:
    change(folder, **values)
    assert reason in refused(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "onnx/body.onnx", "onnx/screening.npy"])
def test_a_file_that_is_missing_or_damaged(folder: Path, name: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "differs from the one in contract.json" in refused(folder)
    path.unlink()
    assert f"{name} cannot be read" in refused(folder)


def test_screening_changes_no_bit(folder: Path, encoder: Encoder, scifact: list[Document]) -> None:
    """With it and without it; enough tokens that the packaged model's is used."""
    texts = [document.full_text for document in scifact[:40]] + ["short", "heart disease"]
    change(folder, screening=None)
    plain = Encoder.load(folder)
    assert plain.contract.model == encoder.contract.model
    assert encoder.contract.screening is not None
    expected, found = (model.encode(texts, Role.DOCUMENT) for model in (plain, encoder))
    assert found.vectors == expected.vectors
    assert (found.positions == expected.positions).all()


@pytest.mark.parametrize("way", ["passages", "max", "copies"])
def test_screening_is_prepared_once(
    scifact: list[Document], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """After a thousand tokens in all, whichever copy of the encoder reads them."""
    encoder = Encoder.load(
        documents=DocumentEncoding(
            long=LongDocuments("chunk", "passages" if way == "copies" else way)
        )
    )  # type: ignore[arg-type]
    head, prepared = encoder._head._head, []

    class Counting:
        def __getattr__(self, name: str) -> object:
            prepared.extend([name] * (name == "screened"))
            return getattr(head, name)

    monkeypatch.setattr(encoder._head, "_head", Counting())
    for number in range(12):
        reader = (
            encoder.encoding(DocumentEncoding(title_weight=0.5)) if way == "copies" else encoder
        )
        reader.encode_long([scifact[number]])
        assert number or not prepared, "one abstract has fewer tokens"
    assert prepared == ["screened"]


def test_a_screening_without_a_typical_state(
    folder: Path, encoder: Encoder, scifact: list[Document]
) -> None:
    """As folders had it before."""
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
def test_a_screening_that_is_no_basis(folder: Path, content: bytes | np.ndarray) -> None:
    path = folder / "onnx" / "screening.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    change(folder, screening__sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert "screening.npy holds no basis" in refused(folder)


def test_a_body_that_is_no_graph(folder: Path) -> None:
    (folder / "onnx" / "body.onnx").write_bytes(b"nonsense")
    change(folder, body__sha256=hashlib.sha256(b"nonsense").hexdigest())
    assert "ONNX Runtime cannot load the model's body" in refused(folder)


def test_a_tokenizer_that_is_none(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    change(folder, tokenizer__sha256=hashlib.sha256(b"{}").hexdigest())
    assert "tokenizer.json cannot be used" in refused(folder)
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json cannot be read" in refused(folder)
