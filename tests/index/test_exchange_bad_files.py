"""Bad files: valid rows are added, bad rows are reported, and damage is reported with its place."""

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exchange_toys import fill, stored
from index_toys import SPACE, toy_document, toy_vectors

from lexpand import Index, ModelId, SparseVectors, VectorSpace, Vocabulary
from lexpand.data import vector_file
from lexpand.errors import (
    ContractMismatch,
    DataError,
    MissingExtra,
    RowError,
    SourceError,
    VectorError,
)
from lexpand.index.exchange import export_index, import_vectors, read_vectors
from lexpand.index.exchange.ciff_messages import Header, doc_record, postings_list
from lexpand.index.exchange.protobuf import field, varint

GOOD = {"id": "good", "contents": "text", "vector": {"t1": 1.5}}


def write(path: Path, *rows: object) -> Path:
    path.write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    )
    return path


BAD_ROWS = {
    "negative": (
        {"id": "x", "vector": {"t1": -1}},
        "the weight of the term 't1' must be a finite number >= 0, got -1",
    ),
    "nan": ('{"id": "x", "vector": {"t1": NaN}}', ">= 0, got nan"),
    "infinite": ('{"id": "x", "vector": {"t1": Infinity}}', ">= 0, got inf"),
    "beyond float32": ('{"id": "x", "vector": {"t1": 1e39}}', ">= 0, got 1e+39"),
    "huge integer": ('{"id": "x", "vector": {"t1": 1' + "0" * 400 + "}}", ">= 0, got 1000"),
    "string": ({"id": "x", "vector": {"t1": "2"}}, ">= 0, got '2'"),
    "boolean": ({"id": "x", "vector": {"t1": True}}, ">= 0, got True"),
    "null": ({"id": "x", "vector": {"t1": None}}, ">= 0, got None"),
    "a list": (
        {"id": "x", "vector": [1, 2]},
        "'vector' must be an object of weights by term, but is of type list",
    ),
    "no vector": ({"id": "x"}, "weights by term, but is null or missing"),
    "no id": ({"vector": {}}, "missing field 'doc_id'"),
    "lone surrogate": ('{"id": "x", "vector": {"\\ud800": 1}}', "surrogates not allowed"),
    "long": (
        {"id": "x", "vector": {f"w{i}": 1 for i in range(2**16 + 1)}},
        "must have at most 65536 terms, got 65537",
    ),
    "same id": ({"id": "good", "vector": {"t1": 9}}, "the id must be unique in this file"),
    "no json": ("{", "invalid JSON"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_reported_and_the_others_are_added(tmp_path: Path, name: str) -> None:
    row, message = BAD_ROWS[name]
    path = write(tmp_path / "v.jsonl", GOOD, row, {**GOOD, "id": "last"})
    report = import_vectors(tmp_path / "new", path)
    (refused,) = report.refused
    assert (report.added, refused.place) == (2, f"{path}:2")
    assert message in refused.reason
    with Index.open(tmp_path / "new") as index:
        assert stored(index) == {doc_id: {"t1": pytest.approx(1.5)} for doc_id in ("good", "last")}
        assert index.document("good").text == "text"
    with pytest.raises(RowError, match=r"v\.jsonl:2"):
        read_vectors(path)


def test_an_id_with_other_content_is_refused(tmp_path: Path) -> None:
    import_vectors(tmp_path / "new", write(tmp_path / "v.jsonl", GOOD))
    path = write(tmp_path / "w.jsonl", {**GOOD, "contents": "other"}, {**GOOD, "id": "b"})
    report = import_vectors(tmp_path / "new", path)
    assert report.added == 1
    assert [(row.place, row.doc_id) for row in report.refused] == [(f"{path}:1", "good")]


@pytest.mark.parametrize("commit_every", [1, 10_000])
def test_unknown_terms_are_counted_and_nothing_is_added(tmp_path: Path, commit_every: int) -> None:
    Index.create(tmp_path / "i", SPACE).close()
    path = write(tmp_path / "v.jsonl", GOOD, {"id": "x", "vector": {"zebra": 1, "yak": 1, "t2": 1}})
    with pytest.raises(
        VectorError, match=r"terms that the index's vocabulary lacks \(2, the first 'yak'\)"
    ):
        import_vectors(tmp_path / "i", path, commit_every=commit_every)
    with Index.open(tmp_path / "i") as index:
        assert len(index) == 0


def test_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        other = VectorSpace(ModelId("other", "f" * 64), SPACE.vocabulary)
        for name in ("v.npz", "v.parquet"):
            export_index(index, tmp_path / name)
            with (
                Index.create(tmp_path / f"{name}.index", other) as target,
                pytest.raises(ContractMismatch),
            ):
                import_vectors(target, tmp_path / name)


def test_terms_are_matched_by_token(tmp_path: Path) -> None:
    reversed_space = VectorSpace(
        ModelId("reversed", "1" * 64), Vocabulary([f"t{i}" for i in reversed(range(20))])
    )
    path = write(tmp_path / "v.jsonl", {"id": "x", "vector": {"t1": 1.0, "t5": 2.0, "t12": 3.0}})
    with Index.create(tmp_path / "i", reversed_space) as index:
        import_vectors(index, path)
        assert stored(index) == {"x": pytest.approx({"t12": 3.0, "t5": 2.0, "t1": 1.0}, abs=1e-4)}


def test_a_file_without_valid_rows_creates_no_index(tmp_path: Path) -> None:
    for rows in ([], ["{"], [{"id": "", "vector": {"a": 1}}]):
        with pytest.raises(DataError):
            import_vectors(tmp_path / "new", write(tmp_path / "v.jsonl", *rows))
        assert not (tmp_path / "new").exists()
    with pytest.raises(SourceError, match="does not exist"):
        import_vectors(tmp_path / "new", tmp_path / "absent.jsonl")


def test_unknown_formats_and_invalid_scales_are_refused(tmp_path: Path) -> None:
    for arguments, message in (
        (("v.txt", {}), r"is unknown from its suffix \(\.txt\)"),
        (("v.npz", {"format": "csv"}), "must be one of .*, got 'csv'"),
        (("v.ciff.gz", {}), "only jsonl can be compressed, not ciff"),
        (("v.npz", {"scale": 2}), "npz stores weights unscaled"),
    ):
        with pytest.raises(DataError, match=message):
            read_vectors(tmp_path / arguments[0], **arguments[1])
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="scale must be finite and > 0, got"):
            read_vectors(write(tmp_path / "v.jsonl", GOOD), scale=scale)


@pytest.mark.parametrize("path", ["s3://bucket/parts", "gs://bucket/v.jsonl"])
def test_files_of_a_store_must_be_copied_first(path: str) -> None:
    with pytest.raises(DataError, match=r"local files, got [sg].?:/bucket.*: copy the files"):
        read_vectors(Path(path))


def ciff(*messages: bytes) -> bytes:
    return b"".join(varint(len(message)) + message for message in messages)


def encode_list(term: str, *pairs: tuple[int, int], df: int | None = None) -> bytes:
    """Encode a list like protobuf: without zeros, and with negative numbers of 64 bits."""
    postings = b"".join(
        field(4, b"".join(field(i, v % 2**64) for i, v in enumerate(pair, 1) if v))
        for pair in pairs
    )
    return (
        field(1, term.encode())
        + field(2, len(pairs) if df is None else df)
        + field(3, 7)
        + postings
    )


DOCS = [doc_record(0, "a", 3), doc_record(1, "b", 5)]
TWO = encode_list("x", (0, 3), (1, 5))


def test_a_ciff_file_of_another_program_is_read(tmp_path: Path) -> None:
    """Zeros are left out, fields are unknown, and documents and fields are in another order."""
    path = tmp_path / "v.ciff"
    postings = [
        TWO + field(99, b"new"),
        field(4, field(2, 4) + field(1, 1)) + field(2, 1) + field(1, b"y"),
    ]
    path.write_bytes(ciff(Header(2, 2).to_bytes() + field(50, 1), *postings, *reversed(DOCS)))
    ids, vectors, vocabulary = read_vectors(path)
    assert (ids, list(vocabulary.tokens)) == (["a", "b"], ["x", "y"])
    assert list(vectors.as_dicts()) == [{0: 3.0}, {0: 5.0, 1: 4.0}]
    assert next(iter(read_vectors(path, scale=2).vectors.as_dicts())) == {0: 1.5}


def test_vectorized_posting_encoding_equals_the_simple_one() -> None:
    docids, tfs = np.array([0, 1, 300, 70_000]), np.array([1, 200, 70_000, 3])
    written = postings_list("x", docids, tfs)
    assert written == encode_list("x", (0, 1), (1, 200), (299, 70_000), (69_700, 3)).replace(
        field(3, 7), field(3, int(tfs.sum()))
    ).replace(field(4, field(2, 1)), field(4, field(1, 0) + field(2, 1)))


DAMAGED_FILES = {
    "the version is 2": (ciff(field(1, 2)), 1, "version in the header must be 1, got 2"),
    "no lists": (ciff(Header(0, 1).to_bytes()), 0, "posting lists, got 0"),
    "too many lists": (ciff(Header(2**30, 1).to_bytes()), 0, "posting lists, got 1073741824"),
    "a list is missing": (
        ciff(Header(1, 0).to_bytes()),
        None,
        "ends where posting list 1 of 1 should be",
    ),
    "a document is missing": (
        ciff(Header(1, 2).to_bytes(), TWO, DOCS[0]),
        None,
        "where document 2 of 2 should be",
    ),
    "more follows": (
        ciff(Header(1, 2).to_bytes(), TWO, *DOCS) + b"xyz",
        None,
        "3 bytes follow the last document",
    ),
    "docids repeat": (
        ciff(Header(1, 2).to_bytes(), encode_list("x", (0, 1), (0, 1)), *DOCS),
        None,
        "must ascend",
    ),
    "docids descend": (
        ciff(Header(1, 2).to_bytes(), encode_list("x", (1, 1), (-1, 1)), *DOCS),
        None,
        "must ascend",
    ),
    "docid too large": (
        ciff(Header(1, 2).to_bytes(), encode_list("x", (2, 1)), *DOCS),
        None,
        "below the header's 2 documents, got 2",
    ),
    "negative tf": (
        ciff(Header(1, 2).to_bytes(), encode_list("x", (0, -4)), *DOCS),
        None,
        r"the tf in posting 1 of the term 'x' must be from 0 to 2\^31 - 1, got -4",
    ),
    "wrong df": (
        ciff(Header(1, 2).to_bytes(), encode_list("x", (0, 1), df=2), *DOCS),
        None,
        "1 postings, but its df is 2",
    ),
    "a document twice": (
        ciff(Header(1, 2).to_bytes(), TWO, DOCS[0], DOCS[0]),
        None,
        "the docid 0 of document 2",
    ),
    "an unknown document": (
        ciff(Header(1, 1).to_bytes(), encode_list("x"), DOCS[1]),
        None,
        "not below the header's 1",
    ),
    "not UTF-8": (ciff(Header(1, 0).to_bytes(), field(1, b"\xff")), None, "must be UTF-8"),
    "a long length": (
        ciff(Header(1, 0).to_bytes()) + varint(2**40),
        None,
        "should have 1099511627776 bytes",
    ),
    "an endless length": (ciff(Header(1, 0).to_bytes()) + b"\xff" * 20, None, "more than 64 bits"),
    "empty": (b"", 0, "ends where the header should be"),
    "a text": (b"It is a truth universally acknowledged", 0, "the header"),
}


@pytest.mark.parametrize("name", DAMAGED_FILES)
def test_the_error_of_a_damaged_ciff_file_has_the_offset(tmp_path: Path, name: str) -> None:
    data, offset, message = DAMAGED_FILES[name]
    path = tmp_path / "v.ciff"
    path.write_bytes(data)
    with pytest.raises(
        SourceError, match=rf"v\.ciff is not a CIFF file, .* at byte \d+ .*{message}"
    ) as error:
        read_vectors(path)
    if offset is not None:
        assert f"at byte {offset} (" in str(error.value)


def test_repeated_terms_and_bad_ids_in_ciff_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.ciff"
    path.write_bytes(ciff(Header(2, 2).to_bytes(), TWO, TWO, *DOCS))
    with pytest.raises(SourceError, match="'x' is in the vocabulary twice"):
        read_vectors(path)
    path.write_bytes(ciff(Header(1, 2).to_bytes(), TWO, doc_record(0, "", 3), DOCS[1]))
    refused: list[RowError] = []
    assert read_vectors(path, on_bad_row=refused.append).ids == ["b"]
    assert [row.place for row in refused] == [f"{path}:document 0"]


def small_ciff(folder: Path) -> bytes:
    rows = [{1: 1.0, 2: 3.0}, {}, {2: 0.5}]
    with fill(folder / "a", [toy_document(i) for i in range(3)], toy_vectors(rows)) as index:
        export_index(index, folder / "v.ciff")
    return (folder / "v.ciff").read_bytes()


def test_a_ciff_file_truncated_at_any_byte_is_refused(tmp_path: Path) -> None:
    whole = small_ciff(tmp_path)
    path = tmp_path / "truncated.ciff"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"at byte \d+ "):
            read_vectors(path)
        with pytest.raises(SourceError):
            import_vectors(tmp_path / "new", path)
    assert not (tmp_path / "new").exists()


def test_a_changed_byte_in_ciff_raises_only_source_errors(tmp_path: Path) -> None:
    whole = small_ciff(tmp_path)
    path = tmp_path / "changed.ciff"
    for place in range(len(whole)):
        for flip in (1, 0x80, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with contextlib.suppress(SourceError):
                read_vectors(path, on_bad_row=lambda _: None)


def test_a_truncated_jsonl_file_is_refused(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        export_index(index, tmp_path / "v.jsonl.gz")
    truncated = tmp_path / "truncated.jsonl.gz"
    truncated.write_bytes((tmp_path / "v.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(SourceError, match="damaged or cut short"):
        import_vectors(tmp_path / "new", truncated)


def npz(path: Path, **beside: object) -> Path:
    vectors = toy_vectors([{1: 1.0}])
    arrays = vectors.indptr, vectors.terms, vectors.weights, vectors.vocabulary_size, None
    vector_file.write_arrays(path, *arrays, beside=beside)
    return path


def test_npz_files_with_missing_members_are_refused(tmp_path: Path) -> None:
    tokens = list(SPACE.vocabulary.tokens)
    for beside, message in (
        ({}, "must have the member 'ids'"),
        ({"ids": ["a"]}, "must have the member 'vocabulary'"),
        ({"ids": ["a", "b"], "vocabulary": tokens}, "2 ids for 1 vectors"),
        ({"ids": ["a"], "vocabulary": tokens[:-1]}, "15 tokens for 16 terms"),
        ({"ids": ["a"], "vocabulary": ["t"] * 16}, "in the vocabulary twice"),
        (
            {"ids": ["a"], "vocabulary": tokens, "documents": [7]},
            "how its documents were encoded is invalid",
        ),
        (
            {"ids": ["a"], "vocabulary": tokens, "documents": {"dtype": "int3"}},
            "how its documents were encoded is invalid",
        ),
        (
            {
                "ids": ["a"],
                "vocabulary": tokens,
                "documents": {"long": {"policy": "x"}},
            },
            "how its documents were encoded is invalid",
        ),
    ):
        with pytest.raises(SourceError, match=message):
            read_vectors(npz(tmp_path / "v.npz", **beside))
    refused: list[RowError] = []
    path = npz(tmp_path / "v.npz", ids=[3], vocabulary=tokens)
    assert read_vectors(path, on_bad_row=refused.append).ids == []
    assert [row.place for row in refused] == [f"{path}:row 1"]


def test_a_changed_byte_in_npz_raises_only_source_errors(tmp_path: Path) -> None:
    whole = npz(
        tmp_path / "v.npz", ids=["a"], vocabulary=list(SPACE.vocabulary.tokens)
    ).read_bytes()
    for place in range(0, len(whole), 3):
        (tmp_path / "w.npz").write_bytes(
            whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        )
        with contextlib.suppress(SourceError):
            assert read_vectors(tmp_path / "w.npz").ids == ["a"]


def parquet(path: Path, change: Callable[[dict], object] = lambda _: None) -> Path:
    import pyarrow
    import pyarrow.parquet

    columns = {
        "id": ["a", "b", "c"],
        "terms": [[1, 2], [0], []],
        "weights": [[1.0, 2.0], [3.0], []],
    }
    change(columns)
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_a_parquet_file_of_another_program_is_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no vocabulary"):
        import_vectors(tmp_path / "new", parquet(tmp_path / "v.parquet"))
    with Index.create(tmp_path / "i", SPACE) as index:
        assert import_vectors(index, parquet(tmp_path / "v.parquet")).added == 3
        assert stored(index)["a"] == pytest.approx({"t1": 1.0, "t2": 2.0}, abs=1e-4)
    path = tmp_path / "w.parquet"
    for change, message in (
        (lambda c: c["terms"].__setitem__(1, [16]), "the size of the vocabulary, 16, got 16"),
        (lambda c: c["terms"].__setitem__(0, [1, 1]), "the term 1 occurs twice"),
        (lambda c: c["terms"].__setitem__(1, None), "must be lists"),
        (lambda c: c["weights"].__setitem__(0, [1.0]), "lists of the same length"),
        (lambda c: c["weights"].__setitem__(1, [-3.0]), "'t0' must be a finite number >= 0"),
        (lambda c: c["weights"].__setitem__(1, [float("nan")]), ">= 0, got nan"),
        (lambda c: c["id"].__setitem__(1, "a"), "the id must be unique"),
        (lambda c: c["id"].__setitem__(1, ""), "must be a non-empty string"),
    ):
        refused: list[RowError] = []
        parquet(path, change)
        found = read_vectors(path, vocabulary=SPACE.vocabulary, on_bad_row=refused.append)
        assert len(found.ids) == 2
        assert [
            message in row.reason and row.place.startswith(f"{path}:row ") for row in refused
        ] == [True], refused
    path.write_bytes(b"none")
    with pytest.raises(SourceError, match="not a Parquet file"):
        read_vectors(path)


def test_parquet_without_pyarrow_raises_missing_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(tmp_path / "v.parquet")
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(
            MissingExtra,
            match=r"writing Parquet files needs pyarrow: pip install 'lexpand\[parquet\]'",
        ):
            export_index(index, tmp_path / "w.parquet")
    with pytest.raises(MissingExtra, match="reading Parquet files needs pyarrow"):
        read_vectors(tmp_path / "v.parquet")
    assert not (tmp_path / "w.parquet").exists()


def test_vectors_have_the_model_of_the_file(tmp_path: Path) -> None:
    with fill(tmp_path / "a", [toy_document(1)], toy_vectors([{3: 1.5}])) as index:
        for name, model in (
            ("v.npz", SPACE.model),
            ("v.parquet", SPACE.model),
            ("v.jsonl", None),
            ("v.ciff", None),
        ):
            export_index(index, tmp_path / name)
            vectors = read_vectors(tmp_path / name).vectors
            assert isinstance(vectors, SparseVectors)
            assert vectors.model == model


def test_a_weight_too_small_for_a_float32_refuses_only_its_row(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "contents": "x", "vector": {"t1": 1.5, "t2": 1e-50}},
        {"id": "b", "contents": "y", "vector": {"t1": 1.5, "t3": 2}},
    ]
    (tmp_path / "v.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    report = import_vectors(tmp_path / "i", tmp_path / "v.jsonl")
    assert report.added == 1
    (refused,) = report.refused
    assert (refused.place, refused.doc_id) == (f"{tmp_path / 'v.jsonl'}:1", "a")
    assert "'t2' is too small for a float32, got 1e-50: drop the term" in refused.reason
