"""The commands `lexpand export` and `lexpand import`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lexpand import Index


@pytest.mark.parametrize("name", ["v.jsonl", "v.jsonl.gz", "v.npz", "v.parquet", "v.ciff"])
def test_an_exported_index_is_imported_again(
    run: Callable, pages_index: Path, tmp_path: Path, name: str
) -> None:
    ran = run("export", pages_index, tmp_path / name, columns=400)
    assert (ran.code, ran.err) == (0, "")
    assert f"{tmp_path / name} has 4 documents with " in ran.out
    ran = run("import", tmp_path / name, tmp_path / "new", columns=400)
    assert (ran.code, ran.err) == (0, "")
    assert "4 documents added in" in ran.out
    again = run("import", tmp_path / name, tmp_path / "new", "--json")
    assert again.json() | {"seconds": 0} == {
        "added": 0,
        "unchanged": 4,
        "refused": [],
        "empty": 0,
        "documents": 4,
        "seconds": 0,
    }
    assert run("check", tmp_path / "new").code == 0
    if name in ("v.npz", "v.parquet"):
        found = run("search", tmp_path / "new", "the printer does not print", "--json").json()
        assert found["hits"][0]["doc_id"] == "printer"


def test_export_rounds_weights_by_a_scale(run: Callable, pages_index: Path, tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    report = run(
        "export", pages_index, target, "--format", "jsonl", "--scale", "1", "--json"
    ).json()
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert report == {
        "documents": 4,
        "weights": sum(len(row["vector"]) for row in rows),
        "dropped": report["dropped"],
        "empty": 0,
        "target": str(target),
        "bytes": target.stat().st_size,
    }
    assert report["dropped"] > 0
    said = run("export", pages_index, target, "--format", "jsonl", "--scale", "1", "--force").out
    assert f"{report['dropped']:,} weights dropped, which round to 0" in said


def test_a_target_is_replaced_only_with_force(
    run: Callable, pages_index: Path, tmp_path: Path
) -> None:
    target = tmp_path / "v.ciff"
    target.write_text("mine")
    assert (
        "already exists: choose another name, or replace it with overwrite=True (--force on the"
        " command line)" in run("export", pages_index, target).error()
    )
    assert target.read_text() == "mine"
    assert run("export", pages_index, target, "--force").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["v.ciff"]


def test_refused_rows_are_listed_with_their_place(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    path = rows_file({"id": "a", "vector": {"x": 1}}, {"id": "b", "vector": {"x": -1}})
    ran = run("import", path, tmp_path / "new", columns=400)
    assert ran.code == 3
    assert f"{path}:2 (id 'b'): the weight of the term 'x' must be a finite number" in ran.err
    ran = run("import", path, tmp_path / "newer", "--json")
    assert (ran.code, ran.json()["added"]) == (3, 1)
    assert ran.json()["refused"][0]["place"] == f"{path}:2"


def test_errors_are_one_line(
    run: Callable, pages_index: Path, rows_file: Callable, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pages_index, copy)
    path = rows_file({"id": "a", "vector": {"no such token": 1}})
    assert (
        "has terms that the index's vocabulary lacks (1, the first 'no such token')"
        in run("import", path, copy).error()
    )
    with Index.open(copy) as index:
        assert len(index) == 4
    assert "does not exist" in run("import", tmp_path / "absent.ciff", copy).error()
    assert "unknown from its suffix (.txt)" in run("export", copy, tmp_path / "v.txt").error()
    assert (
        "npz stores weights unscaled"
        in run("export", copy, tmp_path / "v.npz", "--scale", "2").error()
    )
    assert "is not an index" in run("export", tmp_path / "absent", tmp_path / "v.npz").error()
    assert run("export", copy, tmp_path / "v", "--format", "csv").code == 2


def test_text_queries_need_a_known_model(
    run: Callable, rows_file: Callable, tmp_path: Path
) -> None:
    run("import", rows_file({"id": "a", "vector": {"x": 1}}), tmp_path / "new")
    assert "holds vectors of imported:docs.jsonl" in run("search", tmp_path / "new", "x").error()
