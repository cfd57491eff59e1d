"""Packed models on PyTorch, in sentence-transformers and as the base of a training."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")
# Ignore the warnings of torch, transformers and sentence-transformers, which differ by version.
pytestmark = pytest.mark.filterwarnings("ignore")

from lexpand import Encoder  # noqa: E402
from lexpand.data import Dtype  # noqa: E402
from lexpand.encode.contract import Contract, QueryMode  # noqa: E402
from lexpand.encode.folder import find_folder  # noqa: E402
from lexpand.encode.query_encoding import QueryEncoding  # noqa: E402
from lexpand.models import export_model, import_model, pack_model  # noqa: E402

TEXTS = ["How do I reset my password?", "The printer shows an error.", "Invoices"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model, packed again."""
    folder = tmp_path_factory.mktemp("packed") / "model"
    pack_model("splade-tiny", folder)
    return folder


def test_pytorch_gives_the_vectors_of_the_graph(packed: Path) -> None:
    expected = Encoder.load(packed).encode_documents(TEXTS).to_dense()
    found = Encoder.load(packed, device="torch").encode_documents(TEXTS).to_dense()
    assert np.count_nonzero(expected) > 50
    assert np.abs(found - expected).max() < 1e-3


def test_sentence_transformers_loads_the_export(packed: Path, tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    export_model(packed, tmp_path / "exported")
    model = SparseEncoder(str(tmp_path / "exported"), device="cpu", local_files_only=True)
    found = model.encode_document(TEXTS, convert_to_sparse_tensor=False).numpy()
    expected = Encoder.load(packed).encode_documents(TEXTS).to_dense()
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("name", ["lexpand-mini", "lexpand-tiny"])
def test_sentence_transformers_loads_the_exports_of_our_models(name: str, tmp_path: Path) -> None:
    """Their limits of terms are Lexpand's. Queries have both modes."""
    from sentence_transformers import SparseEncoder

    export_model(name, tmp_path / "exported")
    model = SparseEncoder(str(tmp_path / "exported"), device="cpu", local_files_only=True)
    encoder = Encoder.load(name)
    found = model.encode_document(TEXTS, convert_to_sparse_tensor=False).numpy()
    expected = encoder.encode_documents(TEXTS).to_dense()
    assert np.count_nonzero(expected) > 50
    assert np.abs(np.where(expected > 0, found, 0) - expected).max() < 1e-3
    found = model.encode_query(TEXTS, convert_to_sparse_tensor=False).numpy()
    expected = encoder.encode_queries(TEXTS).to_dense()
    assert np.count_nonzero(expected) > 50
    assert np.abs(np.where(expected > 0, found, 0) - expected).max() < 1e-3
    found = model.encode(TEXTS, task="lookup", convert_to_sparse_tensor=False).numpy()
    looked_up = Encoder.load(name, queries=QueryEncoding(mode="lookup"))
    assert np.abs(found - looked_up.encode_queries(TEXTS).to_dense()).max() < 1e-5


def test_an_export_with_two_query_modes_keeps_both_when_imported(tmp_path: Path) -> None:
    export_model("lexpand-mini", tmp_path / "exported")
    (tmp_path / "exported" / "contract.json").unlink()
    import_model(tmp_path / "exported", tmp_path / "imported", optimize=False)
    contract, expected = (
        Contract.load(folder) for folder in (tmp_path / "imported", find_folder("lexpand-mini"))
    )
    assert contract.query_mode is expected.query_mode is QueryMode.ENCODER
    assert contract.query_table is not None
    assert contract.query_table.sha256 == expected.query_table.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize("settings", [["lookup=true"], ["lookup=false"]])
def test_training_starts_from_a_model_with_two_query_modes(settings: list[str]) -> None:
    """With a table if the recipe looks queries up, and else with the encoder alone."""
    from lexpand.train.recipe import Recipe
    from lexpand.train.student import Student, make_student

    recipe = Recipe.load("small").with_settings(settings)
    student = Student(make_student(recipe, "lexpand-mini")).eval()
    assert (student.table is not None) == recipe.lookup == student.routed
    mode = "lookup" if recipe.lookup else "encoder"
    with torch.no_grad():
        found = student.queries(dict(student.model.preprocess(TEXTS, task="query"))).numpy()
    expected = Encoder.load("lexpand-mini", queries=QueryEncoding(mode=mode)).encode_queries(TEXTS)
    assert np.abs(np.where(expected.to_dense() > 0, found, 0) - expected.to_dense()).max() < 1e-3


def test_training_starts_from_a_packed_model(packed: Path) -> None:
    from lexpand.train.recipe import Recipe
    from lexpand.train.student import Student, make_student

    student = Student(make_student(Recipe.load("small"), packed)).eval()
    with torch.no_grad():
        found = student.documents(student.model.preprocess(TEXTS)).numpy()
    expected = Encoder.load(packed).encode_documents(TEXTS).to_dense()
    assert np.abs(found - expected).max() < 1e-3


def test_a_tensor_that_is_missing_is_named(packed: Path) -> None:
    from lexpand.encode.folder import ModelFolder
    from lexpand.encode.torch.body import TorchBody
    from lexpand.errors import ModelError

    folder = ModelFolder(packed)
    tensors = dict(folder.tensors)
    name = next(each for each in tensors if each.endswith("attention.self.query.weight"))
    del tensors[name]
    with pytest.raises(ModelError, match=rf"its weights lack '{name}'"):
        TorchBody(packed, folder._decoder(), "cpu", Dtype.FLOAT32, tensors)
