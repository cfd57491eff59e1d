"""The commands `lexpand rules`, `lexpand lint` and `lexpand oov`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Ran

Rows = Callable[..., Path]
Run = Callable[..., Ran]

DOCUMENTS = [
    {
        "id": "recovery",
        "title": "Account recovery",
        "text": "Choose 'I cannot get in' and we send a code.",
    },
    {"id": "e-42", "text": "The display shows ERR_42: turn the printer off."},
    {"id": "e-43", "text": "The display shows ERR_43: turn the printer on."},
]
RULES = """
version = 1
[[synonym]]
when = "SSO"
add = { account = 1.5, recovery = 1.5 }
side = "query"
[[pin]]
text = "ERR_42"
[[test]]
query = "sso"
expect = "recovery"
top = 1
[[test]]
query = "printer err_42"
expect = "e-42"
top = 1
"""
FAILING = (
    '[[test]]\nquery = "printer"\nexpect = "recovery"\ntop = 2\n'
    '[[test]]\nquery = "sso"\nexpect = "gone"\n'
)


@pytest.fixture
def source(rows_file: Rows) -> Path:
    return rows_file(*DOCUMENTS)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def index(run: Run, source: Path, rules: Path, tmp_path: Path) -> Path:
    path = tmp_path / "ruled.index"
    assert run("index", source, path, "--rules", rules).code == 0
    return path


def test_sound_rules_are_described(run: Run, rules: Path) -> None:
    ran = run("rules", "check", rules)
    assert ran.code == 0
    assert ran.out.splitlines()[0].endswith("is sound for splade-tiny: 1 synonym, 1 pin, 2 tests")
    assert "[unused0] stands for ERR_42" in ran.out
    found = run("rules", "check", rules, "--json").json()
    assert found["rules"] == {"ban": 0, "cap": 0, "boost": 0, "synonym": 1, "pin": 1, "test": 2}
    assert found["pins"] == {"ERR_42": "[unused0]"} and len(found["hashes"]["query"]) == 64


def test_a_term_that_is_not_in_the_vocabulary_is_one_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('version = 1\n[[ban]]\nterm = "login"', encoding="utf-8")
    error = run("rules", "check", path).error()
    assert f"{path}, [[ban]] 1: the vocabulary has no term 'login': give one of its terms" in error
    assert "(the tokenizer splits the word into 'log' '##in')" in error


def test_tests_pass_or_fail_with_the_rank_found(run: Run, index: Path, rules: Path) -> None:
    ran = run("rules", "test", rules, index, columns=120)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1].split() == [
        "pass",
        "sso",
        "recovery",
        "in",
        "the",
        "top",
        "1",
        "rank",
        "1",
    ]
    assert ran.out.splitlines()[-1] == "2 tests, 0 failed"
    rules.write_text(RULES + FAILING, encoding="utf-8")
    ran = run("rules", "test", rules, index)
    assert ran.code == 1 and "FAIL" in ran.out and "the index has no such document" in ran.out
    ran = run("rules", "test", rules, index, "--json")
    found = ran.json()
    assert (ran.code, found["failed"], found["documents_have_these_rules"]) == (1, 2, True)
    assert [test["passed"] for test in found["tests"]] == [True, True, False, False]
    assert [test["rank"] for test in found["tests"]][:2] == [1, 1] and found["tests"][3][
        "rank"
    ] is None


def test_rules_are_tested_with_the_given_pipeline(run: Run, index: Path, rules: Path) -> None:
    found = run("rules", "test", rules, index, "--pipeline", "bm25", "--json").json()
    assert [test["passed"] for test in found["tests"]] == [False, True], (
        "rules are for the model's vectors"
    )


def test_documents_indexed_with_other_rules_are_reported(
    run: Run, source: Path, rules: Path, tmp_path: Path
) -> None:
    run("index", source, tmp_path / "plain")
    ran = run("rules", "test", rules, tmp_path / "plain")
    assert "were indexed with other rules: index again to test all of" in ran.err
    assert "without tests" not in ran.out


def test_a_file_without_tests_is_refused(run: Run, index: Path, rules: Path) -> None:
    rules.write_text("version = 1", encoding="utf-8")
    assert "has no [[test]]: add query" in run("rules", "test", rules, index).error()


@pytest.mark.parametrize("command", ["index", "sync"])
def test_an_index_keeps_its_rules(
    run: Run, index: Path, source: Path, rules: Path, rows_file: Rows, tmp_path: Path, command: str
) -> None:
    more = rows_file(
        *DOCUMENTS, {"id": "new", "text": "Nothing but ERR_42 again."}, name="more.jsonl"
    )
    assert run(command, more, index).code == 0, "without the option, the index's rules are used"
    assert run("search", index, "err_42", "--rules", rules, "--json").json()["hits"][0][
        "doc_id"
    ] in ("new", "e-42")
    other = tmp_path / "other.toml"
    other.write_text('version = 1\n[[ban]]\nterm = "printer"\n', encoding="utf-8")
    error = run(command, more, index, "--rules", other).error()
    assert " holds documents encoded with rules " in error and "`lexpand reencode`" in error
    query_only = tmp_path / "query.toml"
    changed = RULES.replace("account = 1.5, recovery = 1.5", "day = 2")
    query_only.write_text(changed, encoding="utf-8")
    assert run(command, more, index, "--rules", query_only).code == 0, "queries' rules may change"
    run("index", source, tmp_path / "plain")
    error = run(command, more, tmp_path / "plain", "--rules", rules).error()
    assert re.search(
        " holds documents encoded with rules none, got [0-9a-f]{12}: leave the setting out", error
    )


def test_search_and_explain_accept_rules_for_queries(
    run: Run, index: Path, rules: Path, tmp_path: Path
) -> None:
    def best(*options: object) -> str:
        return run("search", index, "sso", "-k", 1, "--json", *options).json()["hits"][0]["doc_id"]

    assert best("--rules", rules) == "recovery"
    options = ("--rules", rules, "--pipeline", "splade")
    assert best(*options) == "recovery"
    whole = run("explain", index, "err_42", "e-42", "--rules", rules, "--json").json()
    ran = run("explain", index, "err_42", "e-42", *options, "--json").json()
    own = tmp_path / "own.toml"
    own.write_text('[[parts]]\nfield = "splade"\nidf = 1.0\n', encoding="utf-8")
    weighted = ("--rules", rules, "--pipeline", own, "--json")
    part = run("explain", index, "err_42", "e-42", *weighted).json()
    assert whole["parts"][0]["explanation"] == part, "the hybrid multiplies by IDF"
    pin = next(part for part in ran["contributions"] if part["term"] == "[unused0]")
    assert pin["contribution"] == pytest.approx(9.0, abs=1e-3)
    for side in ("query", "document"):
        assert (pin[side]["origin"], pin[side]["word"], pin[side]["spans"]) == ("rule", None, [])
    others = [part for part in ran["contributions"] if part["term"] != "[unused0]"]
    assert others and all(part["document"]["origin"] in ("text", "expansion") for part in others)
    assert ran["notes"] == []
    assert "3.00 by a rule" in run("explain", index, "err_42", "e-42", *options, columns=120).out


def test_a_pin_with_the_term_of_another_is_refused(run: Run, index: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.toml"
    moved.write_text(
        'version = 1\n[[pin]]\ntext = "ERR_43"\n[[pin]]\ntext = "ERR_42"\n', encoding="utf-8"
    )
    error = run("search", index, "err_43", "--rules", moved).error()
    assert "[[pin]] 1: 'ERR_43' would take the term of 'ERR_42' in the documents of" in error


def test_encode_applies_rules(run: Run, source: Path, rules: Path, tmp_path: Path) -> None:
    assert "3.000  ERR_42 by a rule" in run("encode", "see err_42", "--rules", rules).out
    target = tmp_path / "vectors.jsonl"
    assert run("encode", source, "--output", target, "--rules", rules).code == 0
    assert target.read_text(encoding="utf-8").count("[unused0]") == 1


def test_lint_lists_findings(run: Run, rows_file: Rows, tmp_path: Path) -> None:
    source = rows_file(
        *DOCUMENTS, {"id": "copy", "text": DOCUMENTS[1]["text"]}, {"id": "none", "text": " "}
    )
    path = tmp_path / "linted"
    run("index", source, path)
    ran = run("lint", path)
    assert ran.code == 1, "a document cannot be found"
    assert "error empty: 1 without any term" in ran.out and "duplicates: 1" in ran.out
    found = run("lint", path, "--json", "--hub-share", 0.2).json()
    kinds = [finding["kind"] for finding in found["findings"]]
    assert {"empty", "duplicates"} <= set(kinds) and found["passages"] == 5
    assert set(found["findings"][0]) == {"kind", "severity", "count", "what", "examples", "advice"}
    run("delete", path, "none", "copy")
    assert run("lint", path).code == 0


def test_lint_without_the_model_reports_skipped_checks(
    run: Run, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexpand.cli import diagnose
    from lexpand.errors import ModelError

    def gone(*_: object, **__: object) -> None:
        raise ModelError("the model has gone: give it back")

    monkeypatch.setattr(diagnose, "encoder_of", gone)
    ran = run("lint", index)
    assert (
        ran.code == 0
        and "the model has gone" in ran.err
        and "note unchecked: 2 checks left out" in ran.out
    )
    assert (
        run("lint", index, "--model", "gone").error().endswith("the model has gone: give it back")
    )


def test_oov_accepts_a_text_or_a_file(
    run: Run, source: Path, rows_file: Rows, tmp_path: Path
) -> None:
    path = tmp_path / "plain"
    run("index", source, path)
    ran = run("oov", path, "what is err_43")
    assert ran.code == 0
    assert "err_43 is read as er ##r _ 43, in 1 query: what is err_43" in ran.out
    assert ran.out.splitlines()[1].endswith(
        "pieces; 1 document with the word, 0 of them missed by the vectors; "
        "by default the first has rank 1"
    )
    assert ran.out.splitlines()[-1] == "1 split word in 1 query"
    queries = rows_file(
        {"_id": "a", "text": "err_42"}, {"_id": "b", "text": "printer err_42"}, name="q.jsonl"
    )
    found = run("oov", path, queries, "--json").json()
    (word,) = found["words"]
    assert (word["queries"], word["query_id"], found["queries"]) == (2, "a", 2)
    assert "does not exist" in run("oov", path, tmp_path / "gone.jsonl").error()


def test_oov_prints_a_pin_to_add(run: Run, rows_file: Rows, tmp_path: Path) -> None:
    run("index", rows_file(*DOCUMENTS), tmp_path / "bare", "--words", "none")
    ran = run("oov", tmp_path / "bare", "err_43")
    assert '[[pin]]\n    text = "err_43"' in ran.out and "index again with --words" in ran.out
