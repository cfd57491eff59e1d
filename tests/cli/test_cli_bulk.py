"""`lexpand encode --on` and `lexpand import` of its folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six rows in three row groups, of which one has no text."""
    rows = [{"id": f"d{i}", "text": f"printer {i}"} for i in range(5)] + [{"id": "x", "text": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet", row_group_size=2)
    return tmp_path / "p.parquet"


def test_a_folder_of_parts_is_written_resumed_and_imported(
    run: Callable, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["encode", source, "--output", out, "--on", "here", "--shard-rows", 2]
    done = run(*arguments, "--json")
    assert done.code == 3, done
    facts = json.loads(done.out)
    assert (facts["shards"], facts["documents"], facts["refused"]) == (3, 5, 1)
    assert "p.parquet, rows from 4: " in facts["listed"][0]
    (out / "part-000000.parquet").unlink()
    again = run(*arguments)
    assert again.code == 3 and "has 3 parts: 2 documents encoded now" in again.out
    assert "refused" in again.err and "rows from 4" in again.err  # those of the first run too
    assert "has 2 of 3 parts" in again.err
    imported = run("import", out, tmp_path / "p.index")
    assert imported.code == 0 and "5 documents added" in imported.out
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = run("import", empty, tmp_path / "q.index")
    assert refused.code == 1 and "must be a vector file or a folder of Parquet" in refused.err


def test_what_does_not_fit_is_refused(run: Callable, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for option in ("--force", "--cache", "--stats", "--format"):
        value = {"--force": [], "--format": ["npz"]}.get(option, [tmp_path / "x"])
        refused = run("encode", source, "--output", out, "--on", "here", option, *value)
        assert refused.code == 2 and "--on writes Parquet" in refused.err, refused
    refused = run("encode", "some text", "--on", "here")
    assert refused.code == 2 and "need --output" in refused.err
    missing = run("encode", tmp_path / "none", "--output", out, "--on", "here")
    assert missing.code == 1 and "none" in missing.err and not out.exists()
