"""Checkpoints of every architecture against sentence-transformers' own vectors; needs the extra `torch`."""

from pathlib import Path

import numpy as np
import pytest
from checkpoint_makers import TEXTS, load, save_model, save_sparse_encoder, vectors  # noqa: F401

from lexpand import Encoder
from lexpand.encode.checkpoints import check_model, import_model

pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of torch, transformers and sentence-transformers, in several versions
]

ARCHITECTURES = ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"]


def assert_same(folder: Path, expected: np.ndarray, role: str = "document") -> None:
    """Lexpand's vectors, and those of sentence-transformers on what Lexpand wrote."""
    from sentence_transformers import SparseEncoder

    encoder = Encoder.load(folder)
    found = encoder.encode_documents(TEXTS) if role == "document" else encoder.encode_queries(TEXTS)
    assert np.count_nonzero(expected) > 4
    assert np.abs(found.to_dense() - expected).max() < 1e-4
    again = SparseEncoder(str(folder), device="cpu", local_files_only=True)
    assert np.abs(vectors(again, TEXTS, role) - expected).max() < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plain_folder(tmp_path: Path, architecture: str) -> None:
    plain = save_model(tmp_path / "plain", architecture)
    done = import_model(plain, tmp_path / "made")
    assert done.optimized and done.reference == "torch" and done.difference is not None
    assert_same(tmp_path / "made", vectors(load(plain), TEXTS))
    assert check_model(tmp_path / "made").difference < 1e-4
