"""The document encoding that an index records: dtype, long documents, pruning, titles."""

from pathlib import Path
from typing import Any

import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    QueryEncoding,
    Role,
    SparseRetriever,
    ingest,
)
from lexpand.collection import sync
from lexpand.data import Chunks, Dtype, Long, LongDocuments
from lexpand.errors import IndexStateError, ModelError
from lexpand.search import encoder_of

PAGES = [
    Document("a", "The printer shows an error."),
    Document("b", "Invoices are sent by e-mail."),
]


@pytest.fixture(scope="module")
def rounded() -> Encoder:
    return Encoder.load(
        documents=DocumentEncoding(dtype="int8"), queries=QueryEncoding(dtype="int8")
    )


def test_documents_in_another_dtype_are_refused(
    encoder: Encoder, rounded: Encoder, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "i", rounded.space) as index:
        ingest(index, rounded, PAGES)
        message = "holds documents encoded with dtype int8, got float32: leave the setting out"
        with pytest.raises(IndexStateError, match=message):
            ingest(index, encoder, PAGES)
        with pytest.raises(IndexStateError, match=message):
            sync(index, encoder, PAGES, refused=[])
        assert len(index) == 2
        assert SparseRetriever(index, encoder).search("printer")[0].doc_id == "a", (
            "queries may have another dtype"
        )
    message = "encoded with dtype float32, got int8: leave the setting out"
    with (
        Index.create(tmp_path / "j", encoder.space) as index,
        pytest.raises(IndexStateError, match=message),
    ):
        ingest(index, rounded, PAGES)


def test_an_opened_index_encodes_documents_in_its_dtype(
    encoder: Encoder, rounded: Encoder, tmp_path: Path
) -> None:
    with Index.create(tmp_path / "i", rounded.space) as index:
        ingest(index, rounded, PAGES[:1])
    with Index.open(tmp_path / "i") as index:
        assert index.space.encoding == rounded.documents
        assert index.space.encoding.to_dict() == {"dtype": "int8", "max_tokens": 512}
        again = encoder_of(index)
        assert again.dtypes == {Role.DOCUMENT: Dtype.INT8, Role.QUERY: Dtype.FLOAT32}
        assert ingest(index, again, PAGES[1:]).added == 1
        stored, expected = index.vector("b"), rounded.encode_documents(PAGES[1:])
        exact = encoder.encode_documents(PAGES[1:])
        assert stored.terms.tolist() == expected.terms.tolist() != exact.terms.tolist()
        query = ["an error of the printer"]
        assert again.encode_queries(query) == encoder.encode_queries(query)
        int8_encoder = encoder_of(index, queries=QueryEncoding(dtype="int8"))
        assert (
            int8_encoder.encode_queries(query)
            == rounded.encode_queries(query)
            != encoder.encode_queries(query)
        )


def test_an_index_without_a_recorded_dtype_is_in_float32(encoder: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        assert "dtype" not in index.space.encoding.to_dict()
        assert encoder_of(index).dtypes[Role.DOCUMENT] is Dtype.FLOAT32


def test_an_encoder_can_switch_the_dtype_of_documents(encoder: Encoder, rounded: Encoder) -> None:
    other = encoder.encoding(DocumentEncoding(dtype=Dtype.INT8))
    assert other.encode_documents(PAGES) == rounded.encode_documents(PAGES)
    assert other.encode_queries(["printer"]) == encoder.encode_queries(["printer"])
    assert other.space == rounded.space
    assert other.encoding(DocumentEncoding()).space == encoder.space


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("long", {"long": LongDocuments(Long.CHUNK)}),
        ("long", {"long": LongDocuments(Long.CHUNK, Chunks.MAX, 5)}),
        ("pruning", {"pruning": "top=20,ban=the"}),
        ("max_tokens", {"max_tokens": 64}),
        ("title_weight", {"title_weight": 0.2}),
    ],
)
def test_documents_encoded_differently_are_refused(
    encoder: Encoder, tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    made = Encoder.load(documents=DocumentEncoding(**settings))
    with Index.create(tmp_path / "i", made.space) as index:
        ingest(index, made, PAGES[:1])
    with Index.open(tmp_path / "i") as index:
        with pytest.raises(IndexStateError, match=rf"documents encoded with {name} "):
            ingest(index, encoder, PAGES[1:])
        again = encoder_of(index)
        assert again.space == made.space
        assert ingest(index, again, PAGES[1:]).added == 1
        assert (
            index.vector("b").terms.tolist() == made.encode_long(PAGES[1:]).vectors.terms.tolist()
        )
    with (
        Index.create(tmp_path / "j", encoder.space) as index,
        pytest.raises(IndexStateError, match="documents encoded with"),
    ):
        ingest(index, made, PAGES[:1])


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(
        ModelError, match="dtype must be one of float32, int8, bfloat16, got 'int4'"
    ):
        Encoder.load(documents=DocumentEncoding(dtype="int4"), queries=QueryEncoding(dtype="int4"))
    with pytest.raises(ModelError, match="got 'half'"):
        Encoder.load(queries=QueryEncoding(dtype="half"))
