"""Training data: good rows are read, bad ones are listed, and every row gets its negatives."""

import gzip
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lexpand.errors import DataError, RowError, SourceError, StorageError
from lexpand.train.examples import (
    Example,
    Examples,
    average_teachers,
    make_rows,
    read_examples,
    read_training_data,
)
from lexpand.train.store import rows_on_disk


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
        ([1], "a row must be a JSON object, got [1] (list)"),
        ({"text": "t"}, "a row must have `query`, got the fields text"),
        ({"query": " ", "text": "t"}, "query must be a text that is not empty, got ' '"),
        ({"query": "q"}, "a row must have `positive`, or `text`, got the fields query"),
        ({"query": "q", "positive": "p", "negatives": "n"}, "negatives must be a list of texts"),
        ({"query": "q", "positive": "p", "negatives": ["n", 3]}, "negative 2 must be a text"),
        ({"query": "q", "positive": "p", "negatives": ["p"]}, "must differ from the positive"),
        ({"query": "q", "positive": "p", "scores": [1, 2]}, "scores must be a list of 1 numbers"),
        (
            {"query": "q", "positive": "p", "scores": ["1"]},
            "a score must be a finite number or null",
        ),
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
    rows = list(make_rows(examples, 2, seed=3))
    assert [list(row) for row in rows] == [
        ["query", "document_0", "document_1", "document_2", "label"]
    ] * 3
    assert [row["document_0"] for row in rows] == ["a+", "b+", "c+"]
    known = dict(zip(examples[0].documents, examples[0].scores, strict=True))
    assert rows[0]["label"] == [known[rows[0][f"document_{i}"]] for i in range(3)]
    assert rows[1]["document_1"] in ("a+", "c+")
    assert all(map(math.isnan, rows[1]["label"]))
    assert rows[2]["label"][:2] == [2.0, 1.0]
    assert repr(list(make_rows(examples, 2, seed=3))) == repr(rows)
    others = {repr(list(make_rows(examples, 2, seed=seed))) for seed in range(9)}
    assert len(others) > 1


def test_one_positive_cannot_be_a_negative() -> None:
    with pytest.raises(DataError, match="at least two different positives"):
        list(make_rows([Example("a", ("same",)), Example("b", ("same",))], 1, seed=0))


def load(*paths: object, distills: bool = False) -> tuple[list[Example], list[RowError]]:
    refused: list[RowError] = []
    examples, _ = read_training_data(
        [str(path) for path in paths], batch_size=2, distills=distills, seed=3, refused=refused
    )
    return examples, refused


def test_a_beir_folder_is_trained_on_its_training_judgments(tmp_path: Path) -> None:
    documents = [{"_id": f"d{i}", "title": "T", "text": f"text {i}"} for i in range(4)]
    write(tmp_path / "corpus.jsonl", *documents)
    write(tmp_path / "queries.jsonl", *({"_id": f"q{i}", "text": f"query {i}"} for i in range(3)))
    (tmp_path / "qrels").mkdir()
    lines = ["query-id\tcorpus-id\tscore", "q0\td0\t1", "q0\td1\t2", "q0\td2\t0"]
    lines += ["q1\td3\t1", "q1\td9\t1", "q7\td3\t1", "q2\td3\t1"]
    write(tmp_path / "qrels" / "train.tsv", *lines)
    examples, refused = load(tmp_path)
    assert [(each.query, each.documents) for each in examples] == [
        ("query 0", ("T text 0", "T text 2")),
        ("query 0", ("T text 1", "T text 2")),
        ("query 2", ("T text 3",)),
    ]
    assert [each.reason for each in refused] == [
        "judged ids must be in the folder, document 'd9' is not",
        "judged ids must be in the folder, query 'q7' is not",
    ]


def test_compressed_judgments_are_found(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", {"_id": "d", "text": "text"}, {"_id": "e", "text": "other"})
    write(tmp_path / "queries.jsonl", {"_id": "q", "text": "query"})
    (tmp_path / "qrels").mkdir()
    lines = "query-id\tcorpus-id\tscore\nq\td\t1\nq\te\t1\n"
    (tmp_path / "qrels" / "train.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    examples, refused = load(tmp_path)
    assert [each.documents for each in examples] == [("text",), ("other",)]
    assert refused == []


def test_test_judgments_are_not_trained_on(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", {"_id": "d", "text": "text"})
    write(tmp_path / "queries.jsonl", {"_id": "q", "text": "query"})
    (tmp_path / "qrels").mkdir()
    write(tmp_path / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q\td\t1")
    with pytest.raises(SourceError, match=r"must have qrels/train\.tsv to train on, got test\.tsv"):
        load(tmp_path)


def test_a_weight_says_how_often_each_row_is_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", *({"query": f"q{i}", "positive": f"p{i}"} for i in range(10))
    )
    counts = [
        [each.query for each in load(f"{path}:{weight}")[0]] for weight in ("2", "0.3", "1.5")
    ]
    assert sorted(counts[0]) == sorted([f"q{i}" for i in range(10)] * 2)
    assert len(counts[1]) == len(set(counts[1])) == 3
    assert len(counts[2]) == 15
    assert len(set(counts[2])) == 10
    for weight in ("0", "-1", "nan", "inf"):
        with pytest.raises(DataError, match=f"must be above 0 and at most 1000, got {weight}"):
            load(f"{path}:{weight}")
    named = write(
        tmp_path / "b:3", {"query": "q", "positive": "p"}, {"query": "r", "positive": "s"}
    )
    assert len(load(named)[0]) == 2


def test_rows_that_cannot_be_distilled_are_listed(tmp_path: Path) -> None:
    row = {"query": "q", "positive": "p", "negatives": ["n", "m"]}
    path = write(
        tmp_path / "a.jsonl",
        {**row, "scores": [2, None, 1]},
        {**row, "scores": [None, 1, 1]},
        {**row, "scores": [2, None, None]},
        row,
        {**row, "scores": {"one": [2, None, None], "two": [3, 1, None]}},
    )
    examples, refused = load(path, distills=True)
    assert len(examples) == 2
    assert [each.place for each in refused] == [f"{path}:{line}" for line in (2, 3, 4)]
    assert "needs a teacher score of the positive and of a negative" in refused[0].reason
    (made,) = make_rows(examples[:1], 1, seed=0, distills=True)
    assert (made["document_1"], made["label"]) == ("m", [2.0, 1.0])
    with pytest.raises(DataError, match="none of 2 rows has `scores`"):
        load(write(tmp_path / "b.jsonl", row, row), distills=True)


def test_a_batch_needs_enough_examples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"query": "q", "positive": "p"}, {"query": "q"})
    with pytest.raises(DataError, match="at least 2 usable examples, got 1; 1 rows were refused"):
        load(path)


def test_teachers_of_different_ranges_have_equal_votes() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 6, 4))
    both = average_teachers([one, other])
    assert np.allclose(both, average_teachers([one, other * 100 + 7]))
    assert (np.argsort(average_teachers([one]), axis=1) == np.argsort(one, axis=1)).all()
    with pytest.raises(DataError, match="at least one matrix"):
        average_teachers([])
    with pytest.raises(DataError, match=r"must have the shape \(6, 4\), got \(6, 3\)"):
        average_teachers([one, other[:, :3]])


def test_a_document_is_averaged_over_the_teachers_that_scored_it() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 2, 4))
    one[0, 1] = other[0, 1] = other[1, 2] = np.nan
    assert np.argwhere(np.isnan(average_teachers([one, other]))).tolist() == [[0, 1]]


def test_several_teachers_become_one(tmp_path: Path) -> None:
    row = {"query": "q", "positive": "p", "negatives": ["n", "m"]}
    rows = [{**row, "scores": {"a": [3, 2, 1], "b": [30, 10, 20]}}, {**row, "scores": [5, 4, 3]}]
    examples, _ = load(write(tmp_path / "a.jsonl", *rows))
    assert all(each.others == () for each in examples)
    assert examples[1].scores == (5.0, 4.0, 3.0)
    positive, one, other = examples[0].scores
    assert positive > one == pytest.approx(other)


def test_examples_on_disk_are_those_that_were_written() -> None:
    written = [
        Example("q\u00e9\n", ("p\x00", "n\U0001f600"), (1.5, math.inf), "a:1"),
        Example("b", ("c",)),
    ]
    examples = Examples()
    for example in written:
        examples.write(example)
    assert len(examples) == 0  # in no pass yet
    examples.take([1, 0, 1])
    assert list(examples) == [written[1], written[0], written[1]]
    assert examples[1].place == "a:1"
    assert examples[-1] == written[1]
    assert examples[:2] == [written[1], written[0]]


def test_memory_holds_a_few_numbers_of_each_example() -> None:
    examples = Examples()
    tracemalloc.start()
    try:
        for i in range(3000):
            examples.write(Example(f"q{i}", ("x" * 2000, "y" * 2000)))
        examples.take(range(3000))
        assert sum(len(each.documents[0]) for each in examples) == 6_000_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # the texts have 12 MB


def test_several_teachers_have_the_spread_of_the_first_in_the_whole_pass() -> None:
    """Scores are scaled by the mean over all examples, each as often as it is taken."""
    one, other = np.random.default_rng(4).normal(size=(2, 3, 4))
    examples = Examples()
    for row in range(3):
        examples.write(
            Example("q", ("p", "a", "b", "c"), tuple(one[row]), others=(tuple(other[row]),))
        )
    order = [0, 1, 2, 2]
    examples.take(order[:2])
    examples.take(order[2:])
    expected = average_teachers([one[order], other[order]])
    assert np.allclose([example.scores for example in examples], expected)


def test_rows_on_disk_are_a_dataset(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    rows = [
        {"query": f"q{i}", "document_0": "d" * i, "label": [1.0, math.nan]} for i in range(2500)
    ]
    found = rows_on_disk(iter(rows), tmp_path / "rows.arrow")
    assert len(found) == 2500
    for place in (0, 999, 1000, 2499):
        assert found[place]["document_0"] == rows[place]["document_0"]
        assert repr(found[place]["label"]) == "[1.0, nan]"
    with pytest.raises(DataError, match="needs rows, got none"):
        rows_on_disk([], tmp_path / "none.arrow")
    with pytest.raises(StorageError, match=r"cannot write the rows to .*free the disk"):
        rows_on_disk(rows, tmp_path / "missing" / "rows.arrow")
