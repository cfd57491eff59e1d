"""Reading JSON lines, CSV and TSV."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, read_documents
from lexpand.errors import SourceError

GOOD = b'{"id": "good", "text": "t"}'


def read_all(path):
    bad = []
    documents = list(read_documents(path, on_bad_row=bad.append))
    return documents, [str(row).removeprefix(f"{path}:") for row in bad]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"id": "a", "text" "b"}',
            "2: invalid JSON at column 20: Expecting ':' delimiter: check the quotes",
        ),
        (b'{"id": "a"', "2: invalid JSON at column "),
        (
            rb'{"id": "a\d"}',
            "2: invalid JSON at column 10: Invalid \\escape: write a backslash as \\\\",
        ),
        (
            b'{"id": "a"} {"id": "b"}',
            "2: invalid JSON at column 13: Extra data: write one object per line",
        ),
        (b"[1, 2]", "2: a line must be an object, got list"),
        (b"null", "2: a line must be an object, got NoneType"),
        (b'"text"', "2: a line must be an object, got str"),
        (b'{"id": "a", "text": "\xff"}', "2: invalid UTF-8 at byte offset 21 of the line (0xff)"),
        (b'{"id": "a", "text": "\xed\xa0\x80"}', "2: invalid UTF-8 at byte offset 21"),
        (
            b'{"id": "a", "text": "b\0c"}',
            "2: a raw NUL byte at byte offset 22 of the line: write it as",
        ),
        (b"\0\0\0", "2: a raw NUL byte at byte offset 0"),
        (
            b'{"id": "a", "text": "b\tc"}',
            "2: invalid JSON at column 23: Invalid control character: a closing quote may be",
        ),
        (b"[" * 100_000, "2: JSON is nested too deeply"),
        (
            b'{"id": "a", "text": "t", "x": ' + b"[" * 200 + b"]" * 200 + b"}",
            "2 (id 'a'): metadata is nested deeper",
        ),
        (b'{"id": "a", "text": "t", "x": ' + b"1" * 5000 + b"}", "2: JSON cannot be read"),
        (b'{"id": "a", "text": "t", "x": 1e999}', "2 (id 'a'): metadata['x'] is inf"),
        (b'{"id": "a", "text": "\\ud800"}', "2 (id 'a'): text has a lone surrogate"),
    ],
)
def test_invalid_json_lines_are_named(tmp_path, line, message):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join([GOOD, line, GOOD]))
    documents, bad = read_all(path)
    assert [document.source.rsplit(":")[-1] for document in documents] == ["1", "3"]
    assert len(bad) == 1
    assert bad[0].startswith(message)
    assert len(bad[0]) < 300


def test_unusual_but_valid_json_lines_are_read(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + GOOD
        + b'\r\n\r\n  \n{"id": "b", "id": "c", "text": "\\u0000\\ud83d\\ude00"}'
    )
    documents, bad = read_all(path)
    assert bad == []
    assert documents == [Document("good", "t"), Document("c", "\0\U0001f600")]
    assert documents[1].source.endswith(":4")


def test_unicode_line_separators_do_not_end_a_line(tmp_path):
    text = "a\u2028b\u0085c"
    (tmp_path / "x.jsonl").write_text(json.dumps({"id": "a", "text": text}, ensure_ascii=False))
    (tmp_path / "x.csv").write_text(f"id,text\na,{text}\n")
    for name in ("x.jsonl", "x.csv"):
        assert [document.text for document in read_documents(tmp_path / name)] == [text]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.tsv"])
def test_a_row_of_ten_megabytes_is_read(tmp_path, name):
    text = "word " * 2_100_000
    rows = {
        "x.jsonl": json.dumps({"id": "a", "text": text}),
        "x.csv": f'id,text\na,"{text}"\n',
        "x.tsv": f"id\ttext\na\t{text}\n",
    }
    (tmp_path / name).write_text(rows[name])
    limit = csv.field_size_limit()
    assert [len(document.text) for document in read_documents(tmp_path / name)] == [10_500_000]
    assert csv.field_size_limit() == limit


def test_the_field_limit_of_the_csv_module_is_restored(tmp_path):
    (tmp_path / "x.csv").write_text("id,text\na,b\nc,d\n")
    limit = csv.field_size_limit()
    documents = read_documents(tmp_path / "x.csv")
    next(documents)
    assert csv.field_size_limit() == limit
    documents.close()


def test_csv_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes('\ufeff"id",text,year\r\n1,"a ""b"",\r\nc",2020\r\n\r\n2,é\0,\r\n'.encode())
    documents = list(read_documents(path))
    assert documents == [
        Document("1", 'a "b",\r\nc', metadata={"year": "2020"}),
        Document("2", "é\0", metadata={"year": ""}),
    ]
    assert [document.source.rsplit(":")[-1] for document in documents] == ["2", "5"]


def test_invalid_csv_rows_are_named_by_their_first_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(
        b"id,text\n"  # 1
        b"a,b,c\n"  # 2: too many
        b'b,"one\ntwo"\n'  # 3, 4: good
        b"c\n"  # 5: too few
        b'd,"one\n\xff two"\n'  # 6, 7: not UTF-8
        b'e,"x"y\n'  # 8: a quote that is not doubled
        b",z\n"  # 9: no id
        b"f,good\n"  # 10
        b'g,"never closed\nto the end\n'  # 11, 12
    )
    documents, bad = read_all(path)
    assert documents == [Document("b", "one\ntwo"), Document("f", "good")]
    assert [document.source.rsplit(":")[-1] for document in documents] == ["3", "10"]
    expected = [
        "2: a row must have 2 columns as its header, got 3",
        "5: a row must have 2 columns as its header, got 1",
        "6: line 7: invalid UTF-8 at byte offset 0 of the line (0xff)",
        "8: invalid CSV: ',' expected after '\"'",
        "9: id must be a non-empty string, got ''",
        "11: invalid CSV: unexpected end of data",
    ]
    assert len(bad) == len(expected)
    for row, start in zip(bad, expected, strict=True):
        assert row.startswith(start)


def test_quotes_are_ordinary_characters_in_tsv(tmp_path):
    (tmp_path / "x.tsv").write_bytes(b'id\ttext\r\n1\t"a\r\n2\tsay "b"\n3\n\n4\t\xff\n')
    documents, bad = read_all(tmp_path / "x.tsv")
    assert documents == [Document("1", '"a'), Document("2", 'say "b"')]
    assert bad[0] == "4: a row must have 2 columns as its header, got 1"
    assert bad[1].startswith("6: invalid UTF-8 at byte offset 2")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_invalid_headers_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"id,text,id\na,b,c\n".replace(b",", b"\t" if name == "x.tsv" else b","))
    with pytest.raises(SourceError, match="the column 'id' twice"):
        list(read_documents(path))
    path.write_bytes(b"id,\xff\na,b\n")
    with pytest.raises(SourceError, match="this is the header"):
        list(read_documents(path))


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8")), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_output_of_the_csv_module_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    buffer = io.StringIO(newline="")
    table = [["id", "text", "extra"], *([str(number), *row[1:]] for number, row in enumerate(rows))]
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(table)
    path.write_bytes(buffer.getvalue().encode())
    documents = [
        [document.doc_id, document.text, document.metadata["extra"]]
        for document in read_documents(path)
    ]
    assert documents == table[1:]
