"""Export and import: equal weights within the precision of the format, and equal rankings."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from exchange_toys import decode_ciff, fill, stored
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import (
    SPACE,
    TERMS,
    RealCollection,
    random_vectors,
    same_to_the_bit,
    toy_document,
    toy_vectors,
)

from lexpand import DocumentEncoding, Index, SparseVectors
from lexpand.data import Pruning
from lexpand.errors import DataError, IndexStateError
from lexpand.index.exchange import export_index, import_vectors, read_vectors
from lexpand.index.exchange.protobuf import (
    read_varint,
    read_varints,
    varint,
    varint_lengths,
    varints,
)

FLOATS = ["v.jsonl", "v.jsonl.gz", "v.jsonl.zst", "v.npz", "v.parquet"]
ROWS = st.lists(
    st.dictionaries(st.integers(0, TERMS - 1), st.floats(0.015625, 8, width=32)),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("same_space", [False, True], ids=["new index", "same space"])
def test_float_weights_are_restored(
    real: RealCollection, tmp_path: Path, name: str, same_space: bool
) -> None:
    with Index.open(real.path) as index:
        report = export_index(index, tmp_path / name)
        assert (report.documents, report.dropped) == (300, 0)
        if same_space:
            Index.create(tmp_path / "new", index.space).close()
        found = import_vectors(tmp_path / "new", tmp_path / name)
        assert (found.added, found.refused, found.unchanged) == (300, [], 0)
        with Index.open(tmp_path / "new") as copy:
            assert copy.check() == []
            expected, restored = stored(index), stored(copy)
            assert list(expected) == list(restored)
            for doc_id, weights in expected.items():
                assert restored[doc_id] == pytest.approx(weights, rel=1e-6)
            if not same_space and "jsonl" in name:
                assert copy.space.model == (f"imported:{name}", copy.space.vocabulary.sha256)
                assert (copy.space.location, copy.space.encoding) == ("", DocumentEncoding())
                return
            assert copy.space.model == index.space.model
            for own, copied in zip(
                index.search(real.queries), same_to_the_bit(copy, real.queries, 10), strict=True
            ):
                assert [match.doc_id for match in own] == [match.doc_id for match in copied]
                assert [match.score for match in own] == pytest.approx(
                    [match.score for match in copied]
                )


ENCODING = DocumentEncoding(77, pruning=Pruning(top=20), title_weight=0.25, dtype="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
def test_the_document_encoding_is_restored(tmp_path: Path, name: str) -> None:
    space = replace(SPACE, encoding=ENCODING)
    with Index.create(tmp_path / "a", space) as index:
        index.add([toy_document(1)], toy_vectors([{3: 1.5}]))
        index.commit()
        export_index(index, tmp_path / name)
    import_vectors(tmp_path / "new", tmp_path / name)
    with Index.open(tmp_path / "new") as copy:
        assert copy.space.encoding == ENCODING


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float32"}, "encoded with dtype float32, got int8: leave the setting out"),
        ({"title_weight": 0.5}, "encoded with title_weight 0.5, got 0.25"),
        ({"pruning": Pruning(top=30)}, "encoded with pruning {'top': 30}, got {'top': 20}"),
        ({"max_tokens": 78}, "encoded with max_tokens 78, got 77"),
        (
            {"long": "refuse", "max_tokens": 78},
            "encoded with long refuse, got truncate; max_tokens 78, got 77",
        ),
    ],
)
def test_documents_encoded_differently_are_refused(
    tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    for folder, space in {
        "a": replace(SPACE, encoding=ENCODING),
        "b": replace(SPACE, encoding=replace(ENCODING, **change)),
    }.items():
        with Index.create(tmp_path / folder, space) as index:
            index.add([toy_document(1)], toy_vectors([{3: 1.5}]))
            index.commit()
    with Index.open(tmp_path / "a") as index:
        export_index(index, tmp_path / name)
    with pytest.raises(IndexStateError, match=re.escape(message)):
        import_vectors(tmp_path / "b", tmp_path / name)
    with Index.open(tmp_path / "b") as index:
        assert len(index) == 1


@given(rows=ROWS, name=st.sampled_from([*FLOATS, "v.ciff"]))
@settings(max_examples=60)
def test_random_vectors_are_restored(rows: list[dict[int, float]], name: str) -> None:
    with (
        TemporaryDirectory() as folder,
        fill(
            Path(folder, "a"), [toy_document(i) for i in range(len(rows))], toy_vectors(rows)
        ) as index,
    ):
        path = Path(folder, name)
        export_index(index, path)
        expected = stored(index)
        if not any(rows):
            return
        ids, vectors, vocabulary = read_vectors(path)
        assert ids == list(expected)
        largest = max(max(row.values(), default=0.0) for row in expected.values())
        for doc_id, row in zip(ids, vectors.as_dicts(), strict=True):
            found = {vocabulary.term(term): weight for term, weight in row.items()}
            if name != "v.ciff":
                assert found == pytest.approx(expected[doc_id], rel=1e-6)
            for token, weight in expected[doc_id].items():
                assert found.get(token, 0.0) == pytest.approx(weight, abs=largest / 255 / 2 * 1.001)


def test_jsonl_is_in_the_format_of_anserini(tmp_path: Path) -> None:
    with fill(
        tmp_path / "a", [toy_document(1), toy_document(2)], toy_vectors([{3: 1.5, 4: 0.001}, {}])
    ) as index:
        report = export_index(index, tmp_path / "v.jsonl.gz", scale=100)
        assert (report.weights, report.dropped, report.empty) == (1, 1, 1)
    with gzip.open(tmp_path / "v.jsonl.gz", "rt") as file:
        assert [json.loads(line) for line in file] == [
            {
                "id": "d1",
                "contents": "title 1 a text 1",
                "metadata": {"n": 1},
                "vector": {"t3": 150},
            },
            {"id": "d2", "contents": "title 2 a text 2", "metadata": {"n": 2}, "vector": {}},
        ]
    import_vectors(tmp_path / "b", tmp_path / "v.jsonl.gz", scale=100)
    with Index.open(tmp_path / "b") as copy:
        assert stored(copy) == {"d1": {"t3": pytest.approx(1.5)}, "d2": {}}
        assert copy.document("d1").text == "title 1 a text 1"


def test_deleted_documents_are_not_exported(tmp_path: Path) -> None:
    documents = [toy_document(i) for i in range(4)]
    with fill(tmp_path / "a", documents, toy_vectors([{i: 1.0} for i in range(4)])) as index:
        index.delete(["d1"])
        index.commit()
        for name in [*FLOATS, "v.ciff"]:
            export_index(index, tmp_path / name)
            assert read_vectors(tmp_path / name).ids == ["d0", "d2", "d3"]


def test_ciff_is_read_by_another_decoder(tmp_path: Path) -> None:
    rows = [{1: 2.0, 2: 1.0}, {}, {2: 4.0, 3: 0.001}, {15: 1.0}]
    with fill(tmp_path / "a", [toy_document(i) for i in range(4)], toy_vectors(rows)) as index:
        report = export_index(index, tmp_path / "v.ciff", scale=100)
    assert (report.documents, report.weights, report.dropped, report.empty) == (4, 4, 1, 1)
    header, lists, documents = decode_ciff((tmp_path / "v.ciff").read_bytes())
    assert [header[i] for i in range(1, 8)] == [1, 3, 4, 3, 4, 800, 200.0]
    assert b"tf is the weight times 100" in header[8]
    assert lists == [
        ("t1", 1, 200, [(0, 200)]),
        ("t15", 1, 100, [(3, 100)]),
        ("t2", 2, 500, [(0, 100), (2, 400)]),
    ]
    assert [(d.get(1, 0), d[2], d.get(3, 0)) for d in documents] == [
        (0, b"d0", 300),
        (1, b"d1", 0),
        (2, b"d2", 400),
        (3, b"d3", 100),
    ]
    import_vectors(tmp_path / "b", tmp_path / "v.ciff")
    with Index.open(tmp_path / "b") as copy:
        assert stored(copy)["d2"] == pytest.approx({"t2": 4.0})


def test_ciff_of_many_documents_is_read_by_another_decoder(tmp_path: Path) -> None:
    vectors = random_vectors(np.random.default_rng(5), 3000, TERMS, 9)
    with fill(tmp_path / "a", [toy_document(i) for i in range(3000)], vectors) as index:
        export_index(index, tmp_path / "v.ciff")
        expected = stored(index)
    scale = 255 / 3.0
    header, lists, documents = decode_ciff((tmp_path / "v.ciff").read_bytes())
    tfs = {
        (documents[docid][2].decode(), term): tf
        for term, _, _, found in lists
        for docid, tf in found
    }
    whole = {
        (doc_id, token): w * scale for doc_id, row in expected.items() for token, w in row.items()
    }
    assert tfs.keys() >= {key for key, weight in whole.items() if weight > 0.51}
    assert all(abs(tf - whole[key]) <= 0.501 for key, tf in tfs.items())
    assert header[6] == sum(tfs.values())
    ids, found, vocabulary = read_vectors(tmp_path / "v.ciff", scale=1)
    assert {
        (doc_id, vocabulary.term(term)): weight
        for doc_id, row in zip(ids, found.as_dicts(), strict=True)
        for term, weight in row.items()
    } == tfs


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=20))
def test_vectorized_varints_equal_the_simple_ones(values: list[int]) -> None:
    expected = b"".join(map(varint, values))
    assert varints(np.array(values, np.int64)) == expected
    assert varint_lengths(np.array(values, np.int64)).tolist() == [
        len(varint(value)) for value in values
    ]
    read = read_varints(expected)
    assert read is not None and read[0].tolist() == values
    place, found = 0, []
    while place < len(expected):
        value, place = read_varint(expected, place)
        found.append(value)
    assert found == values


def test_a_repeated_import_adds_nothing(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        export_index(index, tmp_path / "v.npz")
    assert import_vectors(tmp_path / "b", tmp_path / "v.npz").added == 1
    again = import_vectors(tmp_path / "b", tmp_path / "v.npz")
    assert (again.added, again.unchanged, again.refused) == (0, 1, [])


def test_an_npz_export_is_a_file_of_sparse_vectors(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        export_index(index, tmp_path / "v.npz")
    loaded = SparseVectors.load(tmp_path / "v.npz")
    assert (loaded.as_dict(0), loaded.model) == ({3: pytest.approx(1.5)}, SPACE.model)


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        (tmp_path / "v.ciff").write_text("mine")
        with pytest.raises(DataError, match="already exists"):
            export_index(index, tmp_path / "v.ciff")
        assert (tmp_path / "v.ciff").read_text() == "mine"
        export_index(index, tmp_path / "v.ciff", overwrite=True)
        assert read_vectors(tmp_path / "v.ciff").ids == ["d1"]
        with pytest.raises(DataError, match=r"larger than 2\^31 - 1"):
            export_index(index, tmp_path / "w.ciff", scale=1e30)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "v.ciff"]
