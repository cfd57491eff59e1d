"""Gate files and their states: what is read, what is refused, and what is checked."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lexpand
from lexpand import Query
from lexpand.collection import Collection
from lexpand.errors import DataError, NewerFormat, SourceError
from lexpand.experiments.gate import (
    Check,
    make_gate,
    questions_of_log,
    record_state,
    run_gate,
)
from lexpand.experiments.gate_file import GateFile, Question, State

QUESTION = '[[question]]\nquery = "dd-am04"\nexpect = ["SA037"]\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=9)


@given(queries=st.lists(TEXTS, min_size=1, max_size=4, unique=True), doc_id=IDS)
def test_a_gate_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, queries: list[str], doc_id: str
) -> None:
    path = tmp_path_factory.mktemp("gate") / "gate.toml"
    questions = tuple(Question(query, (doc_id,), ("other id",), 3) for query in queries)
    GateFile(path, questions, "ab12").save()
    assert GateFile.load(path) == GateFile(path, questions, "ab12")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1", r"must have at least one \[\[question\]\], got none"),
        ("version = 1\nquestion = 3", "must have at least one"),
        (QUESTION, "must have version = 1, got None"),
        ("version = true\n" + QUESTION, "must have version = 1, got True"),
        ("version = 1\nother = 2\n" + QUESTION, "a gate file has no key 'other'"),
        ('version = 1\n[[question]]\nexpect = ["a"]', "question 1: a question has a query"),
        (
            'version = 1\n[[question]]\nquery = "x"\nexpected = ["a"]',
            "question 1: a question has no key 'expected'",
        ),
        ('version = 1\n[[question]]\nquery = "x"', "'x' must have an id in expect or reject"),
        (
            'version = 1\n[[question]]\nquery = "x"\nexpect = "a"',
            "expect must be a list of document ids, got 'a'",
        ),
        (
            'version = 1\n[[question]]\nquery = " "\nexpect = ["a"]',
            "query must have words, got an empty text",
        ),
        (
            'version = 1\n[[question]]\nquery = "x"\nexpect = ["a"]\nreject = ["a"]',
            "both expects and rejects 'a'",
        ),
        (
            'version = 1\n[[question]]\nquery = "x"\nexpect = ["a"]\nwithin = 0',
            "within must be an integer >= 1, got 0",
        ),
        (
            "version = 1\n" + QUESTION + QUESTION,
            "each query must be in one question, got 'dd-am04'",
        ),
        ("version = 1\ncorpus = 1\n" + QUESTION, r"\[corpus\] must have only a fingerprint"),
        (
            "version = 1\n[corpus]\nfingerprint = 1\n" + QUESTION,
            "fingerprint must be a text, got 1",
        ),
    ],
)
def test_invalid_gate_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        GateFile.load(write(tmp_path, text))


def test_a_gate_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist: make one with `lexpand gate init`"):
        GateFile.load(tmp_path / "none.toml")
    with pytest.raises(SourceError, match="must be TOML in UTF-8"):
        GateFile.load(write(tmp_path, "version = = 1"))
    with pytest.raises(NewerFormat, match="has version 2, and this Lexpand reads up to 1: upgrade"):
        GateFile.load(write(tmp_path, "version = 2"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 1}', '{"version": 1, "facts": {}}'])
def test_a_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gate.state.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"gate.state.json (is damaged|must have version)"):
        State.load(path)
    path.write_text('{"version": 7}')
    with pytest.raises(NewerFormat):
        State.load(path)


def test_ids_that_must_not_be_found(support: Collection, tmp_path: Path) -> None:
    questions = [Question("dd-am04", reject=("SA037",), within=3)]
    gate = GateFile(tmp_path / "gate.toml", tuple(questions))
    (result,) = run_gate(support, gate)
    assert (result.check, result.passed, result.rank) == (Check.REJECT, False, 1)
    assert result.name == "dd-am04: SA037 must not be among the first 3"
    assert "rank 1; it scores most by 'ddam04 (bm25)': " in result.said and result.terms
    passing = GateFile(gate.path, (Question("dd-am04", reject=("SA001",), within=3),))
    assert run_gate(support, passing)[0].passed


def test_what_raised_a_rejected_document_is_named(tmp_path: Path) -> None:
    pages = [
        {"id": "old", "text": "Payroll exports of former versions"},
        {"id": "new", "text": "Payroll exports are made each month from the payroll menu"},
    ]
    gate = GateFile(tmp_path / "gate.toml", (Question("payroll codes", reject=("old",), within=1),))
    with lexpand.create(tmp_path / "p.index", pages) as kb:
        record_state(kb, gate).save(gate.state_path)
        assert run_gate(kb, gate)[0].passed
        kb.replace([{"id": "old", "text": "Payroll codes, codes of payroll, all codes"}])
        (result,) = [each for each in run_gate(kb, gate) if each.check is Check.REJECT]
        assert not result.passed and (result.rank_before, result.rank) == (2, 1)
        assert "rank 1, was rank 2; it scores more by 'code" in result.said, result.said
        assert result.terms[0].answer_worse > result.terms[0].answer_better


def test_a_rejected_document_that_is_gone_passes(support: Collection, tmp_path: Path) -> None:
    gate = GateFile(tmp_path / "gate.toml", (Question("dd-am04", reject=("gone",)),))
    (result,) = run_gate(support, gate)
    assert (result.check, result.passed) == (Check.EXISTS, True)


def test_a_rank_that_did_not_change_has_no_reason(support: Collection, tmp_path: Path) -> None:
    gate = GateFile(tmp_path / "gate.toml", (Question("vpn password", ("SA001",), within=1),))
    record_state(support, gate).save(gate.state_path)
    (result,) = run_gate(support, gate)
    assert not result.passed and result.terms == ()
    assert result.said.endswith("as in the recorded state")


def test_results_name_the_line_of_the_question(support: Collection, tmp_path: Path) -> None:
    text = f'version = 1\n\n{QUESTION}\n# hard\n[[question]]\nquery = "x"\nexpect = ["SA001"]\n'
    results = run_gate(support, GateFile.load(write(tmp_path, text)))
    assert [each.line for each in results] == [3, 8]
    assert [each.passed for each in results] == [True, False]


def test_without_a_state_ranks_are_checked_and_terms_are_not_known(
    support: Collection, tmp_path: Path
) -> None:
    gate = GateFile(tmp_path / "gate.toml", (Question("dd-am04", ("SA001",), within=1),))
    (result,) = run_gate(support, gate)
    assert not result.passed and result.terms == () and "was" not in result.said


def test_a_log_expects_what_is_best_now(support: Collection, tmp_path: Path) -> None:
    log = [Query("1", "vpn password"), Query("2", "vpn password"), Query("3", " ")]
    questions = questions_of_log(support, log, within=4, best=2)
    best = [hit.doc_id for hit in support.search("vpn password", 2)]
    assert questions == [Question("vpn password", tuple(best), within=4)]
    gate = make_gate(support, tmp_path / "gate.toml", questions, fixed_corpus=False)
    assert gate.fingerprint == "" and all(each.passed for each in run_gate(support, gate))
    with pytest.raises(DataError, match=r"best must be from 1 to within \(4\), got 5"):
        questions_of_log(support, log, within=4, best=5)


def test_an_existing_or_empty_gate_is_not_written(support: Collection, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the gate would be empty"):
        make_gate(support, tmp_path / "gate.toml", [], fixed_corpus=False)
    path = write(tmp_path, "mine")
    with pytest.raises(DataError, match="exists: remove it, or name another file with --out"):
        make_gate(support, path, [Question("x", ("a",))], fixed_corpus=False)
    assert path.read_text() == "mine"


def test_the_state_has_the_ranks_and_terms_of_the_first_and_the_named_documents(
    support: Collection, tmp_path: Path
) -> None:
    gate = GateFile(tmp_path / "gate.toml", (Question("dd-am04", ("SA037", "SA001", "gone")),))
    record_state(support, gate).save(gate.state_path)
    state = State.load(gate.state_path)
    assert state is not None
    hits = {hit.doc_id: hit for hit in state.hits["dd-am04"]}
    assert hits["SA037"].rank == 1 and "SA001" in hits and "gone" not in hits
    assert sum(hits["SA037"].terms.values()) == pytest.approx(1, abs=1e-3)
    assert state.facts["index"]["fingerprint"] == support.index.fingerprint()
    assert json.loads(gate.state_path.read_text())["version"] == 1


def test_the_fingerprint_follows_content_not_order(support: Collection, tmp_path: Path) -> None:
    same = shutil.copytree(support.path, tmp_path / "same.index")
    with lexpand.open(same) as kb:
        kb.compact()
        assert kb.index.fingerprint() == support.index.fingerprint()
        page = kb.get("SA001")
        kb.delete(["SA001"])
        without = kb.index.fingerprint()
        kb.add([page])
        assert kb.index.fingerprint() == support.index.fingerprint() != without
        kb.replace([{"id": "SA001", "title": page.title, "text": f"{page.text} Changed."}])
        assert kb.index.fingerprint() not in (support.index.fingerprint(), without)
