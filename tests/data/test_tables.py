"""Text tables: delimiters, headers, and cells of declared columns."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.data import Document, Fields, read_documents
from lexpand.errors import DataError, RowError, SourceError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_with_notes(path, **options):
    notes = []
    return list(read_documents(path, on_note=notes.append, **options)), notes


@pytest.mark.parametrize(("delimiter", "shown"), [(";", "';'"), ("\t", "a tab"), ("|", "'|'")])
def test_the_delimiter_of_csv_is_recognized_and_noted(tmp_path, delimiter, shown):
    header, row = (
        delimiter.join(["id", "text", "year"]),
        delimiter.join(["1", f'"a, b{delimiter} c"', "2020"]),
    )
    path = write(tmp_path / "x.csv", f"{header}\n{row}\n")
    documents, notes = read_with_notes(path)
    assert documents == [Document("1", f"a, b{delimiter} c", metadata={"year": "2020"})]
    assert notes == [f"{path}: the delimiter is {shown}"]


def test_a_comma_is_not_noted(tmp_path):
    assert read_with_notes(write(tmp_path / "x.csv", "id,text\n1,a;b;c\n")) == (
        [Document("1", "a;b;c")],
        [],
    )


@pytest.mark.parametrize(
    ("header", "fields", "delimiter"),
    [
        ("id;text, long;title", Fields(), ";"),
        ("id,text|a|b|c|d", Fields(), ","),
        ('"id";"text;with;quotes","x"', Fields(), ";"),
        ('"a;b;c;d",text', Fields(), ","),
        ("Schlüssel;Inhalt, kurz, lang", Fields(doc_id="Schlüssel"), ";"),
        ("text", Fields(), ","),
        ("no;known;name", Fields(), ";"),
        ("a,b;c", Fields(), ","),
        ("ID|Text", Fields(), "|"),
        (" id ; text ", Fields(), ";"),
        ('"unclosed;id', Fields(), ","),
        ("", Fields(), ","),
    ],
)
def test_the_header_decides_the_delimiter(header, fields, delimiter):
    from lexpand.data.readers.delimited import find_delimiter
    from lexpand.data.readers.fields import known_names

    assert find_delimiter(header, known_names(fields)) == delimiter


def test_declared_columns_help_to_find_the_delimiter():
    from lexpand.data.readers.delimited import find_delimiter

    assert find_delimiter("a,b,c,d;year", ["text", "year"]) == ";"


def test_spaces_around_the_names_of_columns_are_dropped(tmp_path):
    for name in ("x.csv", "x.tsv"):
        path = write(
            tmp_path / name,
            "id, text , year\na, b,2020\n".replace(",", "\t" if name == "x.tsv" else ","),
        )
        assert list(read_documents(path)) == [Document("a", " b", metadata={"year": "2020"})]


def test_places_count_blank_lines(tmp_path):
    path = write(tmp_path / "x.csv", b'\xef\xbb\xbf\r\n\r\n"id";"te""xt";text\r\n1;a;b\r\n')
    (document,), _ = read_with_notes(path)
    assert document == Document("1", "b", metadata={'te"xt': "a"})
    assert document.source == f"{path}:4"


@given(
    st.sampled_from(",;|\t"),
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2),
        min_size=1,
        max_size=3,
    ),
)
def test_output_of_the_csv_module_is_read_with_any_delimiter(tmp_path_factory, delimiter, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(
        [["text", "extra"], *rows]
    )
    documents = list(read_documents(write(path, buffer.getvalue())))
    assert [[document.text, document.metadata["extra"]] for document in documents] == rows


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "x.csv",
            "key,words\n1,a\n2,b\n",
            {},
            "x.csv: missing field 'text' (the header has: key, words); name it with",
        ),
        (
            "x.tsv",
            "key\twords\n1\ta\n2\tb\n",
            {},
            "x.tsv: missing field 'text' (the header has: key, words)",
        ),
        (
            "x.csv",
            "id,text\n1,a\n2,b\n",
            {"fields": Fields(doc_id="key")},
            "missing field 'key' (the header has: id, text)",
        ),
        ("x.csv", "id,text\n1,a\n2,b\n", {"fields": Fields(text="body")}, "missing field 'body'"),
        ("x.csv", "id,text\n1,a\n2,b\n", {"fields": Fields(title="name")}, "missing field 'name'"),
        ("x.csv", "ID,Id,text\n1,a,b\n", {}, "fields 'ID' and 'Id' both match 'id'"),
    ],
)
def test_an_invalid_header_raises_one_error(tmp_path, name, content, options, message):
    bad = []
    with pytest.raises(SourceError) as caught:
        list(read_documents(write(tmp_path / name, content), on_bad_row=bad.append, **options))
    assert message in str(caught.value)
    assert bad == []


def test_an_invalid_parquet_schema_raises_one_error(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["1", "2"], "words": ["a", "b"]}), tmp_path / "x.parquet")
    bad = []
    with pytest.raises(SourceError, match=r"missing field 'text' \(the header has: id, words\)"):
        list(read_documents(tmp_path / "x.parquet", on_bad_row=bad.append))
    assert bad == []


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_cells_of_declared_columns_are_parsed(tmp_path, name):
    delimiter = "," if name == "x.csv" else "\t"
    lines = [
        "id,text,n,price,new,kind,other",
        "1,a, 3 ,1e2,YES,7,7",
        "2,b,,,,,",
        "3,c,-4.0,.5,0, x ,",
    ]
    path = write(tmp_path / name, "\n".join(lines).replace(",", delimiter))
    columns = {"n": "integer", "price": "number", "new": "boolean", "kind": "keyword"}
    documents = list(read_documents(path, columns=columns))
    assert [document.metadata for document in documents] == [
        {"n": 3, "price": 100.0, "new": True, "kind": "7", "other": "7"},
        {"other": ""},
        {"n": -4, "price": 0.5, "new": False, "kind": " x ", "other": ""},
    ]
    assert [
        type(document.metadata["new"]) for document in documents if "new" in document.metadata
    ] == [bool, bool]


@pytest.mark.parametrize(
    ("type_name", "cell", "value"),
    [
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "-9223372036854775808", -(2**63)),
        ("integer", "+007", 7),
        ("number", "3", 3),
        ("number", "-1.25", -1.25),
        ("number", "5.", 5),
        ("number", "1E-3", 0.001),
        ("number", "9007199254740993", 9007199254740992.0),
        ("boolean", "False", False),
        ("boolean", "1", True),
        ("keyword", "007", "007"),
    ],
)
def test_cells_are_parsed_as_their_type(tmp_path, type_name, cell, value):
    path = write(tmp_path / "x.csv", f"id,text,c\n1,a,{cell}\n")
    (document,) = read_documents(path, columns={"c": type_name})
    assert document.metadata == {"c": value}
    assert type(document.metadata["c"]) is type(value)


@pytest.mark.parametrize(
    ("type_name", "cell", "expected"),
    [
        ("integer", "three", "a whole number from -2^63 to 2^63 - 1"),
        ("integer", "3.5", "a whole number"),
        ("integer", "9223372036854775808", "a whole number"),
        ("integer", "1_000", "a whole number"),
        ("integer", "٣", "a whole number"),
        ("number", "1e999", "a number such as 3, -0.5 or 1e6"),
        ("number", "nan", "a number"),
        ("number", "1.2.3", "a number"),
        ("number", "1,5", "a number"),
        ("boolean", "maybe", "true, false, yes, no, 1 or 0"),
        ("boolean", "2", "true, false"),
    ],
)
def test_a_cell_that_cannot_be_parsed_is_named_with_its_row(tmp_path, type_name, cell, expected):
    path = write(tmp_path / "x.csv", f'id,text,c\n1,a,"{cell}"\n2,b,\n')
    bad = []
    documents = list(read_documents(path, columns={"c": type_name}, on_bad_row=bad.append))
    assert documents == [Document("2", "b")]
    assert (bad[0].place, bad[0].doc_id) == (f"{path}:2", "1")
    assert f"column 'c' must be {expected}" in bad[0].reason
    assert f"got {cell!r}" in bad[0].reason


def test_declared_columns_do_not_change_ids_and_texts(tmp_path):
    path = write(tmp_path / "x.csv", "id,text\n007,08\n")
    columns = {"id": "integer", "text": "number", "title": "integer"}
    documents, notes = read_with_notes(path, columns=columns)
    assert documents == [Document("007", "08")]
    assert notes == [f"{path} has no declared column 'title'; it has id, text"]


def test_an_unknown_type_is_refused_at_once(tmp_path):
    path = write(tmp_path / "x.csv", "id,text\n1,a\n")
    with pytest.raises(
        DataError, match=r"the type of column 'day' must be one of integer, .* got 'date'"
    ):
        read_documents(path, columns={"day": "date"})


def test_types_may_be_column_types_of_the_index(tmp_path):
    from lexpand.index.columns.types import ColumnType

    path = write(tmp_path / "x.csv", "id,text,n\n1,a,3\n")
    (document,) = read_documents(path, columns={"n": ColumnType.INTEGER})
    assert document.metadata == {"n": 3}
    for column_type in ColumnType:
        read_documents(path, columns={"n": column_type})


def test_ids_of_a_table_without_ids_are_hashes(tmp_path):
    path = write(tmp_path / "x.csv", "text,year\na,1\na,1\na,2\n")
    documents, notes = read_with_notes(path)
    assert [document.doc_id for document in documents] == [
        document.content_hash.hex() for document in documents
    ]
    assert documents[0] == documents[1] != documents[2]
    assert len(notes) == 1
    assert "has no ids (doc_id, id, _id)" in notes[0]
    assert "--id-field" in notes[0]


def test_an_empty_id_in_a_table_with_ids_is_refused(tmp_path):
    with pytest.raises(RowError, match="ID must be a non-empty string, got ''"):
        list(read_documents(write(tmp_path / "x.csv", "text,ID\na,\n")))
