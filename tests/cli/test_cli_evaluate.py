"""The commands `lexpand evaluate`, `compare`, `runs` and `gate`."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Ran

Run = Callable[..., Ran]

TABLE = (
    "question,document,grade\nget in,recovery,2\nbill by mail,invoice,1\nturn it off,printer,1\n"
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default store is in the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "questions.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def evaluated(run: Run, pages_index: Path, table: Path, store: Path) -> Path:
    """A store with the runs `a` and `b` of the pipeline splade."""
    for name in ("a", "b"):
        done = run("evaluate", pages_index, table, "--store", store, "--name", name)
        assert done.code == 0, done
    return store


def test_evaluate_prints_measures_cost_and_what_counts(
    run: Run, pages_index: Path, table: Path, store: Path
) -> None:
    done = run("evaluate", pages_index, table, "--store", store, "-m", "RR@10", "-m", "P@1")
    assert done.code == 0
    head, row = done.out.splitlines()[:2]
    assert head.split()[:4] == ["run", "RR@10", "P@1", "p50"]
    assert row.split()[0] == "splade" and row.split()[1] == "1.0000"
    assert "3 queries count, with up to 100 documents of each" in done.out
    assert "is run" in done.out


def test_per_query_values_are_printed(run: Run, pages_index: Path, table: Path) -> None:
    done = run("evaluate", pages_index, table, "--no-save", "--no-cost", "-q")
    assert "bill by mail" in done.out and "q2" in done.out


def test_json_has_everything(run: Run, pages_index: Path, table: Path, store: Path) -> None:
    found = run("evaluate", pages_index, table, "--store", store, "--json").json()
    (only,) = found["runs"]
    assert only["measures"]["RR@10"] == 1 and only["values"]["RR@10"] == {
        "q1": 1.0,
        "q2": 1.0,
        "q3": 1.0,
    }
    assert (store / only["run_id"] / "card.json").is_file()
    assert only["cost"]["total_ms"]["p50"] > 0 and only["machine"]["cores"] >= 1


def test_nothing_is_written_without_saving(
    run: Run, pages_index: Path, table: Path, store: Path
) -> None:
    assert run("evaluate", pages_index, table, "--no-save", "--store", store).code == 0
    assert not store.exists()


def test_bad_rows_are_listed_and_the_others_count(
    run: Run, pages_index: Path, table: Path, store: Path
) -> None:
    table.write_text(TABLE + "no document,,1\nbad grade,crash,often\n", encoding="utf-8")
    done = run("evaluate", pages_index, table, "--store", store)
    assert done.code == 3
    assert "3 queries count" in done.out and "2 rows refused:" in done.err
    assert "questions.csv:5" in done.err and "questions.csv:6" in done.err


def test_a_run_of_another_system_is_evaluated_and_compared(
    run: Run, evaluated: Path, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "es.trec"
    path.write_text("q1 Q0 recovery 1 2.0 es\nq2 Q0 crash 1 3.0 es\nq2 Q0 invoice 2 1.0 es\n")
    done = run("evaluate", path, table, "--run", "--store", evaluated, "-m", "RR@10")
    assert done.code == 0 and "0.5000" in done.out
    assert "1 query found no document and counts 0: q3" in done.out
    compared = run("compare", "a", path, "--store", evaluated, "-m", "RR@10", "--json").json()
    assert compared["comparisons"][0]["after"] == 0.5
    named = run("compare", "a", "es", "--store", evaluated, "-m", "RR@10")
    assert "no terms: the run 'es' was made by another system" in named.out


def test_a_run_with_a_document_twice_or_a_nan_is_refused(
    run: Run, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.trec"
    path.write_text("q1 Q0 a 1 2.0 es\nq1 Q0 a 2 1.0 es\n")
    assert (
        "bad.trec:2 (id 'a'): the document is in the ranking of query 'q1' twice"
        in run("evaluate", path, table, "--run").error()
    )
    path.write_text("q1 Q0 a 1 nan es\n")
    assert (
        "the score must be a finite number, got 'nan'"
        in run("evaluate", path, table, "--run").error()
    )


def test_a_table_without_judgments_is_refused(run: Run, pages_index: Path, table: Path) -> None:
    table.write_text("question,document,grade\n", encoding="utf-8")
    assert "questions.csv" in run("evaluate", pages_index, table).error()


def test_one_judged_query_can_be_evaluated_but_not_compared(
    run: Run, pages_index: Path, table: Path, store: Path
) -> None:
    table.write_text("question,document\nget in,recovery\n", encoding="utf-8")
    for name in ("a", "b"):
        assert run("evaluate", pages_index, table, "--store", store, "--name", name).code == 0
    assert "at least two" in run("compare", "a", "b", "--store", store).error()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "nDCG@x"), "unknown measure 'nDCG@x'"),
        (("--name", "my run"), "the name of a run must have 1 to 64 letters"),
        (("--pipeline", "none"), "pipeline must be one of hybrid"),
    ],
)
def test_invalid_options_are_refused(
    run: Run, pages_index: Path, table: Path, store: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in run("evaluate", pages_index, table, "--store", store, *arguments).error()


def test_compare_prints_p_values_and_reports(run: Run, evaluated: Path, tmp_path: Path) -> None:
    for suffix in ("html", "md", "json"):
        report = tmp_path / f"report.{suffix}"
        done = run("compare", "a", "b", "--store", evaluated, "--report", report)
        assert done.code == 0 and "no difference shown" in done.out
        assert report.stat().st_size > 300
    assert json.loads(report.read_text())["comparisons"][0]["p"] == 1
    assert "differ: nothing that the cards record" in done.err
    message = run("compare", "a", "b", "--store", evaluated, "--report", tmp_path / "r.pdf").error()
    assert "a report must be a .html, .md or .json file" in message


def test_a_run_is_not_compared_with_itself(run: Run, evaluated: Path) -> None:
    assert "is the run" in run("compare", "b", "last", "--store", evaluated).error()


def test_options_of_searching_are_refused_for_a_run_file(
    run: Run, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "es.trec"
    path.write_text("q1 Q0 recovery 1 2.0 es\n")
    for option in (("-k", "5"), ("--pipeline", "bm25"), ("--rules", "none.toml")):
        done = run("evaluate", path, table, "--run", *option)
        assert done.code == 2 and "a run file has its rankings already" in done.err


def test_swapped_arguments_are_noticed(run: Run, pages_index: Path, table: Path) -> None:
    assert "the order is INDEX QUERIES QRELS" in run("evaluate", table, pages_index).error()


def test_rows_that_were_refused_are_listed_with_the_error(
    run: Run, pages_index: Path, table: Path
) -> None:
    table.write_text("question,document,grade\nget in,recovery,perhaps\n", encoding="utf-8")
    done = run("evaluate", pages_index, table)
    assert done.code == 1 and "1 row refused:" in done.err and "questions.csv:2" in done.err


def test_unknown_runs_are_refused(run: Run, evaluated: Path, store: Path) -> None:
    message = run("compare", "a", "zz", "--store", evaluated).error()
    assert "has no run 'zz': `lexpand runs list` shows ids, names and tags" in message
    assert run("compare", "a", "--store", evaluated).code == 2


def test_runs_are_listed_tagged_and_removed(run: Run, evaluated: Path) -> None:
    assert run("runs", "tag", "a", "baseline", "--store", evaluated).code == 0
    listed = run("runs", "list", "--store", evaluated).out.splitlines()
    assert len(listed) == 3 and "baseline" in listed[1]
    shown = run("runs", "show", "baseline", "--store", evaluated).out
    assert "model name: splade-tiny" in shown and "nDCG@10" in shown
    assert run("runs", "tag", "a", "baseline", "--remove", "--store", evaluated).code == 0
    assert "baseline" not in run("runs", "list", "--store", evaluated).out
    assert run("runs", "remove", "a", "nope", "--store", evaluated).code == 1
    assert len(run("runs", "list", "--store", evaluated, "--json").json()["runs"]) == 2
    assert run("runs", "remove", "a", "b", "--store", evaluated).code == 0
    assert "has no runs" in run("runs", "list", "--store", evaluated).out


def test_the_gate_passes_and_fails(
    run: Run, pages_index: Path, table: Path, tmp_path: Path
) -> None:
    gate, junit = tmp_path / "gate.toml", tmp_path / "junit.xml"
    made = run("gate", "init", pages_index, table, "--out", gate, "--within", 1)
    assert made.code == 0 and "has 3 questions" in made.out
    done = run("gate", "check", pages_index, gate, "--junit", junit, "--github")
    assert (done.code, done.out) == (0, "3 checks, 0 failed\n")
    assert ET.parse(junit).getroot().get("failures") == "0"
    gate.write_text(gate.read_text().replace('"invoice"', '"gone:50%"'), encoding="utf-8")
    done = run("gate", "check", pages_index, gate, "--junit", junit, "--github")
    assert done.code == 1 and "3 checks, 1 failed" in done.out
    annotation = next(line for line in done.out.splitlines() if line.startswith("::error"))
    assert f"file={gate},line=8,title=bill by mail%3A gone%3A50%25 must exist" in annotation
    failure = ET.parse(junit).getroot().find(".//failure")
    assert failure is not None and "has no document 'gone:50%'" in failure.get("message", "")
    found = run("gate", "check", pages_index, gate, "--json").json()
    assert found["failed"] == 1 and found["results"][1]["check"] == "exists"


def test_accept_refuses_a_failing_state(
    run: Run, pages_index: Path, table: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate.toml"
    assert run("gate", "init", pages_index, table, "--out", gate, "--fixed-corpus").code == 0
    state = (tmp_path / "gate.state.json").read_text()
    text = gate.read_text().replace('["invoice"]', '["gone"]')
    gate.write_text(text.replace("fingerprint = ", 'fingerprint = "0" # '), encoding="utf-8")
    done = run("gate", "accept", pages_index, gate)
    assert done.code == 1 and "use --force" in done.err
    assert (tmp_path / "gate.state.json").read_text() == state
    found = run("gate", "accept", pages_index, gate, "--json")
    assert found.code == 1 and json.loads(found.out)["failed"] == 1
    assert run("gate", "accept", pages_index, gate, "--force").code == 0


def test_accept_records_new_documents_and_keeps_comments(
    run: Run, pages_index: Path, table: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate.toml"
    assert run("gate", "init", pages_index, table, "--out", gate, "--fixed-corpus").code == 0
    made = gate.read_text()
    fingerprint = made.split('fingerprint = "')[1][:32]
    gate.write_text(made.replace(fingerprint, "f" * 32) + "# mine\n", encoding="utf-8")
    assert (
        "the documents differ from those of the gate file"
        in run("gate", "check", pages_index, gate).out
    )
    assert run("gate", "accept", pages_index, gate).code == 0
    assert gate.read_text() == made + "# mine\n"
    assert run("gate", "check", pages_index, gate).code == 0


def test_a_log_makes_a_gate(run: Run, pages_index: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    log.write_text("1\tprinter\n2\tinvoices\n3\tprinter\n", encoding="utf-8")
    gate = tmp_path / "gate.toml"
    done = run("gate", "init", pages_index, log, "--log", "--out", gate)
    assert done.code == 0 and gate.read_text().count("[[question]]") == 2
    lines = tmp_path / "log.txt"
    lines.write_text("printer\n\ninvoices\nxyzzy\n", encoding="utf-8")
    done = run("gate", "init", pages_index, lines, "--log", "--out", tmp_path / "other.toml")
    assert done.code == 0 and "has 2 questions" in done.out
    assert "1 question left out: no document to expect was found" in done.err
    done = run("gate", "init", pages_index, log, "--best", "2", "--out", tmp_path / "x.toml")
    assert done.code == 2 and "--best is for --log" in done.err
