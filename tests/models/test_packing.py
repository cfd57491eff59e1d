"""`tools/pack_model.py`: weights in 8 bits, and the model that they unpack to."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lexpand import Encoder
from lexpand.encode.folder import find_folder

pytest.importorskip("onnx")

TOOL = Path(__file__).parents[2] / "tools" / "pack_model.py"
spec = importlib.util.spec_from_file_location("pack_model", TOOL)
assert spec is not None and spec.loader is not None
pack_model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack_model)


def test_a_row_is_rounded_by_at_most_half_a_step() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    rows[2] = 0
    integers, scale = pack_model.rounded(rows)
    assert (
        integers.dtype == np.int8
        and np.abs(integers[[0, 1, 3, 4]]).max(axis=1).tolist() == [127] * 4
    )
    assert (np.abs(integers * scale[:, None] - rows) <= scale[:, None] / 2 * 1.0001).all()


def test_a_model_is_packed_and_unpacked(tmp_path: Path) -> None:
    folder = find_folder("default")
    pack_model.pack(folder, tmp_path / "packed")
    packed = tmp_path / "packed" / "model.q8.safetensors"
    assert packed.stat().st_size < 0.3 * (folder / "model.safetensors").stat().st_size
    pack_model.unpack(tmp_path / "packed", tmp_path / "model")
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "model"))
    shared = before.keys() & after.keys()
    assert len(shared) >= 30
    assert all(np.abs(before[name] - after[name]).max() < 0.05 for name in shared)
    texts = ["The printer does not print."]
    ours, theirs = (
        Encoder.load(model).encode_documents(texts).as_dict(0)
        for model in ("default", tmp_path / "model")
    )
    terms = ours.keys() & theirs.keys()
    norms = [np.sqrt(sum(weight**2 for weight in each.values())) for each in (ours, theirs)]
    assert sum(ours[term] * theirs[term] for term in terms) / (norms[0] * norms[1]) > 0.98
