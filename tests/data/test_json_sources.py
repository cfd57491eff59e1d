"""JSON arrays, standard input, and JSON that is neither an array nor one object per line."""

import gzip
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, Query, read_documents, read_queries, streams
from lexpand.errors import DataError, SourceError

ROWS = [{"id": "a", "text": "é [1], {2}"}, {"id": "b", "text": "t", "n": [1, {"x": None}]}]
DOCUMENTS = [Document("a", "é [1], {2}"), Document("b", "t", metadata={"n": [1, {"x": None}]})]


@pytest.fixture
def set_stdin(monkeypatch):
    def set_content(content):
        stream = io.BufferedReader(
            io.BytesIO(content if isinstance(content, bytes) else content.encode())
        )
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))

    return set_content


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("head", ["", "\ufeff", " \r\n\t"])
def test_an_array_is_read_item_by_item(tmp_path, indent, head):
    path = tmp_path / "x.json"
    path.write_text(
        head + json.dumps(ROWS, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    documents = list(read_documents(path))
    assert documents == DOCUMENTS
    assert [document.source for document in documents] == [f"{path}:item 1", f"{path}:item 2"]


def test_compressed_arrays_and_arrays_of_queries_are_read(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert list(read_documents(tmp_path / "x.json.gz")) == DOCUMENTS
    assert [query.query_id for query in read_queries(tmp_path / "x.json.gz")] == ["a", "b"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunks_may_end_anywhere_in_an_array(tmp_path, monkeypatch, size):
    monkeypatch.setattr(streams, "_CHUNK", size)
    path = tmp_path / "x.json"
    items = [*ROWS, {"id": 12345, "text": "\U0001f600"}]
    path.write_text(json.dumps(items, ensure_ascii=False, indent=1), encoding="utf-8")
    assert list(read_documents(path)) == [*DOCUMENTS, Document("12345", "\U0001f600")]


def test_a_number_across_chunks_is_one_item(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_CHUNK", 1)
    (tmp_path / "x.json").write_text('[1234, {"id": "a", "text": "t"}]')
    bad = []
    assert list(read_documents(tmp_path / "x.json", on_bad_row=bad.append)) == [Document("a", "t")]
    assert [row.place[-6:] for row in bad] == ["item 1"]


@given(
    st.lists(
        st.fixed_dictionaries({"id": st.integers(0, 9), "text": st.text()}), min_size=1, max_size=4
    )
)
def test_arrays_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(rows))
    assert [document.text for document in read_documents(path)] == [row["text"] for row in rows]


def test_invalid_items_are_named_and_valid_ones_kept(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(
        b'[{"id":"a","text":"t"}, 12, "x", {"id":"\xff"}, {"id":"\\udcff"}, [{}], '
        b'{"id":"b","text":"t"}]'
    )
    bad = []
    assert [document.doc_id for document in read_documents(path, on_bad_row=bad.append)] == [
        "a",
        "b",
    ]
    assert [row.place.rsplit(":")[-1] for row in bad] == [
        f"item {number}" for number in range(2, 7)
    ]
    expected = ["got int", "got str", "invalid UTF-8", "lone surrogate", "got list"]
    assert all(text in row.reason for text, row in zip(expected, bad, strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is empty"),
        ("[ \n", "must end its array"),
        (
            '[{"id":"a","text":"t"}',
            r"must end its array with \]: it is cut short or damaged after item 1",
        ),
        ('[{"id":"a","text":"t"} {"id":"b"}]', "must end its array"),
        ('[{"id":"a","text":"t"}] {"id":"b"}', r"must end after its array, got more after item 1"),
        (
            '[{"id":"a","text":"t"}, {"id" "b"}]',
            "item 2 is invalid JSON, .*: Expecting ':' delimiter",
        ),
        (
            '[{"id":"a","text":"t"}, {"id": "b',
            "item 2 is invalid JSON, .*: Unterminated string: a closing quote is missing",
        ),
        ('[{"id":"a","text":"t"}, ' + "[" * 100_000, "item 2 is invalid JSON, .*nested too deeply"),
    ],
)
def test_a_damaged_array_yields_its_valid_items_first(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    documents = []
    with pytest.raises(SourceError, match=message):
        for document in read_documents(tmp_path / "x.json"):
            documents.append(document)
    assert len(documents) == content.count('"text"')


def test_an_endless_item_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("lexpand.data.readers.json_file.LONGEST_LINE", 10)
    (tmp_path / "x.json").write_text('[{"id": "' + "x" * 4_000_000)
    with pytest.raises(SourceError, match="item 1 is invalid JSON"):
        list(read_documents(tmp_path / "x.json"))


def test_memory_does_not_grow_with_the_array(tmp_path):
    item = json.dumps({"id": "a", "text": "x" * 1_000_000})
    (tmp_path / "x.json").write_text(f"[{','.join([item] * 30)}]")
    tracemalloc.start()
    try:
        assert (
            sum(len(document.text) for document in read_documents(tmp_path / "x.json"))
            == 30_000_000
        )
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.ndjson"])
@pytest.mark.parametrize(
    "content",
    ['{\n  "id": "a",\n  "text": "t"\n}\n', '{"id": "a",\n "text": "t"}\n', '{"a": [\n1]}'],
)
def test_an_object_over_several_lines_raises_one_error(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    bad = []
    with pytest.raises(
        SourceError,
        match="must have one object per line, got an object over several lines; write it",
    ):
        list(read_documents(tmp_path / name, on_bad_row=bad.append))
    assert bad == []


@pytest.mark.parametrize("first", ["{", '{"id": "a",', "["])
def test_a_truncated_first_line_does_not_affect_other_lines(tmp_path, first):
    (tmp_path / "x.jsonl").write_text(f'{first}\n{{"id": "b", "text": "t"}}\nbad\n')
    bad = []
    assert list(read_documents(tmp_path / "x.jsonl", on_bad_row=bad.append)) == [Document("b", "t")]
    assert [row.place[-2:] for row in bad] == [":1", ":3"]
    (tmp_path / "x.jsonl").write_text(first)
    assert list(read_documents(tmp_path / "x.jsonl", on_bad_row=bad.append)) == []
    assert bad[2].place[-2:] == ":1"


def test_an_array_in_a_jsonl_file_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps(ROWS, indent=1))
    with pytest.raises(SourceError, match=r"got an array over several lines; name the file \.json"):
        list(read_documents(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("source", ["-", Path("-")])
@pytest.mark.parametrize("array", [True, False])
def test_standard_input_is_read(set_stdin, source, array):
    set_stdin(json.dumps(ROWS) if array else "\n".join(map(json.dumps, ROWS)))
    documents = list(read_documents(source))
    assert documents == DOCUMENTS
    assert documents[0].source == ("standard input:item 1" if array else "standard input:1")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("csv", "id;text\na;b\n"), ("TSV", "id\ttext\na\tb\n"), (".jsonl", '{"id":"a","text":"b"}')],
)
def test_the_format_of_standard_input_can_be_named(set_stdin, kind, content):
    set_stdin(content)
    notes = []
    assert list(read_documents("-", format=kind, on_note=notes.append)) == [Document("a", "b")]
    assert notes == (["standard input: the delimiter is ';'"] if kind == "csv" else [])


def test_invalid_rows_of_standard_input_are_named(set_stdin):
    set_stdin(b'{"id": "a", "text": "t"}\nbad\n')
    bad = []
    assert len(list(read_documents("-", on_bad_row=bad.append))) == 1
    assert bad[0].place == "standard input:2"


def test_empty_or_closed_standard_input_is_refused(set_stdin, monkeypatch):
    set_stdin(b" \n")
    with pytest.raises(SourceError, match="standard input is empty"):
        list(read_documents("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="standard input is closed"):
        list(read_documents("-"))


def test_queries_are_read_from_standard_input(set_stdin):
    set_stdin('{"id": "1", "query": "how?"}\n')
    assert list(read_queries("-")) == [Query("1", "how?")]


def test_standard_input_of_a_process_is_read():
    code = (
        "from lexpand.data import read_documents; "
        "print([document.text for document in read_documents('-')])"
    )
    content = "".join(json.dumps({"text": f"t{number}"}) + "\n" for number in range(3))
    found = subprocess.run(
        [sys.executable, "-c", code], input=content, capture_output=True, text=True, check=True
    )
    assert found.stdout == "['t0', 't1', 't2']\n"


@pytest.mark.parametrize("kind", ["parquet", "md"])
def test_some_formats_cannot_come_from_standard_input(kind):
    with pytest.raises(
        DataError,
        match=f"the format of standard input must be one of jsonl, .* got '{kind}'; name a file",
    ):
        read_documents("-", format=kind)


def test_the_format_of_a_file_can_be_named(tmp_path):
    (tmp_path / "x.log").write_text("id,text\na,b\n")
    (tmp_path / "x.dump.gz").write_bytes(gzip.compress(b'{"id": "a", "text": "b"}'))
    assert list(read_documents(tmp_path / "x.log", format="csv")) == [Document("a", "b")]
    assert list(read_documents(tmp_path / "x.dump.gz", format="jsonl")) == [Document("a", "b")]
    with pytest.raises(
        DataError,
        match=r"format must be one of jsonl, ndjson, json, csv, tsv, parquet, .* got 'xml'",
    ):
        read_documents(tmp_path / "x.log", format="xml")
    with pytest.raises(DataError, match="format must be left out for a folder, got 'csv'"):
        read_documents(tmp_path, format="csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"id":"a","text":"b"}\n{"id":"c","text":"d"}\n{"id":"a","text":"e"}\n'),
        ("x.tsv", "a\tb\nc\td\na\tb\n"),
    ],
)
def test_two_queries_with_one_id_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    bad = []
    assert list(read_queries(path, on_bad_row=bad.append)) == [Query("a", "b"), Query("c", "d")]
    assert (bad[0].place, bad[0].doc_id) == (f"{path}:3", "a")
    assert f"a query_id must be unique, but {path}:1 has the same" in bad[0].reason
