"""Title weights against a reference implementation, with pruning and rules, and in an index."""

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
def titled() -> Encoder:
    return Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT))


def reference(encoder: Encoder, document: Document, weight: float) -> dict[int, float]:
    """Return the sum of both vectors in float64, by term."""
    weights = encoder.encode_documents([document.full_text]).as_dict(0)
    if document.title.strip() and document.text.strip():
        for term, value in encoder.encode_documents([document.title]).as_dict(0).items():
            weights[term] = weights.get(term, 0.0) + weight * value
    return weights


def rows(vectors: SparseVectors) -> list[dict[int, float]]:
    return list(vectors.as_dicts())


def test_the_weighted_title_is_added_to_its_document(
    encoder: Encoder, titled: Encoder, scifact: list[Document]
) -> None:
    documents = [*PAGES, *scifact[:40]]
    found = titled.encode_documents(documents)
    longer = 0
    for document, row in zip(documents, found.as_dicts(), strict=True):
        expected = reference(encoder, document, WEIGHT)
        assert row.keys() == expected.keys()
        # Batches of other shapes add float32 values in another order.
        np.testing.assert_allclose(
            [row[term] for term in expected], list(expected.values()), rtol=1e-4, atol=1e-5
        )
        longer += len(expected) > len(encoder.encode_documents([document.full_text]).as_dict(0))
    assert longer > 30
    texts = [document.full_text for document in PAGES]
    assert rows(titled.encode_documents(texts)) == rows(encoder.encode_documents(texts))
    assert rows(titled.encode_queries(texts[:2])) == rows(encoder.encode_queries(texts[:2]))
    assert len(titled.encode_documents([])) == 0


def test_pruning_and_rules_apply_after_the_title(encoder: Encoder, titled: Encoder) -> None:
    rule = Pruning(top=12)
    pruned = Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT, pruning=rule))
    expected = rule.apply(titled.encode_documents(PAGES))
    assert rows(pruned.encode_documents(PAGES)) == rows(expected)
    rules = Rules.from_dict({"version": 1, "cap": [{"term": "printer", "weight": 0.5}]})
    capped = Encoder.load(documents=DocumentEncoding(title_weight=WEIGHT), rules=rules)
    printer = encoder.vocabulary.id("printer")
    assert printer is not None
    assert capped.encode_documents(PAGES[:1]).as_dict(0)[printer] == 0.5


def test_a_term_of_the_title_keeps_its_word(titled: Encoder) -> None:
    for document in PAGES:
        plain = titled.trace(document.full_text, Role.DOCUMENT)
        trace = titled.trace(document, Role.DOCUMENT)
        assert (trace.text, trace.tokens) == (document.full_text, plain.tokens)
        for term in trace.weights:
            if term in plain.weights:
                assert trace.word_span(term) == plain.word_span(term)
            else:
                span = trace.word_span(term)
                assert span is None or span[1] <= len(document.title)


def test_an_index_refuses_another_title_weight(
    tmp_path: Path, encoder: Encoder, titled: Encoder
) -> None:
    with Index.create(tmp_path / "i", titled.space) as index:
        assert index.space.encoding.title_weight == WEIGHT
        ingest(index, titled, PAGES)
        for other in (encoder, Encoder.load(documents=DocumentEncoding(title_weight=0.5))):
            expected = (
                r"holds documents encoded with title_weight 0\.25, "
                rf"got {other.title_weight:g}: leave the setting out"
            )
            with pytest.raises(IndexStateError, match=expected):
                ingest(index, other, [Document("new", "text", "title")])
            with pytest.raises(IndexStateError, match=expected):
                sync(index, other, [Document("new", "text", "title")], refused=[])
        # A searcher needs no title weight: the explanation uses that of the index.
        for retriever in (SparseRetriever(index, encoder), SparseRetriever(index, titled)):
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
            ingest(index, titled, PAGES)


@pytest.mark.parametrize(
    "weight", [-1, float("nan"), float("inf"), True, "0.2", 1e-45, 1e39, 10**400]
)
def test_an_invalid_title_weight_is_refused(weight: float) -> None:
    with pytest.raises(DataError, match=r"must be 0, or a number from 0\.001 to 1,000"):
        Encoder.load(documents=DocumentEncoding(title_weight=weight))


def test_a_title_weight_is_refused_with_chunks() -> None:
    with pytest.raises(DataError, match="title_weight must be 0 for long documents in chunks"):
        Encoder.load(documents=DocumentEncoding(title_weight=0.2, long=LongDocuments(Long.CHUNK)))
