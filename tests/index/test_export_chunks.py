"""Exports of documents in chunks, with their metadata, and of indexes without postings."""

import gzip
import json
from pathlib import Path

import pytest
from exchange_toys import decode_ciff, fill
from index_toys import SPACE, toy_document, toy_vectors

from lexpand import Document, Index
from lexpand.index.exchange import export_index, import_vectors, read_vectors

LONG = Document("long", "one two", "A", {"year": 2020, "tags": ["x", None]})
SHORT = Document("short", "three", "", {"doc_id": "mine"})
NAMES = ["v.jsonl", "v.jsonl.gz", "v.npz", "v.parquet", "v.ciff"]
IDS = ["long#0", "long#1", "short"]


@pytest.fixture
def chunked(tmp_path: Path) -> Index:
    index = Index.create(tmp_path / "chunked", SPACE)
    vectors = toy_vectors([{1: 1.0}, {2: 2.0}, {3: 1.0}])
    index.add([LONG, SHORT], vectors, chunks=[[(0, 5), (4, 9)], [(0, 5)]])
    index.commit()
    return index


@pytest.mark.parametrize("name", NAMES)
def test_an_export_has_a_row_per_passage(chunked: Index, tmp_path: Path, name: str) -> None:
    report = export_index(chunked, tmp_path / name)
    assert (report.documents, report.passages, report.weights) == (2, 3, 3)
    ids, vectors, vocabulary = read_vectors(tmp_path / name)
    assert ids == IDS
    found = [
        {vocabulary.term(term): weight for term, weight in row.items()}
        for row in vectors.as_dicts()
    ]
    assert found == [
        pytest.approx(row, rel=0.01) for row in ({"t1": 1.0}, {"t2": 2.0}, {"t3": 1.0})
    ]


def test_jsonl_rows_of_passages_have_all_fields(chunked: Index, tmp_path: Path) -> None:
    export_index(chunked, tmp_path / "v.jsonl.gz", scale=10)
    with gzip.open(tmp_path / "v.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    metadata = {"year": 2020, "tags": ["x", None]}
    assert rows == [
        {
            "id": "long#0",
            "contents": "A one",
            "metadata": metadata,
            "doc_id": "long",
            "span": [0, 5],
            "vector": {"t1": 10},
        },
        {
            "id": "long#1",
            "contents": "e two",
            "metadata": metadata,
            "doc_id": "long",
            "span": [4, 9],
            "vector": {"t2": 20},
        },
        {
            "id": "short",
            "contents": "three",
            "metadata": {"doc_id": "mine"},
            "doc_id": "short",
            "span": [0, 5],
            "vector": {"t3": 10},
        },
    ]


def test_parquet_rows_of_passages_have_all_columns(chunked: Index, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_index(chunked, tmp_path / "v.parquet")
    rows = parquet.read_table(tmp_path / "v.parquet").to_pylist()
    assert [(row["id"], row["doc_id"], row["span"], row["contents"]) for row in rows] == [
        ("long#0", "long", [0, 5], "A one"),
        ("long#1", "long", [4, 9], "e two"),
        ("short", "short", [0, 5], "three"),
    ]
    assert json.loads(rows[0]["metadata"]) == LONG.metadata


@pytest.mark.parametrize("name", NAMES)
def test_passages_are_imported_as_documents(chunked: Index, tmp_path: Path, name: str) -> None:
    export_index(chunked, tmp_path / name)
    report = import_vectors(tmp_path / "new", tmp_path / name)
    assert (report.added, report.refused) == (3, [])
    with Index.open(tmp_path / "new") as copy:
        assert list(copy.doc_ids()) == IDS
        document = copy.document("long#1")
        if name == "v.ciff":
            return
        assert document.metadata["doc_id"] == "long"
        assert document.metadata["span"] == [4, 9]
        if name != "v.npz":
            assert (document.text, document.metadata["year"]) == ("e two", 2020)
            assert copy.document("short").metadata["doc_id"] == "mine"


@pytest.mark.parametrize("name", ["v.jsonl", "v.parquet"])
def test_metadata_and_text_are_restored(tmp_path: Path, name: str) -> None:
    document = Document("a", "a text", "", {"n": 1, "metadata": {"deep": [True]}, "span": "x"})
    with fill(tmp_path / "a", [document, Document("b", "")], toy_vectors([{1: 1.0}, {}])) as index:
        export_index(index, tmp_path / name)
        assert import_vectors(index, tmp_path / name).unchanged == 2
    import_vectors(tmp_path / "new", tmp_path / name)
    with Index.open(tmp_path / "new") as copy:
        assert copy.document("a") == document
        assert copy.document("b") == Document("b", "")


def test_a_passage_id_that_is_taken_gets_a_second_hash_sign(tmp_path: Path) -> None:
    with Index.create(tmp_path / "a", SPACE) as index:
        documents = [Document("x", "one two"), Document("x#1", "three")]
        index.add(
            documents,
            toy_vectors([{1: 1.0}, {2: 1.0}, {3: 1.0}]),
            chunks=[[(0, 3), (4, 7)], [(0, 5)]],
        )
        index.commit()
        export_index(index, tmp_path / "v.npz")
    assert read_vectors(tmp_path / "v.npz").ids == ["x#0", "x##1", "x#1"]


@pytest.mark.parametrize("name", NAMES)
def test_an_index_without_postings_can_be_exported(tmp_path: Path, name: str) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{}])) as index:
        report = export_index(index, tmp_path / name)
        assert (report.documents, report.weights, report.empty) == (1, 0, 1)
        if name == "v.ciff":
            header, lists, documents = decode_ciff((tmp_path / name).read_bytes())
            assert (header[2], lists, documents[0][2]) == (0, [], b"d1")
        index.delete(["d1"])
        index.commit()
        assert export_index(index, tmp_path / name, overwrite=True).documents == 0
