"""Judged queries from every form: BEIR folders, two files, one table, ir_datasets."""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import (
    JudgedQueries,
    Qrels,
    Query,
    collection_path,
    read_judged,
    read_queries,
    write_quepid,
)
from lexpand.errors import DataError, MissingExtra, RowError, SourceError


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_all(*paths: Path, **options: Any) -> tuple[JudgedQueries, list[str]]:
    """Return the judged queries, and the errors of refused rows as text."""
    bad: list[RowError] = []
    judged = read_judged(*paths, on_bad_row=bad.append, **options)
    return judged, [str(error) for error in bad]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in BEIR's layout with the splits dev and test, and labels."""
    path = tmp_path / "help"
    queries = [
        {"_id": "1", "text": "no wifi"},
        {"_id": "2", "text": "invoice"},
        {"_id": "3", "text": ""},
    ]
    write(path / "queries.jsonl", "".join(json.dumps(each) + "\n" for each in queries))
    head = "query-id\tcorpus-id\tscore\n"
    write(path / "qrels" / "test.tsv", f"{head}1\tnet\t2\n1\tvpn\t0\n")
    write(path / "qrels" / "dev.tsv.gz", gzip.compress(f"{head}2\tpay\t1\n".encode()))
    write(path / "tags.tsv", "query-id\ttypo\tshort\n1\t0\t1\n2\t1\t1\n3\t0\t0\n")
    return path


# A folder in BEIR's layout


def test_a_folder_is_read_with_its_first_split_and_labels(folder: Path) -> None:
    judged = read_judged(folder)
    assert judged == JudgedQueries(
        (Query("1", "no wifi"), Query("2", "invoice"), Query("3", "")),
        Qrels({"1": {"net": 2, "vpn": 0}}),
        {"1": ("short",), "2": ("typo", "short")},
        "help",
        ("the judgments are those of qrels/test.tsv, and not dev.tsv.gz",),
    )
    assert judged.judged == (Query("1", "no wifi"),)


def test_a_split_or_an_order_of_splits_may_be_named(folder: Path) -> None:
    for split in ("dev", ("train", "dev"), ["dev", "test"]):
        judged = read_judged(folder, split=split)
        assert judged.qrels.judgments == {"2": {"pay": 1}}
        assert judged.notes == ()


def test_the_judgments_of_a_folder_may_be_elsewhere(folder: Path, tmp_path: Path) -> None:
    judged = read_judged(folder, write(tmp_path / "mine.qrels", "2 0 pay 3\n"))
    assert (judged.qrels.judgments, judged.name) == ({"2": {"pay": 3}}, "help")
    assert judged.tags["1"] == ("short",)


def test_the_packaged_collection_has_no_labels() -> None:
    judged = read_judged(collection_path("scifact"))
    assert (len(judged.queries), len(judged.judged), judged.tags) == (300, 300, {})
    assert judged.name == "scifact"


def test_folders_that_lack_something_are_refused(folder: Path, tmp_path: Path) -> None:
    message = (
        r"help must have qrels/train\.tsv \(also \.gz or \.zst\), got dev\.tsv\.gz, test\.tsv: "
        "name another split"
    )
    with pytest.raises(SourceError, match=message):
        read_judged(folder, split="train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty must have queries\.jsonl .* and has no queries"):
        read_judged(tmp_path / "empty")
    with pytest.raises(SourceError, match=r"gone does not exist: check the path"):
        read_judged(tmp_path / "gone")
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\nfour\tnet\t1\n")
    message = r"must judge a query of help, .* such as '1' of the queries and 'four' of the judg"
    with pytest.raises(SourceError, match=message):
        read_judged(folder)


def test_invalid_labels_are_named(folder: Path) -> None:
    path = write(folder / "tags.tsv", "query-id\ttypo\n1\t1\n2\tmaybe\n9\t1\n")
    judged, errors = read_all(folder)
    assert judged.tags == {"1": ("typo",)}
    assert errors == [
        f"{path}:3: the label 'typo' must be 0 or 1, got 'maybe'; correct the cell",
        f"{path}:4 (id '9'): a labelled query must be in queries.jsonl, '9' is not",
    ]
    write(path, "name\ttypo\n1\t1\n")
    with pytest.raises(SourceError, match=r"must have a column for the query_id .it has: name, ty"):
        read_judged(folder)


# Two files

TOPICS = """
<top>

<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations &amp; groups.
</top>
<top>
<num> Number: 302 </num>
<title> </title>
<desc> Description:
Is polio
under control?
</top>
"""
TREC_XML = """<?xml version="1.0"?>
<topics task="covid">
  <!-- <topic number="0"><query>not this</query></topic> -->
  <topic number="1">
    <query>coronavirus origin</query>
    <question>what is the origin of COVID-19</question>
  </topic>
  <topic number="2" type="faceted"><title>horse
  hooves</title></topic>
  <TOPIC id='3'>plain text</TOPIC>
</topics>
"""


@pytest.mark.parametrize("name", ["x.topics", "x.trec", "x.txt", "topics.301-450", "x.topics.gz"])
def test_classic_topics_are_read(tmp_path: Path, name: str) -> None:
    data = gzip.compress(TOPICS.encode()) if name.endswith(".gz") else TOPICS
    assert list(read_queries(write(tmp_path / name, data))) == [
        Query("301", "International Organized Crime"),
        Query("302", "Is polio under control?"),
    ]


def test_topics_in_xml_are_read(tmp_path: Path) -> None:
    assert list(read_queries(write(tmp_path / "x.xml", TREC_XML))) == [
        Query("1", "coronavirus origin"),
        Query("2", "horse hooves"),
        Query("3", "plain text"),
    ]


def test_invalid_topics_are_named(tmp_path: Path) -> None:
    content = (
        b"<top><title>x</top>\n<top>\n<num> Number: 7\n<title>\n</top>\n\n"
        b"<top><num>8<title>caf\xe9</top>\n<top><num>7<title>a</top>\n<top><num>7<title>b</top>"
    )
    path = write(tmp_path / "x.trec", content)
    bad: list[RowError] = []
    assert list(read_queries(path, on_bad_row=bad.append)) == [Query("7", "a")]
    assert [str(error) for error in bad] == [
        f"{path}:1: a topic must have a number: add <num> or the attribute number",
        f"{path}:2 (id '7'): a topic must have a text: add one of query, title, question, desc, "
        "description, summary",
        f"{path}:7: invalid UTF-8 in the topic (0xe9): save the file as UTF-8",
        f"{path}:9 (id '7'): a query_id must be unique, but {path}:8 has the same; rename one",
    ]
    write(path, "<doc>no topic</doc>")
    with pytest.raises(SourceError, match=r"must have TREC topics, <top>\.\.\.</top> or .* none"):
        list(read_queries(path))


def test_queries_in_csv_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv", 'Team,Query ID,Question\nhr,7,"leave, or not?"\nit,8\nit,9,b\n'
    )
    bad: list[RowError] = []
    assert list(read_queries(path, on_bad_row=bad.append)) == [
        Query("7", "leave, or not?"),
        Query("8", ""),
        Query("9", "b"),
    ]
    assert bad == []
    write(path, "key,text\n1,a\n")
    with pytest.raises(SourceError, match=r"must have a column for the query_id \(it has: key, t"):
        list(read_queries(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.qrels", "301 0 FR-1 1\n301 0 FR-2 0\n302 0 FR-1 2.0\n"),
        ("x.tsv", "query-id\tcorpus-id\tscore\n301\tFR-1\t1\n301\tFR-2\t0\n302\tFR-1\t2\n"),
        ("x.csv", "query_id,doc_id,grade\n301,FR-1,1\n301,FR-2,0\n302,FR-1,2\n"),
        ("y.csv", '# ours\nQID;URL;Judge;Rating\n301;"FR-1";a;yes\n301;FR-2;;No\n302;FR-1;;2.0\n'),
        ("z.tsv", "Query ID\tRelevance\tDocID\n301\ttrue\tFR-1\n301\t0\tFR-2\n302\t2\tFR-1\n"),
    ],
)
def test_two_files_are_read(tmp_path: Path, name: str, content: str) -> None:
    topics = write(tmp_path / "robust.topics", TOPICS)
    judged = read_judged(topics, write(tmp_path / name, content))
    assert [query.query_id for query in judged.judged] == ["301", "302"]
    assert judged.qrels.judgments == {"301": {"FR-1": 1, "FR-2": 0}, "302": {"FR-1": 2}}
    assert (judged.name, judged.notes) == ("robust", ())


def test_judgments_without_grades_are_noted(tmp_path: Path) -> None:
    queries = write(tmp_path / "q.tsv", "1\thow\n")
    qrels = write(tmp_path / "x.csv", "qid,doc\n1,a\n1,b\n")
    judged = read_judged(queries, qrels)
    assert judged.qrels.judgments == {"1": {"a": 1, "b": 1}}
    assert judged.notes == (
        f"{qrels} has no column for the grade (grade, relevance, rating, score, label, judgment, "
        "judgement): every row has grade 1",
    )


def test_invalid_judgments_are_named_and_the_others_kept(tmp_path: Path) -> None:
    queries = write(tmp_path / "q.tsv", "1\thow\n2\twhy\n")
    lines = ["qid,doc,grade", "1,a,2", "1,a", "2,,1", "2,b,good", "1,a,2", "1,a,0", '2,"b,1']
    qrels = write(tmp_path / "x.csv", "\n".join(lines).encode() + b"\n2,caf\xe9,1\n2,b,1\n1,a,3\n")
    judged, errors = read_all(queries, qrels)
    assert judged.qrels.judgments == {"1": {"a": 2}, "2": {"b": 1}}
    assert errors == [
        f"{qrels}:3: a line must have 3 columns (qid doc grade), got 2; look for a quote that is "
        "not closed or not doubled",
        f"{qrels}:4: doc_id must be a non-empty string, got ''",
        f"{qrels}:5: the grade must be a whole number, or one of yes, true, relevant, no, false, "
        "irrelevant, not relevant, got 'good': correct the row",
        f"{qrels}:7 (id 'a'): judged 2 and 0 for query '1': keep one of the lines (the first is "
        f"{qrels}:2)",
        f"{qrels}:8: a line must have 3 columns (qid doc grade), got 0; look for a quote that is "
        "not closed or not doubled",
        f"{qrels}:9: invalid UTF-8 at byte offset 5 of the line (0xe9): save the file as UTF-8",
        f"{qrels}:11 (id 'a'): judged 2 and 3 for query '1': keep one of the lines (the first is "
        f"{qrels}:2)",
    ]
    assert [
        (repeated.judgment.place, repeated.first.place, repeated.contradicts)
        for repeated in judged.repeated
    ] == [(f"{qrels}:{line}", f"{qrels}:2", wrong) for line, wrong in ((6, 0), (7, 1), (11, 1))]
    with pytest.raises(RowError, match=r"x\.csv:3: a line must have 3 columns"):
        read_judged(queries, qrels)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    queries = write(tmp_path / "q.tsv", "1\thow\n")
    qrels = write(tmp_path / "x.qrels", "9 0 a 1\n")
    with pytest.raises(SourceError, match=r"x\.qrels must judge a query of q, and judges none"):
        read_judged(queries, qrels)
    with pytest.raises(SourceError, match=r"gone must be a file of judgments, and is not"):
        read_judged(queries, tmp_path / "gone")
    with pytest.raises(SourceError, match=r"y has no judgments: check that it is the right file"):
        read_judged(queries, write(tmp_path / "y", "\n"))
    with pytest.raises(DataError, match=r"split must be left out .* got 'dev' for .*q\.tsv"):
        read_judged(queries, qrels, split="dev")


# One table


def test_a_table_of_a_spreadsheet(tmp_path: Path) -> None:
    lines = [
        "Question;Owner;URL;Rating;Tags",
        "no wifi ;a;/net;2;network, short",
        "where is my invoice?;b;/pay;1.0;",
        "no wifi;a;/vpn;0;short, typo",
        "no wifi;a;/net;2;",
    ]
    path = write(tmp_path / "ours.v2.csv", "\ufeff" + "\r\n".join(lines))
    judged = read_judged(path)
    assert judged == JudgedQueries(
        (Query("q1", "no wifi"), Query("q2", "where is my invoice?")),
        Qrels({"q1": {"/net": 2, "/vpn": 0}, "q2": {"/pay": 1}}),
        {"q1": ("network", "short", "typo")},
        "ours",
        (
            f"{path}: the delimiter is ';'",
            f"{path}: the document is in 'URL'",
        ),
    )
    assert [each.judgment.place for each in judged.repeated] == [f"{path}:5"]


ROWS = [
    {"query_id": "a", "query": "x", "doc_id": 7, "grade": 1, "tags": ["t", "u"]},
    {"query_id": "b", "query": "y", "doc_id": "8", "grade": 2.0},
    {"query_id": "a", "query": "x", "doc_id": "8", "grade": False},
]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "ndjson.gz", "csv", "tsv"])
def test_one_table_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "json":
        write(path, json.dumps(ROWS))
    elif suffix in ("csv", "tsv"):
        rows = [{**row, "tags": ",".join(row.get("tags", []))} for row in ROWS]  # type: ignore[arg-type]
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0], delimiter="," if suffix == "csv" else "\t")
            table.writeheader()
            table.writerows(rows)
    else:
        data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        write(path, gzip.compress(data) if suffix.endswith("gz") else data)
    judged = read_judged(path)
    assert judged.queries == (Query("a", "x"), Query("b", "y"))
    assert judged.qrels.judgments == {"a": {"7": 1, "8": 0}, "b": {"8": 2}}
    assert judged.tags == {"a": ("t", "u")}
    assert judged.notes == (f"{path}: grades in words are read as numbers: false as 0",)


def test_a_choice_between_columns_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "text,Query,url,id,Label\na,b,c,d,1\n")
    judged = read_judged(path)
    assert (judged.queries, judged.qrels.judgments) == ((Query("q1", "b"),), {"q1": {"c": 1}})
    assert judged.notes == (
        f"{path}: the question is in 'Query' and not in 'text', the document is in 'url' and not "
        "in 'id', the grade is in 'Label'",
    )


def test_a_table_without_grades_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "query,doc_id\na,1\nb,2\n")
    judged = read_judged(path)
    assert judged.qrels.judgments == {"q1": {"1": 1}, "q2": {"2": 1}}
    assert judged.notes[0].endswith("every row has grade 1")


@pytest.mark.parametrize(
    ("words", "grades"),
    [
        (["yes", "no"], [1, 0]),
        (["TRUE", "False"], [1, 0]),
        (["Relevant", " not relevant "], [1, 0]),
        (["3", "irrelevant"], [3, 0]),
        (["-1", "+2.00"], [-1, 2]),
    ],
)
def test_grades_in_words(tmp_path: Path, words: list[str], grades: list[int]) -> None:
    path = write(tmp_path / "x.csv", f"query,doc_id,label\na,1,{words[0]}\na,2,{words[1]}\n")
    judged = read_judged(path)
    assert list(judged.qrels.judgments["q1"].values()) == grades
    noted = any("grades in words are read as numbers" in note for note in judged.notes)
    assert noted == any(word.strip().isalpha() or " not" in word for word in words)


def test_a_quepid_export_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "case.csv", 'query,docid,rating\n"rat, lab",12,3\nwifi\nwifi,13,\n')
    judged = read_judged(path)
    assert judged.queries == (Query("q1", "rat, lab"), Query("q2", "wifi"))
    assert judged.judged == (Query("q1", "rat, lab"),)
    assert judged.notes[-1] == f"{path}: rows without a grade, which are not judgments: 1"
    for header in ("query_text,doc_id,rating", "query,id,grade"):
        write(path, f"{header}\nwifi,13,1\n")
        assert read_judged(path).qrels.judgments == {"q1": {"13": 1}}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9).map(
    lambda text: text.strip() or "x"
)


@given(st.dictionaries(texts, st.dictionaries(texts, st.integers(-2, 9), min_size=1), min_size=1))
def test_quepid_tables_round_trip(
    tmp_path_factory: pytest.TempPathFactory, grades: dict[str, dict[str, int]]
) -> None:
    queries = tuple(Query(f"q{i}", text) for i, text in enumerate(grades, 1))
    qrels = Qrels({query.query_id: grades[query.text] for query in queries})
    path = tmp_path_factory.mktemp("quepid") / "x.csv"
    write_quepid(path, JudgedQueries((*queries, Query("other", "unjudged")), qrels))
    again = read_judged(path)
    assert (again.queries, again.qrels) == (queries, qrels)


def test_queries_with_one_text_are_merged_for_quepid(tmp_path: Path) -> None:
    queries = (Query("1", "wifi"), Query("2", "wifi"))
    judged = JudgedQueries(queries, Qrels({"1": {"a": 1}, "2": {"a": 1, "b": 2}}))
    write_quepid(tmp_path / "x.csv", judged)
    assert (tmp_path / "x.csv").read_text() == "query,docid,rating\nwifi,a,1\nwifi,b,2\n"
    judged = JudgedQueries(queries, Qrels({"1": {"a": 1}, "2": {"a": 0}}))
    with pytest.raises(DataError, match=r"'1' and '2' have the same text, .* 'a' .* got 1 and 0"):
        write_quepid(tmp_path / "y.csv", judged)
    assert not (tmp_path / "y.csv").exists()


def test_invalid_rows_of_a_table_are_named_and_the_others_kept(tmp_path: Path) -> None:
    lines = [
        b"qid,query,doc_id,grade",
        b"1,wifi,a,1",
        b"1,wifi,,1",
        b"1,,a,1",
        b"1,wifi,b,maybe",
        b"1,wifi,a,0",
        b"1,printer,b,1",
        b",wifi,b,1",
        b"1,wi\xfffi,b,1",
        b"1,wifi,c,1,more",
        b"1,wifi,d,1",
    ]
    path = write(tmp_path / "x.csv", b"\n".join(lines))
    judged, errors = read_all(path)
    assert judged.qrels.judgments == {"1": {"a": 1, "d": 1}}
    assert [error.removeprefix(f"{path}:") for error in errors] == [
        "3: the document (column 'doc_id') must not be empty, question 'wifi'",
        "4: the question (column 'query') must not be empty",
        "5: the grade must be a whole number, or one of yes, true, relevant, no, false, "
        "irrelevant, not relevant, got 'maybe': correct the row",
        f"6 (id 'a'): judged 1 and 0 for query '1': keep one of the lines (the first is {path}:2)",
        "7 (id 'b'): a query_id must have one question, '1' has 'wifi' and 'printer': change the "
        "id or the question",
        "8: query_id must be a non-empty string, got ''",
        "9: line 9: invalid UTF-8 at byte offset 4 of the line (0xff): save the file as UTF-8",
        "10: a row must have 4 columns as its header, got 5",
    ]
    with pytest.raises(RowError, match=r"x\.csv:3: the document .* must not be empty"):
        read_judged(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.csv",
            "query,answer,grade\na,b,1\n",
            r"x.csv must have a column for the document \(it has: query, .*\): name it doc_id; "
            "docid, .* are known too",
        ),
        ("x.jsonl", '{"id": "1", "query": "how"}\n', r"for the document \(it has: id, query\)"),
        ("x.csv", "words,doc_id\na,b\n", r"must have a column for the question \(it has: words, "),
        ("x.csv", "Query,query,doc_id\na,b,c\n", "columns 'Query' and 'query' both mean 'query'"),
        ("x.csv", "query,query,doc_id\na,b,c\n", "has the column 'query' twice: rename one"),
        ("x.csv", "query,doc_id\n", "x.csv is empty: it needs a header and at least one row"),
        ("x.csv", "", "x.csv is empty"),
        ("x.jsonl", "nothing\n", "must have at least one valid row; the first error is .*:1: inv"),
        ("x.csv", "query,doc_id,grade\nwifi,a,\n", "x.csv has no judgments"),
        ("x.csv", b"qu\xe9ry,doc_id\nwifi,a\n", "x.csv:1: .*invalid UTF-8 .* this is the header"),
        ("x.tsv", "1\thow many?\n", "x.tsv is empty: it needs a header"),
        ("x.txt", "a", r"x.txt must be a table of questions .* got .txt: pass the judgments too"),
        ("x.xlsx.gz", "a", "must be a table of questions"),
    ],
)
def test_tables_that_cannot_be_read(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError, match=message):
        read_judged(path, on_bad_row=lambda error: None)


# Spreadsheets


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that hides an installed package."""

    def hide(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_a_spreadsheet_needs_openpyxl(tmp_path: Path, without: Any) -> None:
    without("openpyxl")
    message = r"reading spreadsheets \(\.xlsx\) needs openpyxl: pip install openpyxl$"
    with pytest.raises(MissingExtra, match=message):
        read_judged(write(tmp_path / "x.xlsx", "anything"))


class Sheet(SimpleNamespace):
    """A sheet as openpyxl reads it."""

    def iter_rows(self, values_only: bool) -> Iterator[tuple[object, ...]]:
        assert values_only
        return iter(self.rows)


def fake_openpyxl(monkeypatch: pytest.MonkeyPatch, *sheets: Sheet) -> None:
    """Replace openpyxl by a module with these sheets; without any, its files are damaged."""

    def load(path: Path, **options: bool) -> SimpleNamespace:
        assert options == {"read_only": True, "data_only": True}
        if not sheets:
            raise KeyError("no such part")
        return SimpleNamespace(worksheets=list(sheets), close=lambda: None)

    module = ModuleType("openpyxl")
    module.load_workbook = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openpyxl", module)


def test_the_first_sheet_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        (None, None, None),
        ("Query", "Doc ID", "Relevance"),
        ("wifi", 7, 2),
        (None, None, None),
        ("wifi", 8.0, "yes"),
        ("wifi", None, 1),
        ("print", "a", True),
    ]
    fake_openpyxl(monkeypatch, Sheet(title="Ratings", rows=rows), Sheet(title="Old", rows=[]))
    path = write(tmp_path / "x.xlsx", "")
    judged, errors = read_all(path)
    assert judged.qrels.judgments == {"q1": {"7": 2, "8": 1}, "q2": {"a": 1}}
    assert errors == [
        f"{path}:row 6: the document (column 'Doc ID') must not be empty, question 'wifi'"
    ]
    assert judged.notes[0] == f"{path}: the sheet 'Ratings' was read, and not 'Old'"
    fake_openpyxl(monkeypatch)
    with pytest.raises(SourceError, match=r"x\.xlsx is not an Excel workbook, or is damaged"):
        read_judged(path)


def test_a_workbook_of_openpyxl_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("Query", "URL", "Grade"), ("wifi", "/net", 2), ("print", "/ink", 1.0)):
        book.active.append(row)
    book.save(tmp_path / "x.xlsx")
    judged = read_judged(tmp_path / "x.xlsx")
    assert judged.qrels.judgments == {"q1": {"/net": 2}, "q2": {"/ink": 1}}
    write(tmp_path / "y.xlsx", "text")
    with pytest.raises(SourceError, match="is not an Excel workbook"):
        read_judged(tmp_path / "y.xlsx")


# ir_datasets


def fake_ir_datasets(monkeypatch: pytest.MonkeyPatch, **datasets: object) -> None:
    module = ModuleType("ir_datasets")
    module.load = datasets.__getitem__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ir_datasets", module)


def dataset(queries: list[Any], qrels: list[Any], **more: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "has_queries": lambda: bool(queries),
            "has_qrels": lambda: bool(qrels),
            "queries_iter": lambda: iter(queries),
            "qrels_iter": lambda: iter(qrels),
            **more,
        }
    )


def qrel(query_id: str, doc_id: str, relevance: int) -> SimpleNamespace:
    return SimpleNamespace(query_id=query_id, doc_id=doc_id, relevance=relevance)


def test_a_dataset_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = [
        SimpleNamespace(query_id="1", default_text=lambda: "wifi", text="other"),
        SimpleNamespace(query_id="2", text="print"),
        SimpleNamespace(query_id="3", title="leave"),
        SimpleNamespace(query_id="", text="bad"),
    ]
    rows = [qrel("1", "a", 2), qrel("2", "b", 0), qrel("1", "a", 1), qrel("1", "", 1)]
    fake_ir_datasets(monkeypatch, toy=dataset(queries, rows))
    judged, errors = read_all("irds:toy")  # type: ignore[arg-type]
    assert judged.queries == (Query("1", "wifi"), Query("2", "print"), Query("3", "leave"))
    assert judged.qrels.judgments == {"1": {"a": 2}, "2": {"b": 0}}
    assert (judged.name, judged.tags, judged.notes) == ("toy", {}, ())
    assert errors == [
        "irds:toy: qrels 3 (id 'a'): judged 2 and 1 for query '1': keep one of the lines (the "
        "first is irds:toy: qrels 1)",
        "irds:toy: qrels 4: doc_id must be a non-empty string, got ''",
        "irds:toy: queries 4: query_id must be a non-empty string, got ''",
    ]


def test_datasets_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, without: Any) -> None:
    def failing() -> Iterator[object]:
        raise RuntimeError("no route to host")

    good = [qrel("1", "a", 2)]
    fake_ir_datasets(
        monkeypatch,
        documents=dataset([], []),
        offline=dataset([1], good, qrels_iter=failing),
        good=dataset([SimpleNamespace(query_id="1", text="wifi")], good),
    )
    for source, message in {
        "irds:nothing": "irds:nothing must be the id of a dataset of ir_datasets, and is not",
        "irds:documents": "irds:documents must have queries and qrels, and has no queries",
        "irds:offline": r"irds:offline cannot be downloaded or read \(RuntimeError: no route to h",
    }.items():
        with pytest.raises(SourceError, match=message):
            read_judged(source)
    with pytest.raises(DataError, match=r"qrels must be left out for irds:good, .* got x"):
        read_judged("irds:good", "x")
    with pytest.raises(DataError, match=r"split must be left out .* got 'test' for irds:good"):
        read_judged("irds:good", split="test")
    without("ir_datasets")
    with pytest.raises(MissingExtra, match=r"irds:good needs ir_datasets: pip install ir_datasets"):
        read_judged("irds:good")
