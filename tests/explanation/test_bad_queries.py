"""Empty, unreadable and very long queries, explained by every retriever."""

import pytest
from explain_cases import Collection

from lexpand import Retriever
from lexpand.explanation import Explanation, explain, why_not

KINDS = ["splade", "bm25", "hybrid"]


def retriever_of(collection: Collection, kind: str) -> Retriever:
    return {
        "splade": collection.sparse,
        "bm25": collection.words,
        "hybrid": collection.sparse + collection.words,
    }[kind]


def notes(explanation: Explanation) -> str:
    return "; ".join([*explanation.notes, *(notes(part.explanation) for part in explanation.parts)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("query", ["", "  \n\t", "\x01\x02"])
def test_a_query_without_words_is_explained(collection: Collection, kind: str, query: str) -> None:
    retriever, doc_id = retriever_of(collection, kind), collection.documents[0].doc_id
    assert retriever.search(query) == []
    explanation = explain(retriever, query, doc_id)
    assert (explanation.score, explanation.contributions, explanation.unmatched) == (0.0, (), ())
    assert "the query has no words" in notes(explanation)
    answer = why_not(retriever, query, doc_id)
    assert (answer.missing_rank, answer.than, answer.differences, answer.losses) == (
        None,
        None,
        (),
        (),
    )
    if kind != "hybrid":
        assert answer.verdict == "the document shares no term with the query"
    assert explanation.to_html() and answer.to_html()


def test_a_query_of_stop_words_is_explained(collection: Collection) -> None:
    """BM25 finds nothing; the model reads stop words like any others."""
    explanation = explain(collection.words, "of the and", collection.documents[0].doc_id)
    assert explanation.notes == ("the query has only stop words",)
    assert collection.words.search("of the and") == []
    check_explanations(collection, "of the and")


@pytest.mark.parametrize("query", ["心臓の病気", "сердце и печень", "🜚🜛 \U0001f9ff", "heart 🜚"])
def test_other_scripts_and_unknown_letters_are_explained(
    collection: Collection, query: str
) -> None:
    explanation = check_explanations(collection, query)
    if "🜚" in query:
        assert "the model's vocabulary lacks" in notes(explanation)


def test_a_query_of_ten_thousand_words_is_explained(collection: Collection) -> None:
    query = " ".join(
        f"{word} heart" for word in ["liver", "mice", "cells", "protein", "gene"] * 1000
    )
    explanation = check_explanations(collection, query)
    assert "the query has 10,002 tokens, of which the model reads 512" in explanation.notes
    found = collection.words.search(query, 1)[0]
    heart = explain(collection.words, query, found.doc_id)
    assert heart.score == found.score
    assert max(len(part.query.spans) for part in heart.contributions) >= 1000


def check_explanations(collection: Collection, query: str) -> Explanation:
    """Check the explanations of hits and of a missing document; return one of the model."""
    explanation = explain(collection.sparse, query, collection.documents[0].doc_id)
    for retriever in (collection.sparse, collection.words, collection.sparse + collection.words):
        for hit in retriever.search(query, 3):
            found = explain(retriever, query, hit.doc_id)
            assert found.score == hit.score
            parts = [part.contribution for part in found.parts or found.contributions]
            assert sum(parts) == pytest.approx(hit.score, abs=1e-4)
        assert why_not(retriever, query, collection.documents[0].doc_id).verdict
    return explanation
