"""Training data: good rows are read, bad ones are listed, and every row gets its negatives."""

import json
import math
from pathlib import Path

import pytest

from lexpand.errors import DataError, RowError, SourceError
from lexpand.train.examples import Example, grouped, read_examples


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[Example], list[RowError]]:
    refused: list[RowError] = []
    return list(read_examples([path], refused.append)), refused


def test_pairs_triples_and_scored_lists_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"query": "q1", "title": "T", "text": "text"},
        {"query": "q2", "positive": "p", "negatives": ["n"]},
        {"query": "q3", "positive": "p", "negatives": ["n", "m"], "scores": [3, 1.5, None]},
    )
    examples, refused = read(path)
    assert refused == []
    assert [(each.query, each.documents) for each in examples] == [
        ("q1", ("T text",)),
        ("q2", ("p", "n")),
        ("q3", ("p", "n", "m")),
    ]
    assert examples[2].scores[:2] == (3.0, 1.5)
    assert math.isnan(examples[2].scores[2])
    assert read(tmp_path)[0] == examples


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "a row must be a JSON object"),
        ([1], "a row must be a JSON object, got list"),
        ({"text": "t"}, "query must be a text that is not empty, got None"),
        ({"query": " ", "text": "t"}, "query must be a text that is not empty, got ' '"),
        ({"query": "q"}, "positive must be a text that is not empty, got None"),
        ({"query": "q", "positive": "p", "negatives": "n"}, "negatives must be a list of texts"),
        ({"query": "q", "positive": "p", "negatives": ["n", 3]}, "negative 2 must be a text"),
        ({"query": "q", "positive": "p", "negatives": ["p"]}, "must differ from the positive"),
        ({"query": "q", "positive": "p", "scores": [1, 2]}, "scores must be a list of 1 numbers"),
        ({"query": "q", "positive": "p", "scores": ["1"]}, "a score must be a number or null"),
    ],
)
def test_a_bad_row_is_listed_and_the_others_are_used(
    tmp_path: Path, row: object, message: str
) -> None:
    good = {"query": "q", "positive": "p"}
    examples, refused = read(write(tmp_path / "a.jsonl", good, row, good))
    assert len(examples) == 2
    assert len(refused) == 1
    assert str(refused[0]).startswith(f"{tmp_path / 'a.jsonl'}:2")
    assert message in str(refused[0])


def test_a_folder_without_json_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no JSON lines file"):
        read(tmp_path)


def test_rows_have_equally_many_documents_and_depend_on_the_seed_alone() -> None:
    examples = [
        Example("a", ("a+", "a1", "a2", "a3"), (4.0, 1.0, 2.0, 3.0)),
        Example("b", ("b+",)),
        Example("c", ("c+", "c1"), (2.0, 1.0)),
    ]
    rows = list(grouped(examples, 2, seed=3))
    assert [list(row) for row in rows] == [
        ["query", "document_0", "document_1", "document_2", "label"]
    ] * 3
    assert [row["document_0"] for row in rows] == ["a+", "b+", "c+"]
    known = dict(zip(examples[0].documents, examples[0].scores, strict=True))
    assert rows[0]["label"] == [known[rows[0][f"document_{i}"]] for i in range(3)]
    assert rows[1]["document_1"] in ("a+", "c+")
    assert all(map(math.isnan, rows[1]["label"]))
    assert rows[2]["label"][:2] == [2.0, 1.0]
    assert repr(list(grouped(examples, 2, seed=3))) == repr(rows)
    others = {repr(list(grouped(examples, 2, seed=seed))) for seed in range(9)}
    assert len(others) > 1


def test_one_positive_cannot_be_a_negative() -> None:
    with pytest.raises(DataError, match="at least two different positives"):
        list(grouped([Example("a", ("same",)), Example("b", ("same",))], 1, seed=0))
