"""Rows keep all their fields, and bad rows are listed."""

import json
import math
from pathlib import Path

import pytest

from lexpand.errors import RowError, SourceError
from lexpand.train.rows import FIRST, UNNAMED, Row, key_of, pairs_of, read_rows, write_rows


def read(path: Path) -> tuple[list[Row], list[RowError]]:
    refused: list[RowError] = []
    return list(read_rows([path], refused.append)), refused


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return path


def test_rows_of_each_form_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"query": "q1", "title": "T", "text": "text", "id": 3},
        {"query": "q2", "positive": "p", "negatives": ["n"], "title": "kept", "scores": [1, None]},
        {"query": "q3", "positive": "p", "negatives": None, "scores": {"a": [1], "b": [2.5]}},
        {"query": "q4", "title": "T"},
    )
    rows, refused = read(path)
    assert refused == []
    assert rows[0] == Row("q1", ("T text",), {}, {"id": 3})
    assert (rows[1].documents, rows[1].fields) == (("p", "n"), {"title": "kept"})
    assert math.isnan(rows[1].scores[UNNAMED][1])
    assert rows[2] == Row("q3", ("p",), {"a": (1.0,), "b": (2.5,)})
    assert rows[3].documents == ("T",)
    assert list(pairs_of(rows)) == [
        ("q1", "T text"),
        ("q2", "p"),
        ("q2", "n"),
        ("q3", "p"),
        ("q4", "T"),
    ]


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.jsonl.zst"])
def test_written_rows_are_read_as_they_were(tmp_path: Path, name: str) -> None:
    rows = [
        Row("q é\u2028", ("p", "n"), {UNNAMED: (1.25, -0.123456789)}, {"query_id": "7"}),
        Row("q", ("p",), {"a": (1.0,), "b": (2.0,)}),
        Row("q", ("p",), {UNNAMED: (math.nan,)}),
    ]
    write_rows(tmp_path / name, rows)
    again, refused = read(tmp_path / name)
    assert refused == []
    assert again[0] == Row("q é\u2028", ("p", "n"), {UNNAMED: (1.25, -0.12346)}, {"query_id": "7"})
    assert again[1] == rows[1]
    assert again[2] == Row("q", ("p",))  # a list without a number says nothing
    assert read(tmp_path)[0] == again


def test_null_marks_a_document_without_a_score() -> None:
    row = Row("q", ("p", "n"), {UNNAMED: (1.0, math.nan), "b": (2.0, 3.0)})
    assert row.to_dict()["scores"] == {FIRST: [1.0, None], "b": [2.0, 3.0]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "a row must be a JSON object"),
        ("[" * 100_000, "a row must be a JSON object"),
        ([1], r"a row must be a JSON object, got \[1\] \(list\)"),
        ({"text": "t"}, "a row must have `query`, got the fields text"),
        ({"query": "q"}, "a row must have `positive`, or `text`, got the fields query"),
        ({"query": "q", "positive": "p", "negatives": "n"}, "negatives must be a list of texts"),
        ({"query": "q", "positive": "p", "negatives": ["n", 3]}, "negative 2 must be a text"),
        ({"query": "q", "positive": "p", "negatives": ["p"]}, "must differ from the positive"),
        ({"query": "q", "positive": "p\ud800"}, "positive .*surrogate"),
        ({"query": "q", "positive": "p", "tag": "\ud800"}, "the field 'tag' .*surrogate"),
        ({"query": "q", "positive": "p", "scores": [1, 2]}, "scores must be a list of 1 numbers"),
        ({"query": "q", "positive": "p", "scores": {"a": 1}}, "scores must be a list of 1 numbers"),
        ({"query": "q", "positive": "p", "scores": [True]}, "must be a finite number or null"),
        ('{"query": "q", "positive": "p", "scores": [1e999]}', "must be a finite number or null"),
    ],
)
def test_a_bad_row_is_listed_and_the_others_are_used(
    tmp_path: Path, row: object, message: str
) -> None:
    path = write(tmp_path / "a.jsonl", row, {"query": "q", "positive": "p"})
    rows, (error,) = read(path)
    assert rows == [Row("q", ("p",))]
    assert error.place == f"{path}:1"
    with pytest.raises(RowError, match=message):
        raise error


def test_bytes_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"query": "\xff"}\n')
    rows, (error,) = read(path)
    assert rows == []
    assert "invalid UTF-8" in error.reason


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no JSON lines file"):
        read(tmp_path)


def test_queries_are_compared_without_case_and_outer_space() -> None:
    assert key_of("  Reset THE password ") == key_of("reset the password")
