"""The vector of a title, weighed, is added to its document's: against the sum by its definition, and in an index."""

from pathlib import Path

import numpy as np
import pytest

from lexpand import (
    Document,
    DocumentEncoding,
    Encoder,
    Index,
    Role,
    SparseRetriever,
    SparseVectors,
    ingest,
)
from lexpand.collection import sync
from lexpand.data import Long, LongDocuments, Pruning
from lexpand.encode import Rules
from lexpand.errors import DataError, IndexStateError
from lexpand.explanation import Origin, explain

WEIGHT = 0.25
PAGES = [
    Document(
        "titled",
        "Turn it off, wait ten seconds, and turn it on again.",
        "The printer does not print",
    ),
    Document("untitled", "Invoices are sent by e-mail on the first day of each month."),
    Document("title only", "", "Vacation requests"),
    Document("blank text", " \n", "Vacation requests"),
    Document("blank title", "Vacation requests go to the manager.", " "),
    Document("long", "The manager answers within a day. " * 120, "Requests for vacation"),
]


@pytest.fixture(scope="module")
def weighing() -> Encoder:
    return Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT))


def reference(encoder: Encoder, document: Document, weight: float) -> dict[int, float]:
    """The sum in float64, by term."""
    made = encoder.encode_documents([document.full_text]).as_dict(0)
    if document.title.strip() and document.text.strip():
        for term, value in encoder.encode_documents([document.title]).as_dict(0).items():
            made[term] = made.get(term, 0.0) + weight * value
    return made


def rows(vectors: SparseVectors) -> list[dict[int, float]]:
    return list(vectors.as_dicts())


def test_vectors_are_sums(encoder: Encoder, weighing: Encoder, scifact: list[Document]) -> None:
    documents = [*PAGES, *scifact[:40]]
    found = weighing.encode_documents(documents)
    more = 0
    for document, row in zip(documents, found.as_dicts(), strict=True):
        expected = reference(encoder, document, WEIGHT)
        assert row.keys() == expected.keys()
        # Batches of other shapes add float32 in another order.
        np.testing.assert_allclose(
            [row[term] for term in expected], list(expected.values()), rtol=1e-4, atol=1e-5
        )
        more += len(expected) > len(encoder.encode_documents([document.full_text]).as_dict(0))
    assert more > 30
    texts = [document.full_text for document in PAGES]
    assert rows(weighing.encode_documents(texts)) == rows(encoder.encode_documents(texts))
    assert rows(weighing.encode_queries(texts[:2])) == rows(encoder.encode_queries(texts[:2]))
    assert len(weighing.encode_documents([])) == 0


def test_pruning_and_rules_come_after(encoder: Encoder, weighing: Encoder) -> None:
    pruned = Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT, pruning=Pruning(top=12)))
    assert rows(pruned.encode_documents(PAGES)) == rows(
        Pruning(top=12).apply(weighing.encode_documents(PAGES))
    )
    rules = Rules.from_dict({"version": 1, "cap": [{"term": "printer", "weight": 0.5}]})
    capped = (
        Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT), rules=rules)
        .encode_documents(PAGES[:1])
        .as_dict(0)
    )
    printer = encoder.vocabulary.id("printer")
    assert printer is not None
    assert capped[printer] == 0.5


def test_words_behind_the_terms(weighing: Encoder) -> None:
    for document in PAGES:
        plain, trace = (
            weighing.trace(document.full_text, Role.DOCUMENT),
            weighing.trace(document, Role.DOCUMENT),
        )
        assert (trace.text, trace.tokens) == (document.full_text, plain.tokens)
        for term in trace.weights:
            if term in plain.weights:
                assert trace.word_span(term) == plain.word_span(term)
            else:
                span = trace.word_span(term)
                assert span is None or span[1] <= len(document.title)


def test_an_index_keeps_to_it(tmp_path: Path, encoder: Encoder, weighing: Encoder) -> None:
    with Index.create(tmp_path / "i", weighing.space) as index:
        assert index.space.encoding.title_weight == WEIGHT
        ingest(index, weighing, PAGES)
        for other in (encoder, Encoder.load(documents=DocumentEncoding(title_weight=0.5))):
            said = rf"holds documents encoded with title_weight 0\.25, got {other.title_weight:g}: leave the setting out"
            with pytest.raises(IndexStateError, match=said):
                ingest(index, other, [Document("new", "text", "title")])
            with pytest.raises(IndexStateError, match=said):
                sync(index, other, [Document("new", "text", "title")], refused=[])
        # Who asks needs no weight: the explanation has the index's.
        for retriever in (SparseRetriever(index, encoder), SparseRetriever(index, weighing)):
            for query in ("why does my printer not print?", "vacation requests"):
                for hit in retriever.search(query, 4):
                    found = explain(retriever, query, hit.doc_id)
                    parts = found.contributions
                    assert found.score == hit.score
                    assert sum(part.contribution for part in parts) == pytest.approx(
                        hit.score, abs=1e-9
                    )
                    assert {part.document.origin for part in parts} <= {
                        Origin.TEXT,
                        Origin.EXPANSION,
                    }
    with Index.create(tmp_path / "j", encoder.space) as index:
        assert "title_weight" not in index.space.encoding.to_dict()
        with pytest.raises(IndexStateError, match=r"with title_weight 0, got 0\.25: leave"):
            ingest(index, weighing, PAGES)


@pytest.mark.parametrize(
    "weight", [-1, float("nan"), float("inf"), True, "0.2", 1e-45, 1e39, 10**400]
)
def test_weights_that_are_none(weight: float) -> None:
    with pytest.raises(DataError, match=r"must be 0, or a number from 0\.001 to 1,000"):
        Encoder.load(documents=DocumentEncoding(title_weight=weight))


def test_not_with_chunks() -> None:
    with pytest.raises(DataError, match="title_weight must be 0 for long documents in chunks"):
        Encoder.load(documents=DocumentEncoding(title_weight=0.2, long=LongDocuments(Long.CHUNK)))
