"""Weights against recorded weights of float32 PyTorch (tools/make_golden_weights.py)."""

from pathlib import Path

import numpy as np
import pytest

from lexpand import Document, Encoder, Role, SparseVectors
from lexpand.data import collection_path, read_queries

GOLDEN = Path(__file__).parents[1] / "golden" / "splade_tiny_200.npz"
# The smallest golden weights are 1e-5. Whether a term of such a weight occurs depends on the
# rounding of the processor.
TOLERANCE = 1e-4


def assert_same(found: SparseVectors, expected: SparseVectors) -> None:
    difference = np.abs(found.to_dense() - expected.to_dense())
    assert difference.max() < TOLERANCE, np.unravel_index(difference.argmax(), difference.shape)


def test_two_hundred_real_texts_have_the_golden_weights(
    encoder: Encoder, scifact: list[Document]
) -> None:
    golden = np.load(GOLDEN)
    expected = SparseVectors(
        golden["indptr"], golden["terms"], golden["weights"], len(encoder.vocabulary)
    )
    documents = {document.doc_id: document for document in scifact}
    queries = {query.query_id: query.text for query in read_queries(collection_path("scifact"))}
    is_document = golden["roles"] == "document"
    assert is_document.sum() == 150
    assert (~is_document).sum() == 50
    ids = golden["ids"]
    assert_same(
        encoder.encode_documents([documents[i] for i in ids[is_document]]), expected[is_document]
    )
    assert_same(
        encoder.encode_queries([queries[i] for i in ids[~is_document]]), expected[~is_document]
    )


def test_the_golden_pairs_of_the_contract_are_reproduced(encoder: Encoder) -> None:
    assert len(encoder.contract.golden) >= 8
    for pair in encoder.contract.golden:
        row = dict(zip(pair.terms, pair.weights, strict=True))
        expected = SparseVectors.from_rows([row], len(encoder.vocabulary))
        assert_same(encoder.encode([pair.text], pair.role).vectors, expected)


# The strongest terms that sentence-transformers prints for the same checkpoint.
@pytest.mark.parametrize(
    ("text", "terms", "strongest"),
    [
        (
            "automobile accident injury",
            20,
            {"injury": 1.90, "accident": 1.85, "crash": 1.69, "car": 1.55},
        ),
        (
            "reset my login",
            16,
            {"reset": 2.41, "log": 2.16, "##in": 1.79, "settlement": 1.47, "my": 1.30},
        ),
    ],
)
def test_the_strongest_terms_are_those_of_sentence_transformers(
    encoder: Encoder, text: str, terms: int, strongest: dict[str, float]
) -> None:
    weights = encoder.trace(text, Role.QUERY).weights
    found = sorted(weights, key=lambda term: -weights[term])[: len(strongest)]
    assert len(weights) == terms
    assert {encoder.vocabulary.term(term): round(weights[term], 2) for term in found} == strongest
