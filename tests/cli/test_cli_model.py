"""`lexpand model` converts a checkpoint to a folder for `--model`."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Encoder
from lexpand.encode.folder import find_folder
from lexpand.models import importing

ANSWER = ["--name", "mine", "--license", "MIT", "--origin", "a test"]


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "has_torch", lambda: False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The packaged model without Lexpand's files, as its author published it."""
    folder = Path(shutil.copytree(find_folder("default"), tmp_path / "checkpoint"))
    (folder / "contract.json").unlink()
    shutil.rmtree(folder / "onnx")
    return folder


def test_an_imported_model_encodes_like_the_packaged_model(
    run: Callable, checkpoint: Path, tmp_path: Path, encoder: Encoder
) -> None:
    imported = tmp_path / "my model"
    ran = run("model", "import", checkpoint, imported, *ANSWER)
    assert ran.code == 0 and ran.out.startswith(f"{imported} is the model mine, ")
    texts = ["automobile accident injury", "reset my login"]
    found, expected = (model.encode_queries(texts) for model in (Encoder.load(imported), encoder))
    assert (found.terms == expected.terms).all() and (found.weights == expected.weights).all()
    checked = run("model", "check", imported, "--json").json()
    assert checked["pairs"] == 8 and checked["difference"] < 1e-6
    facts = run("model", "info", imported, "--json").json()
    assert (facts["model"], facts["license"], facts["architecture"]) == ("mine", "MIT", "bert")
    assert facts["origin"] == "imported from checkpoint; a test"
    assert (facts["graph"], facts["screening"], facts["query_mode"]) == (True, True, "encoder")
    again = run("model", "import", checkpoint, imported, "--force", "--json")
    assert again.json()["model"] == "my model" and again.json()["optimized"]
    assert (
        "exists: give another folder, or replace it with force=True (--force on"
        in run("model", "import", checkpoint, imported).error()
    )


def test_a_model_without_a_graph_needs_optimize(
    run: Callable, checkpoint: Path, tmp_path: Path
) -> None:
    imported = tmp_path / "imported"
    ran = run(
        "model",
        "import",
        checkpoint,
        imported,
        "--no-optimize",
        "--pooling",
        "sum",
        "--max-length",
        128,
    )
    assert f"it has no graph yet: run lexpand model optimize {imported}" in ran.out
    assert "lexpand model optimize" in run("encode", "heart", "--model", imported).error()
    assert (
        run("model", "optimize", imported).out == f"{imported} has onnx/body.onnx and a screening\n"
    )
    facts = run("model", "info", imported, "--json").json()
    assert (facts["pooling"], facts["document_max_tokens"]) == ("sum", 128)
    assert "no golden pairs" in run("model", "check", imported).error()


def test_info_describes_the_packaged_model(run: Callable) -> None:
    lines = run("model", "info", "default", columns=200).out.splitlines()
    assert "model                splade-tiny" in lines
    assert "vocabulary size      30,522" in lines
    assert "graph                yes" in lines
    assert "8 golden pairs" in run("model", "check", "default").out


def test_a_failed_import_prints_one_line(run: Callable, checkpoint: Path, tmp_path: Path) -> None:
    assert "no folder 'nowhere'" in run("model", "import", "nowhere", tmp_path / "imported").error()
    (checkpoint / "config.json").unlink()
    ran = run("model", "import", checkpoint, tmp_path / "imported")
    assert (ran.code, ran.out) == (1, "")
    assert "has no config.json: copy the checkpoint again" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_weights_in_pytorch_format_need_torch(
    run: Callable, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert (
        "pip install 'lexpand[torch]'"
        in run("model", "import", checkpoint, tmp_path / "imported").err
    )


def test_model_without_a_command_shows_help(run: Callable) -> None:
    ran = run("model")
    assert ran.code == 2
    for name in ("import", "optimize", "check", "info"):
        assert f" {name} " in ran.out
