"""An index and how its documents were encoded: dtype, long ones, pruning, titles."""

from pathlib import Path
from typing import Any

import pytest

from lexpand import Document, DocumentEncoding, Encoder, Index, QueryEncoding, Role, SparseRetriever, ingest
from lexpand.collection import sync
from lexpand.data import Chunks, Dtype, Long, LongDocuments
from lexpand.errors import IndexStateError, ModelError
from lexpand.search import encoder_of

PAGES = [Document("a", "The printer shows an error."), Document("b", "Invoices are sent by e-mail.")]


@pytest.fixture(scope="module")
def rounded() -> Encoder:
    return Encoder.load(documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8"))


def test_documents_in_another_dtype_are_refused(encoder: Encoder, rounded: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", rounded.space) as index:
        ingest(index, rounded, PAGES)
        said = "holds documents encoded in int8, not in float32: encode in int8, or make a new index"
        with pytest.raises(IndexStateError, match=said):
            ingest(index, encoder, PAGES)
        with pytest.raises(IndexStateError, match=said):
            sync(index, encoder, PAGES, refused=[])
        assert len(index) == 2
        assert SparseRetriever(index, encoder).search("printer")[0].doc_id == "a", "queries may be in another"
    said = "encoded in float32, not in int8: encode in float32, or make a new index"
    with Index.create(tmp_path / "j", encoder.space) as index, pytest.raises(IndexStateError, match=said):
        ingest(index, rounded, PAGES)


def test_it_is_continued_as_it_was_begun(encoder: Encoder, rounded: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", rounded.space) as index:
        ingest(index, rounded, PAGES[:1])
    with Index.open(tmp_path / "i") as index:
        assert index.space.document_settings == {"dtype": "int8"}
        again = encoder_of(index)
        assert again.dtypes == {Role.DOCUMENT: Dtype.INT8, Role.QUERY: Dtype.FLOAT32}
        assert ingest(index, again, PAGES[1:]).added == 1
        stored, expected = index.vector("b"), rounded.encode_documents(PAGES[1:])
        exact = encoder.encode_documents(PAGES[1:])
        assert stored.terms.tolist() == expected.terms.tolist() != exact.terms.tolist()
        asked = ["an error of the printer"]
        assert again.encode_queries(asked) == encoder.encode_queries(asked)
        quick = encoder_of(index, queries=QueryEncoding(dtype="int8"))
        assert quick.encode_queries(asked) == rounded.encode_queries(asked) != encoder.encode_queries(asked)


def test_an_index_without_a_record_is_in_float32(encoder: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        assert "dtype" not in index.space.document_settings
        assert encoder_of(index).dtypes[Role.DOCUMENT] is Dtype.FLOAT32


def test_a_model_in_another_dtype_is_the_same_model_otherwise(encoder: Encoder, rounded: Encoder) -> None:
    other = encoder.documents_in(Dtype.INT8)
    assert other.encode_documents(PAGES) == rounded.encode_documents(PAGES)
    assert other.encode_queries(["printer"]) == encoder.encode_queries(["printer"])
    assert other.space == rounded.space
    assert other.documents_in(Dtype.FLOAT32).space == encoder.space
    assert encoder.documents_in(Dtype.FLOAT32) is encoder


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("long", {"long": LongDocuments(Long.CHUNK)}),
        ("long", {"long": LongDocuments(Long.CHUNK, Chunks.MAX, 5)}),
        ("pruning", {"document_pruning": "top=20,ban=the"}),
        ("max_tokens", {"max_tokens": 64}),
        ("the weight 0.2 for titles", {"title_weight": 0.2}),
    ],
)
def test_documents_are_all_encoded_alike(encoder: Encoder, tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    made = Encoder.load(**settings)
    with Index.create(tmp_path / "i", made.space) as index:
        ingest(index, made, PAGES[:1])
    with Index.open(tmp_path / "i") as index:
        with pytest.raises(IndexStateError, match=rf"was made with {name}"):
            ingest(index, encoder, PAGES[1:])
        again = encoder_of(index)
        assert again.space == made.space
        assert ingest(index, again, PAGES[1:]).added == 1
        assert index.vector("b").terms.tolist() == made.encode_long(PAGES[1:]).vectors.terms.tolist()
    with Index.create(tmp_path / "j", encoder.space) as index, pytest.raises(IndexStateError, match="was made with"):
        ingest(index, made, PAGES[:1])


def test_a_dtype_that_there_is_not() -> None:
    with pytest.raises(ModelError, match="the dtype 'int4': it must be one of float32, int8, bfloat16"):
        Encoder.load(documents=DocumentEncoding(dtype="int4"), queries=QueryEncoding(dtype="int4"))
    with pytest.raises(ModelError, match="the dtype 'half'"):
        Encoder.load(queries=QueryEncoding(dtype="half"))
