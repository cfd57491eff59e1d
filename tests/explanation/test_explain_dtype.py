"""Explanations of documents whose weights depend on their batch."""

from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    QueryEncoding,
    SparseRetriever,
    ingest,
    read_queries,
)
from lexpand.data import Dtype, collection_path
from lexpand.encode import Role
from lexpand.errors import MissingExtra
from lexpand.explanation import LossKind, Origin, explain, why_not
from lexpand.search import encoder_of


@pytest.fixture(scope="module")
def index(scifact: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    encoder = Encoder.load(
        documents=DocumentEncoding(dtype="int8", max_tokens=128),
        queries=QueryEncoding(dtype="int8"),
    )
    with Index.create(tmp_path_factory.mktemp("int8") / "i", encoder.space) as index:
        ingest(index, encoder, scifact[:200])
        yield index


def unknown_share(index: Index, encoder: Encoder) -> float:
    """Return the share of contributions whose word is unknown, by weight."""
    retriever, known, unknown = SparseRetriever(index, encoder), 0.0, 0.0
    for query in list(read_queries(collection_path("scifact")))[:10]:
        for hit in retriever.search(query.text, 3):
            for part in explain(retriever, query.text, hit.doc_id).contributions:
                if part.document.origin is Origin.UNKNOWN:
                    unknown += part.contribution
                else:
                    known += part.contribution
    return unknown / (known + unknown)


def test_documents_are_read_again_in_their_own_dtype(index: Index, encoder: Encoder) -> None:
    for other in (encoder_of(index), Encoder.load(documents=DocumentEncoding(max_tokens=128))):
        assert unknown_share(index, other) < 0.01


def test_rounding_by_the_batch_is_not_a_loss(index: Index) -> None:
    retriever = SparseRetriever(index, encoder_of(index))
    for query in list(read_queries(collection_path("scifact")))[:5]:
        hits = retriever.search(query.text, 20)
        answer = why_not(retriever, query.text, hits[-1].doc_id)
        assert {loss.kind for loss in answer.losses} <= {LossKind.TRUNCATION}


def test_a_vector_of_another_text_is_detected(scifact: list[Document], tmp_path: Path) -> None:
    """The vector is that of another text: its words are unknown, however wide the tolerance is."""
    encoder = Encoder.load(
        documents=DocumentEncoding(dtype="int8", max_tokens=128),
        queries=QueryEncoding(dtype="int8"),
    )
    with Index.create(tmp_path / "i", encoder.space) as index:
        index.add(scifact[:1], encoder.encode_documents(scifact[1:2]))
        index.commit()
        retriever = SparseRetriever(index, encoder)
        parts = explain(retriever, scifact[1].full_text, scifact[0].doc_id).contributions
        unknown = sum(part.contribution for part in parts if part.document.origin is Origin.UNKNOWN)
        assert unknown > 0.8 * sum(part.contribution for part in parts)


def test_a_dtype_that_a_backend_lacks_uses_another_backend() -> None:
    plain = Encoder.load(documents=DocumentEncoding(max_tokens=128), device="onnx")
    other = plain.encoding(DocumentEncoding(max_tokens=128, dtype=Dtype.BFLOAT16))
    assert other.dtypes == {Role.DOCUMENT: Dtype.BFLOAT16, Role.QUERY: Dtype.FLOAT32}
    assert (plain.documents.dtype, other.space.encoding.dtype) == (Dtype.FLOAT32, Dtype.BFLOAT16)
    with pytest.raises(MissingExtra) if find_spec("torch") is None else nullcontext():
        other.encode_documents(["heart"])
