import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexpand.data import Document, read_documents
from lexpand.errors import MissingExtra, SourceError


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_of_every_row_group_are_read(tmp_path):
    table = pa.table({"id": range(1000), "text": [f"t{number}" for number in range(1000)]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=300)
    documents = list(read_documents(tmp_path / "x.parquet"))
    assert documents == [Document(str(number), f"t{number}") for number in range(1000)]
    assert documents[999].source == f"{tmp_path / 'x.parquet'}:row 1000"


def test_columns_of_every_type_become_metadata(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        id=["a"],
        text=["t"],
        title=pa.array([None], pa.string()),
        day=[datetime.date(2020, 1, 2)],
        moment=pa.array([1], pa.timestamp("ns", "UTC")),
        hour=[datetime.time(1, 2)],
        price=[decimal.Decimal("1.50")],
        tags=pa.array(["x"]).dictionary_encode(),
        inner=[{"n": [1, None]}],
        flag=[True],
    )
    (document,) = read_documents(path)
    assert document.title == ""
    assert document.metadata == {
        "day": "2020-01-02",
        "moment": "1970-01-01 00:00:00.000000001Z",
        "hour": "01:02:00.000000",
        "price": "1.50",
        "tags": "x",
        "inner": {"n": [1, None]},
        "flag": True,
    }


def test_invalid_rows_are_named_and_valid_ones_kept(tmp_path):
    broken = pa.array([b"a", b"\xff", b"c", None, b"e", b"f"]).view(pa.string())
    path = write(
        tmp_path / "x.parquet",
        id=["1", "2", "", "4", "5", "6"],
        text=broken,
        x=[0.0, 0.0, 0.0, 0.0, float("nan"), 0.0],
    )
    bad = []
    documents = list(read_documents(path, on_bad_row=bad.append))
    assert [document.doc_id for document in documents] == ["1", "6"]
    rows = [(row.place.removeprefix(str(path)), row.doc_id) for row in bad]
    assert rows == [(":row 2", None), (":row 3", None), (":row 4", "4"), (":row 5", "5")]
    expected = ["UTF-8", "id must be a non-empty string", "'text' must not be null", "nan"]
    assert all(text in row.reason for text, row in zip(expected, bad, strict=True))


def test_a_text_column_of_bytes_is_refused(tmp_path):
    bad = []
    assert not list(
        read_documents(write(tmp_path / "x.parquet", id=["a"], text=[b"t"]), on_bad_row=bad.append)
    )
    assert "text must be a string, got b't' (bytes)" in bad[0].reason


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    path = write(tmp_path / "x.parquet", id=["a"], text=["t" * 1000])
    content = path.read_bytes()
    for broken in (b"", b"hello", content[:-20], content[:-1]):
        path.write_bytes(broken)
        with pytest.raises(SourceError, match="is not a Parquet file, or is damaged"):
            list(read_documents(path))


def test_empty_tables_and_repeated_columns_are_refused(tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        list(
            read_documents(
                write(
                    tmp_path / "x.parquet",
                    id=pa.array([], pa.string()),
                    text=pa.array([], pa.string()),
                )
            )
        )
    pq.write_table(pa.Table.from_arrays([["a"], ["b"]], names=["id", "id"]), tmp_path / "y.parquet")
    with pytest.raises(SourceError, match="the column 'id' twice"):
        list(read_documents(tmp_path / "y.parquet"))


def test_an_error_names_the_extra_if_pyarrow_is_missing(tmp_path, monkeypatch):
    path = write(tmp_path / "x.parquet", id=["a"], text=["t"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtra, match=r"reading Parquet files needs pyarrow: pip install 'lexpand\[parquet\]'"
    ):
        list(read_documents(path))
