"""Fixtures that the tests of training share."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 32 pairs, four for each of eight words."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    words = ["printer", "invoice", "holiday", "account", "password", "crash", "phone", "screen"]
    rows = [
        {"query": f"{word} help {i}", "positive": f"How to fix the {word}, part {i}."}
        for i in range(4)
        for word in words
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
