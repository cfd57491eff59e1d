"""Losses: the weight that a document lost between its text and the index, for a query."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lexpand.data import Document
from lexpand.encode import Encoder, Role
from lexpand.explanation.reading import ExplainedDocument, ExplainedQuery
from lexpand.explanation.results import Loss, LossKind

# The number of passages of unread text that are encoded: about 30,000 words at 512 tokens.
_MOST_PASSAGES = 64


def losses_of(
    encoder: Encoder, query: ExplainedQuery, document: ExplainedDocument
) -> tuple[Loss, ...]:
    """Return the losses of a document by pruning, truncation and quantization, largest first.

    If the text does not reproduce the stored weights, the reason for a missing term is unknown, and
    it is not reported as pruned.
    """
    losses = [*_pruned_of_query(query, document)]
    if document.reading.agrees(document.weights, document.step):
        losses += _pruned(query, document)
        if document.reading.exact:  # else another batch makes a larger difference
            losses += _quantized(query, document)
    if document.reading.tokens_lost:
        losses += _truncated(encoder.without_pruning(), query, document)
    return tuple(sorted(losses, key=lambda loss: -abs(loss.gain)))


def _pruned(query: ExplainedQuery, document: ExplainedDocument) -> Iterator[Loss]:
    for term, weight in query.weights.items():
        lost = document.reading.weights.get(term, 0.0)
        if term not in document.weights and not document.reading.reproduces(term, 0.0, 0.0):
            detail = f"the document's weight {lost:.2f} was pruned"
            yield _of_term(LossKind.PRUNING, term, weight * lost, detail, query, document)


def _pruned_of_query(query: ExplainedQuery, document: ExplainedDocument) -> Iterator[Loss]:
    for term, weight in query.reading.weights.items():
        if term in document.weights and term not in query.weights:
            gain = weight * document.weights[term]
            detail = f"the query's weight {weight:.2f} was pruned"
            yield _of_term(LossKind.QUERY_PRUNING, term, gain, detail, query, document)


def _quantized(query: ExplainedQuery, document: ExplainedDocument) -> Iterator[Loss]:
    shared = sorted(query.weights.keys() & document.weights.keys())
    gain = sum(
        query.weights[term] * (document.reading.weights.get(term, 0.0) - document.weights[term])
        for term in shared
    )
    if gain:
        detail = "weights are stored in 16 bits; the gain is the total over all terms"
        yield Loss(LossKind.QUANTIZATION, "", "", gain, detail)


def _truncated(
    encoder: Encoder, query: ExplainedQuery, document: ExplainedDocument
) -> Iterator[Loss]:
    """Yield the terms with more weight in the rest of the text than in the part that was read.

    The rest is encoded in passages of the model's length. A passage is encoded without the text
    before it, so this is what another policy for long documents would store, not what a longer
    model would.
    """
    unread = document.document.full_text[document.reading.end :]
    rest = Document(document.document.doc_id, unread)
    passages = [chunk.text for chunk in islice(encoder.passages(rest), _MOST_PASSAGES)]
    best: dict[int, float] = {}
    for weights in encoder.encode(passages, Role.DOCUMENT).vectors.as_dicts():
        for term in weights.keys() & query.weights.keys():
            best[term] = max(best.get(term, 0.0), weights[term])
    for term, weight in best.items():
        read = document.reading.weights.get(term, 0.0)
        if weight > read:
            gain = query.weights[term] * (weight - read)
            detail = f"weight {weight:.2f} in the unread text, {read:.2f} in the text that was read"
            yield _of_term(LossKind.TRUNCATION, term, gain, detail, query, document)


def _of_term(
    kind: LossKind,
    term: int,
    gain: float,
    detail: str,
    query: ExplainedQuery,
    document: ExplainedDocument,
) -> Loss:
    spelled = query.reading.vocabulary.term(term)
    return Loss(kind, spelled, query.label(term, document), gain, detail)
