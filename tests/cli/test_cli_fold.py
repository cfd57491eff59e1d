"""`lexpand model fold` makes the forms of a word in a cased vocabulary one term."""

from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_makers import cased_pieces, write_with

from lexpand.models import importing


def test_a_checkpoint_is_folded(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr(importing, "has_torch", lambda: False)
    plain = write_with(tmp_path / "plain", cased_pieces())
    ran = run("model", "fold", plain, tmp_path / "folded", columns=200)
    assert ran.code == 0
    assert ran.out.endswith(", with 15 terms instead of 21\n")
    found = run("model", "fold", plain, tmp_path / "again", "--no-optimize", "--json").json()
    assert (found["vocabulary_before"], found["vocabulary_size"]) == (21, 15)
    assert (found["model"], found["optimized"]) == ("again", False)
    assert "exists: give another" in run("model", "fold", plain, tmp_path / "folded").error()
    message = run("model", "fold", "splade-tiny", tmp_path / "tiny").error()
    assert "must have terms that differ only in case or in a space" in message
