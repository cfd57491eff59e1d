"""Documents from Python objects: paths, texts, rows and data frames."""

import datetime
import decimal
import io
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lexpand.data import Document, Fields, documents_of
from lexpand.data.frames import plain
from lexpand.errors import DataError, RowError, SourceError


def hashed(text, title="", **metadata):
    return Document.from_content(text, title, metadata)


def read_all(source, **options):
    bad = []
    documents = list(documents_of(source, on_bad_row=bad.append, **options))
    return documents, [(row.place, row.doc_id, row.reason) for row in bad]


def test_texts_get_the_hash_of_their_content():
    documents = list(documents_of(["one", "two", "one"]))
    assert documents == [hashed("one"), hashed("two"), hashed("one")]
    assert documents[0].doc_id == documents[0].content_hash.hex()
    assert len(documents[0].doc_id) == 32
    assert documents[1].source == "documents[1]"


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        iter,
        lambda items: (item for item in items),
        lambda items: dict.fromkeys(items).keys(),
    ],
)
def test_any_iterable_of_texts_is_accepted(make):
    assert list(documents_of(make(["one", "two"]))) == [hashed("one"), hashed("two")]


def test_texts_rows_and_documents_may_be_mixed():
    document = Document("a", "t", source="own")
    items = [
        document,
        "text",
        {"ID": 7, "Body": "b", "year": 2020},
        {"text": "c", "title": "T", "n": [1]},
    ]
    documents = list(documents_of(items))
    assert documents == [
        document,
        hashed("text"),
        Document("7", "b", metadata={"year": 2020}),
        hashed("c", "T", n=[1]),
    ]
    assert documents[0].source == "own"


def test_a_single_row_or_document_is_accepted():
    assert list(documents_of({"id": "a", "text": "t"})) == [Document("a", "t")]
    assert list(documents_of(Document("a", "t"))) == [Document("a", "t")]
    assert list(documents_of([])) == []


def test_fields_apply_to_rows_and_not_to_texts():
    fields = Fields(doc_id="key", text="words")
    documents, bad = read_all(
        [{"KEY": 1, "words": "w", "text": "t"}, "text", {"words": "w"}], fields=fields
    )
    assert documents == [Document("1", "w", metadata={"text": "t"}), hashed("text")]
    assert bad[0][0] == "documents[2]"
    assert "missing field 'key'" in bad[0][2]


def test_invalid_items_are_named_and_valid_ones_kept():
    items = [
        "a",
        None,
        7,
        {"title": "no text"},
        {"id": None, "text": "t"},
        {"id": "x", "text": 5},
        b"x",
        Path("y"),
        "z\ud800",
        "b",
    ]
    documents, bad = read_all(items)
    assert documents == [hashed("a"), hashed("b")]
    assert [place for place, _, _ in bad] == [f"documents[{number}]" for number in range(1, 9)]
    expected = [
        "got None (NoneType)",
        "got 7 (int)",
        "missing field 'text'",
        "field 'id' must not be null",
        "text must be a string, got 5",
        "bytes",
        "pass a path alone",
        "lone surrogate",
    ]
    assert all(text in reason for text, (_, _, reason) in zip(expected, bad, strict=True))
    assert bad[4][1] == "x"
    with pytest.raises(
        RowError, match=r"documents\[1\]: an item must be a text, a dict or a Document, got None"
    ):
        list(documents_of(items))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_a_source(tmp_path, kind):
    (tmp_path / "x.csv").write_text("id;text;n\na;b;3\n")
    notes = []
    documents = documents_of(
        kind(tmp_path / "x.csv"), columns={"n": "integer"}, on_note=notes.append
    )
    assert list(documents) == [Document("a", "b", metadata={"n": 3})]
    assert len(notes) == 1
    (tmp_path / "log").write_text("id,text\na,b\n")
    assert list(documents_of(kind(tmp_path / "log"), format="csv")) == [Document("a", "b")]
    (tmp_path / "x.csv").unlink()
    (tmp_path / "log").rename(tmp_path / "a.txt")
    assert [document.doc_id for document in documents_of(kind(tmp_path))] == ["a.txt"]


@pytest.mark.parametrize(
    "text", ["How do I reset my login?", "", "a\0b", "long " * 2000, "two\nlines"]
)
def test_a_string_that_is_not_a_path_is_refused_at_once(text):
    with pytest.raises(
        SourceError,
        match=r"which does not exist; check the path; to add one text, pass a list: \[text\]",
    ) as error:
        documents_of(text)
    assert len(str(error.value)) < 250


def test_a_path_that_does_not_exist_is_refused_at_once(tmp_path):
    with pytest.raises(SourceError, match="gone does not exist"):
        documents_of(tmp_path / "gone")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            None,
            "documents must be a path, a list of texts, dicts or Documents, "
            "or a data frame, got None",
        ),
        (7, "got 7 \\(int\\); pass a list of texts"),
        (b"text", "got b'text' \\(bytes\\)"),
        (io.StringIO("text"), "got an open file; pass its path"),
        (type("LazyFrame", (), {"collect": None})(), "call its collect\\(\\) first"),
    ],
)
def test_an_object_of_another_type_is_refused_at_once(given, message):
    with pytest.raises(DataError, match=message):
        documents_of(given)


def test_documents_are_read_lazily():
    def texts():
        yield "first"
        raise EOFError("of the generator")

    documents = documents_of(texts())
    assert next(documents) == hashed("first")
    with pytest.raises(EOFError, match="of the generator"):
        next(documents)


def test_cells_of_rows_become_json():
    row = {
        "text": "t",
        "n": np.int64(3),
        "x": np.float32(0.5),
        "flag": np.bool_(True),
        "day": datetime.date(2024, 5, 1),
        "price": decimal.Decimal("1.50"),
        "vector": np.array([1, 2]),
        "inner": {"gone": float("nan"), "n": np.int8(1)},
        "null": None,
        "nan": float("nan"),
        "nat": np.datetime64("NaT"),
        7: "a name that is a number",
    }
    (document,) = documents_of([row])
    assert document.metadata == {
        "n": 3,
        "x": 0.5,
        "flag": True,
        "day": "2024-05-01",
        "price": "1.50",
        "vector": [1, 2],
        "inner": {"gone": None, "n": 1},
        "null": None,
        "7": "a name that is a number",
    }
    assert [type(document.metadata[name]) for name in ("n", "x", "flag")] == [int, float, bool]


@pytest.mark.parametrize("name", ["id", "ID"])
def test_a_missing_id_of_a_row_is_not_replaced(name):
    _, bad = read_all([{name: float("nan"), "text": "t"}])
    assert f"field '{name}' must not be null" in bad[0][2]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (np.datetime64("2024-05-01T12:00"), "2024-05-01T12:00"),
        (datetime.datetime(2024, 5, 1, 12), "2024-05-01T12:00:00"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("NaN"), None),
        (np.float64("nan"), None),
        (np.str_("x"), "x"),
        ((1, float("nan")), [1, None]),
        (float("inf"), float("inf")),
    ],
)
def test_cells_are_converted_to_json(cell, expected):
    assert plain(cell) == expected


class NAType:
    """A value like pandas' NA, whose comparisons are not booleans."""

    def __eq__(self, other):
        return self

    __hash__ = object.__hash__

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


class FakePandas:
    """The methods of pandas data frames that are used; records the requested slices."""

    def __init__(self, rows, columns=None):
        self.rows, self.columns, self.requested = rows, columns or list(rows[0]), []

    def __len__(self):
        return len(self.rows)

    @property
    def iloc(self):
        return self

    def __getitem__(self, part):
        self.requested.append((part.start, part.stop))
        return FakePandas(self.rows[part], self.columns)

    def to_dict(self, orient):
        assert orient == "records"
        return self.rows


class FakePolars:
    columns = ("id", "text", "x")

    def iter_rows(self, *, named):
        assert named
        return iter([{"id": 1, "text": "t", "x": None}, {"id": 2, "text": "u", "x": float("nan")}])


def test_a_pandas_frame_is_read_in_slices():
    rows = [
        {"id": number, "text": f"t{number}", "n": np.int64(number), "gone": NAType()}
        for number in range(600)
    ]
    frame = FakePandas(rows)
    documents = documents_of(frame)
    assert next(documents) == Document("0", "t0", metadata={"n": 0})
    assert frame.requested == [(0, 256)]
    assert len(list(documents)) == 599
    assert frame.requested == [(0, 256), (256, 512), (512, 768)]


def test_a_polars_frame_is_read():
    assert list(documents_of(FakePolars())) == [Document("1", "t"), Document("2", "u")]


def test_every_row_of_a_frame_with_ids_must_have_one():
    documents, bad = read_all(
        FakePandas([{"ID": "a", "text": "t"}, {"ID": float("nan"), "text": "u"}])
    )
    assert documents == [Document("a", "t")]
    assert bad[0][0] == "documents[1]"
    assert "field 'ID' must not be null" in bad[0][2]
    assert list(documents_of(FakePandas([{"text": "t"}, {"text": "t"}]))) == [
        hashed("t"),
        hashed("t"),
    ]


def test_a_frame_without_a_text_raises_one_error():
    bad = []
    with pytest.raises(
        SourceError, match=r"documents: missing field 'text' \(the header has: id, words\)"
    ):
        list(documents_of(FakePandas([{"id": 1, "words": "w"}] * 3), on_bad_row=bad.append))
    with pytest.raises(SourceError, match="documents has the column 'text' twice"):
        list(documents_of(FakePandas([{"text": "w"}], ["text", "text"])))
    assert bad == []


def test_rows_are_numbered_across_several_frames():
    """pandas returns several frames for a file that is read with a chunk size."""
    pieces = [
        FakePandas([{"text": "a"}, {"text": "b"}]),
        FakePandas([{"text": None}, {"text": "d"}]),
        "e",
    ]
    documents, bad = read_all(pieces)
    assert [document.text for document in documents] == ["a", "b", "d", "e"]
    assert [document.source[-3:] for document in documents] == ["[0]", "[1]", "[3]", "[4]"]
    assert bad[0][0] == "documents[2]"


TABLE = pa.table(
    {
        "id": pa.array(range(600)),
        "text": [f"t{number}" for number in range(600)],
        "day": pa.array([datetime.date(2024, 5, 1)] + [None] * 599),
        "moment": pa.array([1] * 600, pa.timestamp("ns")),
        "x": pa.array([float("nan")] * 600),
    }
)


@pytest.mark.parametrize(
    "make", [lambda: TABLE, lambda: TABLE.to_batches()[0], TABLE.to_reader, TABLE.to_batches]
)
def test_arrow_tables_are_read(make):
    documents = list(documents_of(make()))
    moment = {"moment": "1970-01-01 00:00:00.000000001"}
    assert documents[0] == Document("0", "t0", metadata={"day": "2024-05-01", **moment})
    assert documents[1:] == [
        Document(str(number), f"t{number}", metadata=moment) for number in range(1, 600)
    ]
    assert documents[599].source == "documents[599]"


def test_an_arrow_text_that_is_not_utf8_is_refused():
    documents, bad = read_all(pa.table({"text": pa.array([b"a", b"\xff", b"c"]).view(pa.string())}))
    assert documents == [hashed("a"), hashed("c")]
    assert bad[0][0] == "documents[1]"
    assert "must be UTF-8, got invalid bytes" in bad[0][2]


def test_a_named_tuple_is_not_a_row():
    _, bad = read_all([namedtuple("Pair", "id text")("a", "t")])
    assert "got Pair(id='a', text='t') (Pair)" in bad[0][2]


def test_no_data_frame_library_is_imported():
    code = (
        "import sys; from lexpand.data import documents_of; "
        "print(len(list(documents_of(['a', {'text': 'b'}])))); "
        "print([name for name in ('pandas', 'polars', 'pyarrow') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "2\n[]\n"


def test_a_real_pandas_frame_is_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "id": [1, 2],
            "text": ["a", "b"],
            "n": [3.0, None],
            "count": pandas.array([4, None], "Int64"),
            "flag": pandas.array([True, None], "boolean"),
            "kind": pandas.Categorical(["x", None]),
            "moment": pandas.to_datetime(["2024-05-01 12:00", None]),
            "wait": pandas.to_timedelta(["1h", None]),
            "tags": [["p", "q"], None],
            5: ["five", None],
        }
    )
    expected = [
        Document(
            "1",
            "a",
            metadata={
                "n": 3.0,
                "count": 4,
                "flag": True,
                "kind": "x",
                "moment": "2024-05-01T12:00:00",
                "wait": "0 days 01:00:00",
                "tags": ["p", "q"],
                "5": "five",
            },
        ),
        Document("2", "b"),
    ]
    assert list(documents_of(frame)) == expected
    first, second = documents_of(frame.to_dict("records"))
    assert first == expected[0]
    assert set(second.metadata.values()) == {None}, "a null in a row is a null in the document"
    assert list(documents_of(frame["text"])) == [hashed("a"), hashed("b")]
    many = pandas.DataFrame({"text": [f"t{number}" for number in range(1000)]})
    assert list(documents_of(many)) == [hashed(f"t{number}") for number in range(1000)]


def test_a_real_polars_frame_is_read():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "id": ["a", "b"],
            "text": ["t", "u"],
            "n": [1, None],
            "x": [float("nan"), 0.5],
            "day": [datetime.date(2024, 5, 1), None],
            "tags": [["p"], None],
            "inner": [{"k": 1}, {"k": None}],
        }
    )
    assert list(documents_of(frame)) == [
        Document(
            "a", "t", metadata={"n": 1, "day": "2024-05-01", "tags": ["p"], "inner": {"k": 1}}
        ),
        Document("b", "u", metadata={"x": 0.5, "inner": {"k": None}}),
    ]
    assert list(documents_of(frame["text"])) == [hashed("t"), hashed("u")]
    with pytest.raises(DataError, match=r"call its collect\(\) first"):
        documents_of(frame.lazy())
