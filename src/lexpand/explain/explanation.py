"""A score taken apart: which terms, how much each, and which words they came from."""

from __future__ import annotations

from dataclasses import dataclass

from lexpand.data import Document
from lexpand.encode import Encoder, Role, Trace
from lexpand.index import Index, StoredVector


@dataclass(frozen=True, slots=True)
class Side:
    """What one text, query or document, put into a term.

    Attributes:
        weight: the term's weight (the document's as it is stored).
        expansion: whether the term stands nowhere in the text: the model added it.
        word: the word of the text that gave the weight; None where no single word did (the model read it off the
            text as a whole, at a special token), or where the text no longer gives the term that is stored.
    """

    weight: float
    expansion: bool
    word: str | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One shared term's part of a score: query weight times document weight."""

    term: str
    contribution: float
    query: Side
    document: Side


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document has its score for a query.

    Attributes:
        query: the question.
        doc_id, title: the document.
        score: the same to the bit as in search.
        contributions: every shared term, largest first; their sum is the score up to the rounding of float64.
        unmatched: terms of the query that the document lacks, with their weights, largest first.
    """

    query: str
    doc_id: str
    title: str
    score: float
    contributions: tuple[Contribution, ...]
    unmatched: tuple[tuple[str, float], ...]


def explain(index: Index, encoder: Encoder, query: str, doc_id: str) -> Explanation:
    """Explain the score of one document for one question; of a document in chunks, that of its best one.

    The text is encoded again to find the words behind its terms.

    Raises:
        UnknownDocument: the index has no such document.
        ContractMismatch: the encoder is not the index's model.
    """
    index.check_model(encoder.space.model)
    document = index.document(doc_id)
    asked = encoder.trace(query, Role.QUERY)
    stored = max(index.vectors(doc_id), key=lambda vector: _score(asked, vector))
    read = encoder.trace(_text_of(document, stored.span), Role.DOCUMENT)
    asked_terms, read_terms = asked.input_terms, read.input_terms
    token = encoder.vocabulary.term

    parts, shared = [], set()
    for term, weight in zip(stored.terms.tolist(), stored.weights.tolist(), strict=True):
        if term in asked.weights:
            shared.add(term)
            parts.append(
                Contribution(
                    token(term),
                    asked.weights[term] * weight,
                    _side(asked, asked_terms, term, asked.weights[term]),
                    _side(read, read_terms, term, weight),
                )
            )
    missing = [(token(term), weight) for term, weight in asked.weights.items() if term not in shared]
    return Explanation(
        query,
        doc_id,
        document.title,
        _score(asked, stored),
        tuple(sorted(parts, key=lambda part: -part.contribution)),
        tuple(sorted(missing, key=lambda pair: -pair[1])),
    )


def _score(asked: Trace, stored: StoredVector) -> float:
    """The sum of docs/format.md, in its order, so that it is search's to the bit."""
    total = 0.0
    for term, impact in zip(stored.terms.tolist(), stored.impacts.tolist(), strict=True):
        if term in asked.weights:
            total += asked.weights[term] * impact
    return total * stored.scale


def _text_of(document: Document, span: tuple[int, int]) -> str:
    """What was encoded of a document: a chunk behind the first one has the title before it."""
    text = document.full_text[slice(*span)]
    return f"{document.title} {text}" if document.title and span[0] > len(document.title) else text


def _side(trace: Trace, input_terms: frozenset[int], term: int, weight: float) -> Side:
    word = trace.word(term) if term in trace.weights else None
    return Side(weight, term not in input_terms, word)
