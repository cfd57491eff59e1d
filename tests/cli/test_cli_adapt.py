"""`lexpand adapt` and `lexpand model graft` on the command line."""

import importlib.util
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from lexpand import read_documents
from lexpand.data.collections import collection_path

HAS_TORCH = importlib.util.find_spec("torch") is not None
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "pages.jsonl"
    documents = islice(read_documents(collection_path("scifact")), 60)
    rows = [
        json.dumps({"id": each.doc_id, "title": each.title, "text": each.text})
        for each in documents
    ]
    path.write_text("\n".join([*rows, '{"id": "x"}']) + "\n", encoding="utf-8")
    return path


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
@pytest.mark.parametrize(
    "command",
    [["adapt", "pages.jsonl", "--out", "m"], ["model", "graft", "b", "m", "--texts", "p"]],
)
def test_without_torch_the_extra_is_named(run: Callable, command: list[str]) -> None:
    assert run(*command).error().endswith("training needs torch: pip install 'lexpand[train]'")


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_a_model_that_is_not_better_is_refused(
    shell: Callable, source: Path, tmp_path: Path
) -> None:
    general = tmp_path / "general"
    (general / "qrels").mkdir(parents=True)
    documents = list(islice(read_documents(source, on_bad_row=lambda _: None), 20))
    lines = [json.dumps({"_id": each.doc_id, "text": each.text}) for each in documents]
    (general / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [json.dumps({"_id": each.doc_id, "text": each.title}) for each in documents]
    (general / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    judged = [f"{each.doc_id}\t{each.doc_id}\t1" for each in documents]
    table = "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n"
    (general / "qrels" / "test.tsv").write_text(table, encoding="utf-8")
    settings = [f"--set={each}" for each in ("steps=1", "batch_size=8", "learning_rate=1e-9")]
    ran = shell(
        "adapt",
        source,
        "--out",
        tmp_path / "m",
        "--general",
        general,
        *settings,
        "--set=max_tokens=32",
    )
    assert ran.code == 1, ran
    assert "the new model is refused: not significantly better on your documents" in ran.out
    assert "general collection: " in ran.out
    assert f"{source}:61 (id 'x'): " in ran.err
    assert not (tmp_path / "m").exists()
    report = json.loads((tmp_path / "m.report.json").read_text(encoding="utf-8"))
    assert report["documents"] == 60
