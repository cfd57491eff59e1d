"""The checks of a collection: every kind of finding, and the facts about it."""

import json
from pathlib import Path

import pytest

from lexpand.data import JudgedQueries, Qrels, Query, collection_path, read_documents, read_judged
from lexpand.diagnose.finding import Finding, Severity
from lexpand.errors import RowError
from lexpand.experiments import CheckKind, check_collection

MANY = tuple(Query(f"q{i}", f"question {i}") for i in range(30))
SOUND = Qrels({query.query_id: {"a": 1, "b": 0} for query in MANY})


def findings(*args: object, **options: object) -> dict[str, Finding]:
    report = check_collection(*args, **options)  # type: ignore[arg-type]
    found = {str(finding.kind): finding for finding in report.findings}
    assert len(found) == len(report.findings)
    assert all(
        finding.count == len(finding.examples) or not finding.examples for finding in found.values()
    )
    return found


def test_a_sound_collection_has_no_findings() -> None:
    report = check_collection(JudgedQueries(MANY, SOUND, name="toy"), {"a", "b"})
    assert report.findings == ()
    assert report.is_sound
    assert (report.name, report.documents, report.queries, report.judged) == ("toy", 2, 30, 30)
    assert (report.judgments, report.grades) == (60, {0: 30, 1: 30})
    assert tuple(report.relevant) == (1, 1, 1)
    assert report.judged_share == 1
    assert json.loads(json.dumps(report.to_dict()))["relevant"] == {
        "smallest": 1,
        "median": 1,
        "largest": 1,
    }


def test_the_packaged_collection_is_sound() -> None:
    folder = collection_path("scifact")
    doc_ids = {document.doc_id for document in read_documents(folder)}
    report = check_collection(read_judged(folder), doc_ids)
    assert report.is_sound and report.findings == ()
    assert (report.documents, report.judged, report.judgments) == (5183, 300, 339)
    assert tuple(report.relevant) == (1, 1, 5)


def test_missing_ids_are_errors() -> None:
    qrels = Qrels({**SOUND.judgments, "gone": {"a": 1}, "q0": {"c": 1, "d": 0, "b": 1}})
    report = check_collection(JudgedQueries(MANY, qrels), ["a", "b"])
    assert not report.is_sound
    missing, unknown = report.findings
    assert missing == Finding(
        CheckKind.MISSING_DOCUMENTS,
        Severity.ERROR,
        2,
        "judged ids without a document in the corpus: no search can find it",
        ("c", "d"),
        "check that the corpus is the judged one, and that --id-field names its ids; otherwise "
        "remove the judgments",
    )
    assert (unknown.kind, unknown.severity) == (CheckKind.MISSING_QUERIES, Severity.ERROR)
    assert unknown.examples == ("gone",)
    assert unknown.what == "judged id without a query: the judgments are not used"
    assert report.judged == 30


def test_unknown_documents_are_not_checked() -> None:
    report = check_collection(JudgedQueries(MANY, SOUND), None)
    assert (report.documents, report.findings) == (None, ())


def test_contradictions_and_repetitions_are_all_listed_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.qrels"
    lines = [f"q{i} 0 a 1" for i in range(30)]
    lines += ["q0 0 a 2", "q1 0 a 1", "q0 0 a 0", "q2 0 a", "q3 0 a 3"]
    path.write_text("\n".join(lines))
    (tmp_path / "q.tsv").write_text("".join(f"{q.query_id}\t{q.text}\n" for q in MANY))
    refused: list[RowError] = []
    judged = read_judged(tmp_path / "q.tsv", path, on_bad_row=refused.append)
    found = findings(judged, {"a"}, refused=refused)
    assert list(found) == ["contradictions", "invalid-rows", "repeated"]
    assert found["contradictions"].examples == (
        f"{path}:31: query 'q0', document 'a' is judged 2, and 1 in {path}:1",
        f"{path}:33: query 'q0', document 'a' is judged 0, and 1 in {path}:1",
        f"{path}:35: query 'q3', document 'a' is judged 3, and 1 in {path}:4",
    )
    assert found["invalid-rows"].examples == (
        f"{path}:34: a line must have 4 columns (query_id 0 doc_id grade), got 3",
    )
    assert found["repeated"].examples == (f"{path}:32",)
    severities = [found[kind].severity for kind in found]
    assert severities == [Severity.ERROR, Severity.ERROR, Severity.WARNING]


def test_queries_without_judgments_text_or_a_relevant_document() -> None:
    queries = (*MANY, Query("e", " \n"), Query("n", "none"), Query("u", "not judged"))
    qrels = Qrels({**SOUND.judgments, "e": {"a": 1}, "n": {"a": 0, "b": -2}})
    found = findings(JudgedQueries(queries, qrels), {"a", "b"})
    assert {kind: finding.examples for kind, finding in found.items()} == {
        "no-text": ("e",),
        "no-relevant": ("n",),
        "negative-grades": ("-2",),
        "unjudged": ("u",),
    }
    assert [finding.severity for finding in found.values()] == [
        Severity.WARNING,
        Severity.WARNING,
        Severity.NOTE,
        Severity.NOTE,
    ]
    assert found["unjudged"].what == "query without judgments, which measures leave out"


def test_equal_texts_are_found_in_any_case_and_spacing() -> None:
    queries = (*MANY, Query("again", "Question  1 "), Query("third", "QUESTION 1"))
    qrels = Qrels({**SOUND.judgments, "again": {"a": 1}, "third": {"a": 1}})
    found = findings(JudgedQueries(queries, qrels), {"a", "b"})
    assert found["same-text"].examples == ("again = q1", "third = q1")


@pytest.mark.parametrize(
    ("grades", "gaps"),
    [
        ([0, 1, 2, 3], ()),
        ([1], ()),
        ([0, 1, 5], ("1 to 5",)),
        ([2, 4], ("0 to 2", "2 to 4")),
        ([0, 1, 10**12], ("1 to 1000000000000",)),
        ([0, 3], ()),
        ([-2, -1, 0, 1], ()),
    ],
)
def test_gaps_in_the_grades(grades: list[int], gaps: tuple[str, ...]) -> None:
    many = {query.query_id: {"a": grades[-1]} for query in MANY}
    qrels = Qrels({**many, "q0": {f"d{grade}": grade for grade in grades}})
    found = findings(JudgedQueries(MANY, qrels), None)
    assert found["grade-gaps"].examples == gaps if gaps else "grade-gaps" not in found


def test_few_judged_queries_are_a_warning() -> None:
    one = JudgedQueries((Query("1", "wifi"),), Qrels({"1": {"a": 1}}))
    report = check_collection(one, {"a"})
    (finding,) = report.findings
    assert (finding.kind, finding.severity, finding.count) == ("few-judged", Severity.WARNING, 1)
    assert finding.what.startswith("judged query: means of fewer than 25 say little")
    assert report.is_sound
    assert "few-judged" not in findings(JudgedQueries(MANY[:25], SOUND), None)


def test_the_spread_of_relevant_documents() -> None:
    qrels = Qrels({"q0": {"a": 2, "b": 1, "c": 1}, "q1": {"a": 0}, "q2": {"a": 1}, "q3": {"b": 1}})
    report = check_collection(JudgedQueries(MANY, qrels), None)
    assert tuple(report.relevant) == (0, 1, 3)
    assert report.judged_share == pytest.approx(4 / 30)
    assert report.judgments == 6
