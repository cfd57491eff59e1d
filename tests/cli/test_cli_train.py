"""`lexpand train`, with the extra `train` and without it."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"query": f"q{i} printer", "positive": f"text {i} of the printer"} for i in range(8)]
    lines = [*map(json.dumps, rows), '{"query": "no positive"}']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_the_extra_is_named(run: Callable, data: Path, tmp_path: Path) -> None:
    error = run("train", "small", "--data", data, "--out", tmp_path / "m").error()
    assert error.endswith("training needs torch: pip install 'lexpand[train]'")


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_a_model_is_trained_and_used(shell: Callable, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    settings = [f"--set={each}" for each in ("steps=2", "batch_size=4", "max_tokens=16")]
    estimated = shell("train", "small", "--data", data, *settings, "--dry-run", "--json")
    assert json.loads(estimated.out)["documents_of_a_step"] == 4
    assert not model.exists()
    ran = shell("train", "small", "--data", data, "--out", model, *settings, "--report-every", 1)
    assert ran.code == 3, ran
    assert "step 2/2; loss " in ran.err
    assert f"{data}:9: a row must have `positive`, or `text`, got the fields query" in ran.err
    assert ran.out.startswith(f"{model} is trained: 2 steps on 8 examples in ")
    index = shell("index", data, tmp_path / "i", "--text-field", "positive", "--model", model)
    assert index.code in (0, 3), index
    assert shell("search", tmp_path / "i", "printer").code == 0


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_mistakes_are_named(shell: Callable, data: Path) -> None:
    ran = shell("train", "smal", "--data", data, "--out", "m")
    assert "there is no recipe 'smal': give a TOML file, or one of adapt, inference-free" in ran.err
    assert "give the folder of the model" in shell("train", "small", "--data", data).err
