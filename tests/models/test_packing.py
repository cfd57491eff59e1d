"""Weights in 8 bits: the format, packed folders, and their float32 exports."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import TEXTS, write_bert
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load, save

from lexpand import Encoder, Index, ingest
from lexpand.data import Document
from lexpand.encode.contract import Contract, QueryMode
from lexpand.encode.folder import ModelFolder, add_query_table
from lexpand.encode.packed import PACKED, pack, rounded, unpack
from lexpand.encode.query_table import QueryTable
from lexpand.errors import DataError, MissingExtra, ModelError, StorageError
from lexpand.models import check_model, export_model, import_model, optimize_model, pack_model
from lexpand.models.exporting import float32_folder

GOLDEN = Path(__file__).parents[1] / "golden" / "packed-v1.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with float32 weights."""
    folder = tmp_path_factory.mktemp("plain")
    return import_model(write_bert(folder / "bert"), folder / "mine").path


@pytest.fixture(scope="module")
def small(plain: Path) -> Path:
    """The same model, packed."""
    pack_model(plain, plain.with_name("small"))
    return plain.with_name("small")


def vectors_of(folder: Path) -> list[dict[int, float]]:
    return list(Encoder.load(folder).encode_documents(TEXTS).as_dicts())


def example() -> dict[str, Any]:
    matrix = np.array([[1.0, -0.5, 0.25], [0.0, 0.0, 0.0], [1e-30, 3.0, -127.0]], np.float32)
    return {"matrix": matrix, "vector": np.array([0.1, -2.0], np.float32)}


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 7)),
        elements=st.floats(-1e3, 1e3, width=32),
    )
)
def test_a_weight_is_off_by_half_a_step_at_most(matrix: Any) -> None:
    found = unpack(pack({"m": matrix, "v": matrix[0]}), "file")
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert (np.abs(found["m"] - matrix) <= 0.5001 * step + 1e-37).all()
    assert np.array_equal(found["v"], matrix[0])
    integers, scale = rounded(matrix)
    assert np.array_equal(found["m"], integers.astype(np.float32) * scale[:, None])


def test_the_golden_file_reads_and_writes_the_same() -> None:
    content = GOLDEN.read_bytes()
    assert pack(example()) == content
    found = unpack(content, "golden")
    assert found["matrix"].dtype == np.float32
    assert found["matrix"][0].tolist() == pytest.approx([1.0, -0.503937, 0.251968], rel=1e-5)
    assert found["matrix"][1].tolist() == [0, 0, 0]
    assert found["vector"].tolist() == pytest.approx([0.1, -2.0])


def changed(metadata: dict[str, str] | None = None, **tensors: Any) -> bytes:
    held = {k: v for k, v in {**load(GOLDEN.read_bytes()), **tensors}.items() if v is not None}
    return save(held, metadata=metadata or {"format": "lexpand-q8 1"})


MATRIX_FAULT = "matrix must be a matrix with a finite float32 scale for each of its rows"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "cannot be read"),
        (GOLDEN.read_bytes()[:-4], "cannot be read"),
        (changed({"format": "pt"}), r"must have the format 'lexpand-q8 1', got 'pt'"),
        (changed({"format": "lexpand-q8 2"}), "got 'lexpand-q8 2': upgrade Lexpand"),
        (changed(**{"matrix.scale": None}), MATRIX_FAULT),
        (changed(**{"matrix.scale": np.ones(2, np.float32)}), MATRIX_FAULT),
        (changed(**{"matrix.scale": np.ones(3, np.float16)}), MATRIX_FAULT),
        (changed(**{"matrix.scale": np.full(3, np.nan, np.float32)}), MATRIX_FAULT),
        (changed(matrix=np.ones(3, np.int8)), MATRIX_FAULT),
        (changed(vector=np.ones(2, np.float16)), "vector must be float32 or packed int8"),
    ],
)
def test_damaged_files_are_refused(content: bytes, fault: str) -> None:
    with pytest.raises(ModelError, match=fault):
        unpack(content, "file")


def test_the_folder_is_smaller_and_its_vectors_are_close(plain: Path, small: Path) -> None:
    assert not (small / "model.safetensors").exists()
    sizes = [(plain / "model.safetensors").stat().st_size, (small / PACKED).stat().st_size]
    assert sizes[1] < sizes[0]  # headers weigh most in so small a model
    assert check_model(small).pairs == check_model(plain).pairs
    before, after = (
        Encoder.load(each).encode_documents(TEXTS).as_dicts() for each in (plain, small)
    )
    assert before != after
    for one, other in zip(before, after, strict=True):
        assert all(abs(other.get(term, 0) - weight) < 0.2 for term, weight in one.items())
    assert "rounded to 8 bits" in Contract.load(small).origin


def test_the_export_is_the_same_model(small: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    contract = export_model(small, exported)
    assert contract.hash == Contract.load(small).hash
    assert not (exported / PACKED).exists()
    assert vectors_of(small) == vectors_of(exported)
    check_model(exported)
    with Index.create(tmp_path / "i", Encoder.load(small).space) as index:
        ingest(index, Encoder.load(exported), [Document("a", TEXTS[0])])  # takes both


def test_a_float32_model_is_exported_as_it_is(plain: Path, tmp_path: Path) -> None:
    export_model(plain, tmp_path / "copy")
    for path in plain.rglob("*"):
        if path.is_file():
            copied = tmp_path / "copy" / path.relative_to(plain)
            assert copied.read_bytes() == path.read_bytes()


def test_int8_products_and_a_new_graph_work(small: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small, tmp_path / "copy"))
    shutil.rmtree(copy / "onnx")
    assert optimize_model(copy).difference is not None
    from lexpand import DocumentEncoding

    encoder = Encoder.load(copy, documents=DocumentEncoding(dtype="int8"))
    assert encoder.encode_documents(TEXTS).nnz


def test_a_packed_checkpoint_can_be_imported_again(small: Path, tmp_path: Path) -> None:
    again = import_model(small, tmp_path / "again").path
    assert vectors_of(small) == vectors_of(again)


@pytest.mark.parametrize("mode", list(QueryMode))
def test_a_query_table_and_its_mode_stay(plain: Path, tmp_path: Path, mode: QueryMode) -> None:
    source = Path(shutil.copytree(plain, tmp_path / "source"))
    size = Contract.load(source).vocabulary_size
    add_query_table(source, QueryTable(np.linspace(0.5, 2, size, dtype=np.float32)), mode)
    pack_model(source, tmp_path / "packed", name="new")
    contract = Contract.load(tmp_path / "packed")
    assert (contract.query_mode, contract.name) == (mode, "new")
    table = ModelFolder(tmp_path / "packed").load_query_table()
    expected = ModelFolder(source).load_query_table()
    assert table is not None
    assert expected is not None
    assert np.array_equal(table.weights, expected.weights)
    export_model(tmp_path / "packed", tmp_path / "exported")
    assert Contract.load(tmp_path / "exported").hash == contract.hash


@pytest.mark.parametrize("mode", QueryMode)
def test_the_query_mode_and_rules_of_queries_can_be_chosen(
    plain: Path, tmp_path: Path, mode: QueryMode
) -> None:
    """The golden pairs of queries are of the chosen mode, and pruned."""
    source = shutil.copytree(plain, tmp_path / "source")
    size = Contract.load(plain).vocabulary_size
    add_query_table(source, QueryTable(np.linspace(0, 1, size, dtype=np.float32)))
    made = pack_model(source, tmp_path / "made", query_pruning="top=3", query_mode=mode)
    assert made.query_mode is mode
    assert check_model(tmp_path / "made").pairs == len(made.golden)
    encoder = Encoder.load(tmp_path / "made")
    (weights,) = encoder.encode_queries(TEXTS[:1]).as_dicts()
    assert 0 < len(weights) <= 3
    (other,) = encoder.encode_queries(
        TEXTS[:1], mode=QueryMode.LOOKUP if mode is QueryMode.ENCODER else QueryMode.ENCODER
    ).as_dicts()
    assert weights != other
    with pytest.raises(ModelError, match="must have a table of query weights for the query mode"):
        pack_model(plain, tmp_path / "none", query_mode=QueryMode.LOOKUP)


def test_pruning_becomes_part_of_the_model(plain: Path, tmp_path: Path) -> None:
    pack_model(plain, tmp_path / "all")
    pack_model(plain, tmp_path / "three", pruning="top=3,ban=heart")
    contract = Contract.load(tmp_path / "three")
    assert contract.hash != Contract.load(tmp_path / "all").hash
    assert check_model(tmp_path / "three").pairs == check_model(tmp_path / "all").pairs
    assert max(map(len, vectors_of(tmp_path / "three"))) == 3
    assert max(map(len, vectors_of(tmp_path / "all"))) > 3
    exported = tmp_path / "exported"
    export_model(tmp_path / "three", exported)
    assert vectors_of(exported) == vectors_of(tmp_path / "three")
    pack_model(exported, tmp_path / "again")  # keeps the rules of its source
    assert Contract.load(tmp_path / "again").pruning == contract.pruning
    with pytest.raises(DataError, match="pruning must be a list of rules"):
        pack_model(plain, tmp_path / "wrong", pruning="three")
    assert not (tmp_path / "wrong").exists()


def test_damage_is_found(small: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small, tmp_path / "copy"))
    content = bytearray((copy / PACKED).read_bytes())
    content[-1] ^= 1
    (copy / PACKED).write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"model\.q8\.safetensors differs from the file"):
        Encoder.load(copy).encode_documents(TEXTS)
    raw = json.loads((small / "contract.json").read_text())
    raw["weights"]["sha256"] = "0" * 64
    other = Path(shutil.copytree(small, tmp_path / "other"))
    (other / "contract.json").write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=r"float32 weights of .* must have the SHA-256 0000"):
        export_model(other, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_what_cannot_be_packed_is_refused(small: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is packed already"):
        pack_model(small, tmp_path / "again")
    with pytest.raises(ModelError, match="exists: give another folder"):
        pack_model(plain, small)
    with pytest.raises(ModelError, match="exists: give another folder"):
        export_model(small, plain)


def test_what_fails_leaves_nothing(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lexpand.models.packing.find_spec", lambda _: None)
        with pytest.raises(MissingExtra, match=r"pip install 'lexpand\[onnx\]'"):
            pack_model(plain, tmp_path / "packed")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for work in (pack_model, export_model):
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copytree", full)
            with pytest.raises(StorageError, match=r"cannot write .*: No space left on device"):
                work(plain, tmp_path / "packed")
    assert not list(tmp_path.iterdir())


def test_a_temporary_float32_folder_is_removed(small: Path, plain: Path) -> None:
    with float32_folder(small) as folder:
        assert (folder / "model.safetensors").is_file()
    assert not folder.exists()
    with float32_folder(plain) as folder:
        assert folder == plain
