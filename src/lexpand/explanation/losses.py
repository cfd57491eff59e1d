"""What did a document lose between its text and the index, and would the question have found it?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lexpand.data import Document
from lexpand.encode import Encoder, Role
from lexpand.explanation.reading import Asked, Found
from lexpand.explanation.results import Loss, LossKind

# Passages of an unread rest that are encoded: about 30,000 words at 512 tokens.
_MOST_PASSAGES = 64


def losses_of(encoder: Encoder, asked: Asked, found: Found) -> tuple[Loss, ...]:
    """A stored document's losses by pruning, truncation and quantization, the largest first.

    A term that is missing among weights that the text does not give is not said to be pruned:
    nothing is known of it.
    """
    losses = [*_pruned_of_query(asked, found)]
    if found.reading.agrees(found.vector):
        losses += _pruned(asked, found)
        if found.reading.exact:  # else another batch makes more of a difference
            losses += _quantized(asked, found)
    if found.reading.tokens_lost:
        losses += _truncated(encoder.unpruned(), asked, found)
    return tuple(sorted(losses, key=lambda loss: -abs(loss.gain)))


def _pruned(asked: Asked, found: Found) -> Iterator[Loss]:
    for term, weight in asked.weights.items():
        lost = found.reading.weights.get(term, 0.0)
        if term not in found.weights and not found.reading.gives(term, 0.0, 0.0):
            detail = f"the document's weight {lost:.2f} was pruned"
            yield _of_term(LossKind.PRUNING, term, weight * lost, detail, asked, found)


def _pruned_of_query(asked: Asked, found: Found) -> Iterator[Loss]:
    for term, weight in asked.reading.weights.items():
        if term in found.weights and term not in asked.weights:
            detail = f"the query's weight {weight:.2f} was pruned"
            yield _of_term(
                LossKind.QUERY_PRUNING, term, weight * found.weights[term], detail, asked, found
            )


def _quantized(asked: Asked, found: Found) -> Iterator[Loss]:
    shared = sorted(asked.weights.keys() & found.weights.keys())
    gain = sum(
        asked.weights[term] * (found.reading.weights.get(term, 0.0) - found.weights[term])
        for term in shared
    )
    if gain:
        yield Loss(LossKind.QUANTIZATION, "", "", gain, "weights have 16 bits; all terms together")


def _truncated(encoder: Encoder, asked: Asked, found: Found) -> Iterator[Loss]:
    """Terms that have more weight in the rest of the text, in passages of the model's length, than in what was read.

    A passage is read without what stands before it, so this is what another policy for long
    documents would store, and not what a longer model would.
    """
    rest = Document(found.document.doc_id, found.document.full_text[found.reading.end :])
    passages = [chunk.text for chunk in islice(encoder.passages(rest), _MOST_PASSAGES)]
    best: dict[int, float] = {}
    for weights in encoder.encode(passages, Role.DOCUMENT).vectors.as_dicts():
        for term in weights.keys() & asked.weights.keys():
            best[term] = max(best.get(term, 0.0), weights[term])
    for term, weight in best.items():
        read = found.reading.weights.get(term, 0.0)
        if weight > read:
            detail = f"weight {weight:.2f} in the text that was not read, {read:.2f} in what was"
            yield _of_term(
                LossKind.TRUNCATION,
                term,
                asked.weights[term] * (weight - read),
                detail,
                asked,
                found,
            )


def _of_term(
    kind: LossKind, term: int, gain: float, detail: str, asked: Asked, found: Found
) -> Loss:
    return Loss(kind, asked.reading.vocabulary.term(term), asked.label(term, found), gain, detail)
