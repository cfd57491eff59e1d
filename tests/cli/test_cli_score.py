"""`lexpand score`: scores of one teacher and of several, resumption, and refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cli_runs import COMMAND, write_rows
from reranker_makers import Weights, write_model

from lexpand.train import scoring
from lexpand.train.score_cache import Pair, ScoreCache

pytest.importorskip("onnx")

ROWS = [
    {"query": "how the printer", "positive": "turn the printer", "negatives": ["leave", "month"]},
    {"query": "leave", "title": "the manager", "text": "of the account", "id": "x"},
]
PAIRS = 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", ROWS)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return write_model(tmp_path / "cross", Weights())


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return write_model(tmp_path / "dense", Weights(), output="hidden")


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """The pairs that cross-encoders have scored."""
    pairs: list[Pair] = []
    score = scoring._Pairs.score

    def recording(self: scoring._Pairs, asked: Sequence[Pair]) -> Sequence[float]:
        pairs.extend(asked)
        return score(self, asked)

    monkeypatch.setattr(scoring._Pairs, "score", recording)
    return pairs


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_scores_are_written(run: Callable, data: Path, teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    ran = run("score", data, "--teacher", teacher, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert f"{out} has 2 rows: 4 pairs scored in " in ran.out
    assert "the positive scores highest in " in ran.out
    first, second = read(out)
    model = scoring.CrossEncoder.load(teacher)
    expected = model.score(ROWS[0]["query"], [ROWS[0]["positive"], *ROWS[0]["negatives"]])
    assert first["scores"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert all(score == round(score, 5) for score in first["scores"])
    assert second.pop("scores")
    positive = "the manager of the account"
    assert second == {"query": "leave", "positive": positive, "negatives": [], "id": "x"}
    assert not list(tmp_path.glob("*.partial*"))


def test_facts_as_json(run: Callable, data: Path, teacher: Path, tmp_path: Path) -> None:
    facts = run("score", data, "--teacher", teacher, "--out", tmp_path / "o.jsonl", "--json").json()
    assert {
        "rows": 2,
        "pairs": PAIRS,
        "scored": PAIRS,
        "with_negatives": 1,
    }.items() <= facts.items()
    assert facts["positive_first"] in (0, 1)
    assert facts["refused"] == []


def test_teachers_join(
    run: Callable, data: Path, teacher: Path, dense: Path, tmp_path: Path
) -> None:
    one, two, three = (tmp_path / f"{name}.jsonl" for name in ("one", "two", "three"))
    assert run("score", data, "--teacher", teacher, "--out", one).code == 0
    settings = ("--query-prefix", "the ", "--document-prefix", "of ", "--pooling", "cls")
    ran = run("score", one, "--teacher", dense, "--add", "--out", two, *settings)
    assert ran.code == 0, ran
    scores = read(two)[0]["scores"]
    assert list(scores) == ["first", "dense"]
    assert scores["first"] == read(one)[0]["scores"]
    assert all(-1 <= score <= 1 for score in scores["dense"])
    ran = run("score", two, "--teacher", teacher, "--add", "--name", "again", "--out", three)
    assert list(read(three)[0]["scores"]) == ["first", "dense", "again"]
    assert run("score", two, "--teacher", teacher, "--out", three, "--force").code == 0
    assert read(three)[0]["scores"] == scores["first"]
    error = run(
        "score", one, "--teacher", teacher, "--add", "--name", "first", "--out", two, "--force"
    ).error()
    assert "choose another with --name" in error


def test_settings_of_a_teacher_change_its_scores(
    run: Callable, data: Path, dense: Path, tmp_path: Path
) -> None:
    cache, found = tmp_path / "cache", []
    for settings in (
        (),
        ("--query-prefix", "the "),
        ("--document-prefix", "of "),
        ("--pooling", "cls"),
        ("--max-tokens", 8),
    ):
        out = tmp_path / "o.jsonl"
        options = ("--cache", cache, "--force", "--threads", 1, "--json", *settings)
        ran = run("score", data, "--teacher", dense, "--out", out, *options)
        assert ran.json()["scored"] == PAIRS
        found.append(str(read(out)))
    assert len(set(found)) >= 4  # 8 tokens may hold all of these texts


def test_the_kind_of_an_ambiguous_graph_is_named(run: Callable, data: Path, tmp_path: Path) -> None:
    both = write_model(tmp_path / "both", Weights(), output="both")
    out = tmp_path / "o.jsonl"
    error = run("score", data, "--teacher", both, "--out", out).error()
    assert "name the kind (--kind cross-encoder or --kind dense)" in error
    assert not list(tmp_path.glob("*.partial*"))
    assert run("score", data, "--teacher", both, "--out", out, "--kind", "dense").code == 0
    assert max(read(out)[0]["scores"]) <= 1


def test_an_interrupted_run_continues(
    run: Callable,
    data: Path,
    teacher: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scored: list[Pair],
) -> None:
    monkeypatch.setattr(scoring, "_BATCH", 2)
    recording = scoring._Pairs.score

    def interrupted(self: scoring._Pairs, pairs: Sequence[Pair]) -> Sequence[float]:
        if scored:
            raise KeyboardInterrupt
        return recording(self, pairs)

    out = tmp_path / "o.jsonl"
    with data.open("a") as file:
        file.write("{}\n")
    with monkeypatch.context() as patch:
        patch.setattr(scoring._Pairs, "score", interrupted)
        ran = run("score", data, "--teacher", teacher, "--out", out)
    assert (ran.code, ran.out) == (130, "")
    assert f"interrupted: {out}.partial has 2 scores; run the same command again" in ran.err
    assert "1 row refused:" in ran.err
    assert not out.exists()
    ran = run("score", data, "--teacher", teacher, "--out", out)
    assert ran.code == 3
    assert f"continuing from {out}.partial" in ran.err
    assert "2 pairs scored" in ran.out and "2 from the cache" in ran.out
    assert len(scored) == len(set(scored)) == PAIRS
    assert not list(tmp_path.glob("*.partial*"))


def test_an_interruption_before_the_first_score_keeps_nothing(
    run: Callable, data: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring._Pairs, "score", interrupted)
    ran = run("score", data, "--teacher", teacher, "--out", tmp_path / "o.jsonl")
    assert (ran.code, ran.err) == (130, "interrupted: nothing was scored yet\n")
    assert not list(tmp_path.glob("*.partial*"))


SLOW = """
import sys, time
from lexpand.cli import main
from lexpand.train import scoring
scoring._BATCH = 4
score = scoring._Pairs.score
def slow(self, pairs):
    time.sleep(0.2)
    return score(self, pairs)
scoring._Pairs.score = slow
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_killed_run_continues_without_scoring_again(
    run: Callable, teacher: Path, tmp_path: Path, scored: list[Pair]
) -> None:
    rows = [{"query": f"how {i}", "positive": f"turn {i} off"} for i in range(40)]
    data, out = write_rows(tmp_path / "many.jsonl", rows), tmp_path / "o.jsonl"
    partial = tmp_path / "o.jsonl.partial"
    command = ["score", str(data), "--teacher", str(teacher), "--out", str(out)]
    with subprocess.Popen([sys.executable, "-c", SLOW, *command]) as process:
        kept = 0
        while kept < 8:
            assert process.poll() is None
            time.sleep(0.05)
            if partial.exists():
                with ScoreCache(partial) as cache:
                    kept = len(cache)
        process.send_signal(signal.SIGKILL)
    with ScoreCache(partial) as cache:
        kept = len(cache)
    assert not out.exists()
    assert 8 <= kept < 40
    assert run(*command).code == 0
    assert len(scored) == 40 - kept
    assert len(read(out)) == 40


def test_a_cache_is_kept_and_shared(
    run: Callable, data: Path, teacher: Path, tmp_path: Path, scored: list[Pair]
) -> None:
    cache = ("--cache", tmp_path / "cache")
    for name, kept in (("a", 0), ("b", PAIRS)):
        ran = run("score", data, "--teacher", teacher, "--out", tmp_path / name, *cache, "--json")
        assert ran.json()["scored"] == PAIRS - kept
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(scored) == PAIRS
    assert (tmp_path / "cache").exists()


def test_unusable_rows_are_listed(run: Callable, data: Path, teacher: Path, tmp_path: Path) -> None:
    with data.open("a") as file:
        file.write('{"query": "no positive"}\n')
    out = tmp_path / "o.jsonl"
    ran = run("score", data, "--teacher", teacher, "--out", out, "--json")
    assert ran.code == 3
    (refused,) = ran.json()["refused"]
    assert refused["place"] == f"{data}:3"
    assert len(read(out)) == 2


def test_a_teacher_that_fails_names_the_pair(
    run: Callable, data: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring._Pairs, "score", lambda _, pairs: [float("nan")] * len(pairs))
    error = run("score", data, "--teacher", teacher, "--out", tmp_path / "o.jsonl").error()
    assert "must be finite, got nan for the query 'leave'" in error


def test_the_output_is_checked_first(
    run: Callable, data: Path, teacher: Path, tmp_path: Path
) -> None:
    def error(source: Path, out: Path, *options: str) -> str:
        return run("score", source, "--teacher", teacher, "--out", out, *options).error()

    exists = tmp_path / "exists.jsonl"
    exists.write_text("")
    assert "already exists: choose another name, or replace it with --force" in error(data, exists)
    assert "already exists" in error(data, teacher, "--force")
    assert "is read itself: choose another file" in error(data, data, "--force")
    inside = tmp_path / "folder" / "o.jsonl"
    assert "must exist to write o.jsonl: make it first" in error(data, inside)
    inside.parent.mkdir()
    write_rows(inside.parent / "rows.jsonl", ROWS)
    assert "must be outside of" in error(inside.parent, inside)
    assert run("score", data, "--teacher", teacher, "--out", exists, "--force").code == 0
    assert len(read(exists)) == 2


def test_no_usable_row_is_an_error(run: Callable, teacher: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{"query": "q"}])
    ran = run("score", data, "--teacher", teacher, "--out", tmp_path / "o.jsonl")
    assert (ran.code, ran.out) == (1, "")
    assert "must have at least one usable row of query and positive, got none" in ran.err
    assert "1 row refused" in ran.err


def test_a_teacher_that_does_not_exist_is_refused(
    run: Callable, data: Path, tmp_path: Path
) -> None:
    error = run("score", data, "--teacher", "nowhere", "--out", tmp_path / "o.jsonl").error()
    assert "no model at 'nowhere'" in error
    assert not list(tmp_path.glob("*.partial*"))


def test_scoring_and_mining_import_no_torch(data: Path, teacher: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom lexpand.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'sentence_transformers', 'transformers'} & set(sys.modules)\n"
    )
    for command in ("score", "mine"):
        arguments = [command, data, "--teacher", teacher, "--out", tmp_path / command]
        subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)


REAL = Path(os.environ.get("LEXPAND_CROSS_ENCODER", ""))


@pytest.mark.skipif(
    not (REAL / "model.onnx").exists(), reason="LEXPAND_CROSS_ENCODER names no folder of a model"
)
def test_a_real_cross_encoder_prefers_the_answer(run: Callable, tmp_path: Path) -> None:
    row = {
        "query": "how do I reset my password",
        "positive": "Open the sign-in page and choose 'I cannot get in' to set a new password.",
        "negatives": ["Invoices are sent by e-mail on the first day of each month."],
    }
    data, out = write_rows(tmp_path / "rows.jsonl", [row]), tmp_path / "o.jsonl"
    assert run("score", data, "--teacher", REAL, "--out", out).code == 0
    positive, negative = read(out)[0]["scores"]
    assert positive > negative + 1


def test_the_installed_command_scores(data: Path, teacher: Path, tmp_path: Path) -> None:
    command = [COMMAND, "score", data, "--teacher", teacher, "--out", tmp_path / "o.jsonl"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert len(read(tmp_path / "o.jsonl")) == 2
