"""`lexpand tune`: what it prints, which files it writes, and when it writes none."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from cli_runs import Ran

import lexpand
from lexpand import Encoder
from lexpand.experiments import tuning
from lexpand.experiments.tuning_space import candidates
from lexpand.search import Pipeline
from lexpand.search.trials import Trials

Run = Callable[..., Ran]
NAMES = ["".join(each) for each in permutations(("zor", "bim", "flex", "tran", "quo"))][:60]


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(default: Pipeline, **settings: object) -> list[Pipeline]:
        plain = [each for each in candidates(default, **settings) if each.feedback is None]
        return [*plain[:3], *plain[3::9]]

    monkeypatch.setattr(tuning, "candidates", few)
    monkeypatch.setattr(tuning, "_ROUNDS", 200)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """An index of names that only their words tell apart."""
    path = tmp_path_factory.mktemp("items") / "items.index"
    rows = [{"id": name, "text": f"The {name} module is installed here."} for name in NAMES]
    lexpand.create(path, rows).close()
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "questions.csv"
    rows = [f"install the {name} module,{name}" for name in NAMES[:30]]
    path.write_text("\n".join(["question,document", *rows, ""]), encoding="utf-8")
    return path


def test_a_better_pipeline_is_written(run: Run, items: Path, table: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "tuned.toml", tmp_path / "tuning.html"
    done = run(
        "tune", items, table, "--pipeline", "splade", "--out", out, "--report", report, columns=200
    )
    assert done.code == 0, done
    assert "better: " in done.out and "p of the whole choice is" in done.out
    assert f"wrote {out}: use it with --pipeline {out}" in done.out
    assert "in use: splade\n" in done.out and "* no other kind is both" in done.out
    assert "<svg" in report.read_text(encoding="utf-8")
    assert Pipeline.load(out).parts
    means = {
        name: run(
            "evaluate", items, table, "--pipeline", name, "--no-save", "--no-cost", "--json"
        ).json()["runs"][0]["measures"]["nDCG@10"]
        for name in ("splade", str(out))
    }
    assert means[str(out)] > means["splade"] + 0.1
    found = run("tune", items, table, "--pipeline", "splade", "--json").json()
    assert found["accepted"] and found["pipeline"] == out.read_text() and found["out"] is None


def test_without_a_file_the_pipeline_is_printed(run: Run, items: Path, table: Path) -> None:
    assert "[[parts]]" in run("tune", items, table, "--pipeline", "splade").out


def test_nothing_is_written_if_nothing_is_better(
    run: Run, items: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuned.toml"
    done = run("tune", items, table, "--pipeline", "bm25", "--out", out, columns=200)
    assert done.code == 0 and not out.exists()
    assert "kept: " in done.out and "the pipeline in use stays" in done.out
    assert f"did not write {out} (--always does)" in done.out
    done = run("tune", items, table, "--pipeline", "bm25", "--out", out, "--always")
    assert done.code == 0 and Pipeline.load(out) == Pipeline.load("bm25")


def test_too_few_queries_are_no_error(run: Run, items: Path, table: Path, tmp_path: Path) -> None:
    table.write_text("question,document\nzorbim,zorbimflextranquo\n", encoding="utf-8")
    done = run("tune", items, table, "--out", tmp_path / "p.toml")
    assert done.code == 0 and not (tmp_path / "p.toml").exists()
    assert "tuning needs at least 20 queries with a relevant document, got 1" in done.out
    assert run("tune", items, table, "--json").json()["comparison"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "nDCG@x"), "unknown measure 'nDCG@x'"),
        (("--budget-ms", "0"), "budget_ms must be finite and > 0, got 0"),
        (("--pipeline", "none"), "pipeline must be one of hybrid"),
        (("--out", "missing/p.toml"), "--out must be a file in an existing folder, got 'missing/"),
    ],
)
def test_invalid_options_are_refused(
    run: Run, items: Path, table: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in run("tune", items, table, *arguments).error()


def test_refused_rows_are_listed(run: Run, items: Path, table: Path) -> None:
    head, *rows = table.read_text().splitlines()
    lines = [f"{head},grade", *(f"{row},1" for row in rows), f"install,{NAMES[0]},x", ""]
    table.write_text("\n".join(lines), encoding="utf-8")
    done = run("tune", items, table)
    assert done.code == 3 and "1 row refused" in done.err


def test_an_interruption_leaves_no_file(
    run: Run, items: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = Trials.matches, []

    def interrupted(self: Trials, pipeline: Pipeline, k: int) -> object:
        calls.append(pipeline)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(self, pipeline, k)

    monkeypatch.setattr(Trials, "matches", interrupted)
    options = ("--pipeline", "splade", "--out", tmp_path / "p.toml", "--always")
    done = run("tune", items, table, *options)
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == [table]
