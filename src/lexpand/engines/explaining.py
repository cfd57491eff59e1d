"""Explain the score of a document in an engine, from its stored vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from lexpand.data import Document
from lexpand.encode import Encoder
from lexpand.engines.engine import Engine
from lexpand.engines.records import Record, passage_ids, record_id_of
from lexpand.errors import DataError, UnknownDocument
from lexpand.explanation import Explanation
from lexpand.explanation.reading import (
    ExplainedDocument,
    ExplainedQuery,
    read_document,
    read_query,
)
from lexpand.explanation.vectors import explanation_of

_PASSAGES = 64  # of one request


def explain_in_engine(engine: Engine, query: str, doc_id: str) -> Explanation:
    """Explain the score of a document by the vector that the engine has.

    If the document has chunks, its best chunk is explained.

    Raises:
        ContractMismatch: the engine has vectors of another model.
        DataError: the engine has no encoder.
        EngineError: the engine cannot be reached.
        UnknownDocument: the engine has no such document.
    """
    encoder = engine.encoder
    if encoder is None:
        raise DataError("the engine needs an encoder for queries in words: give the model")
    engine.check_model(encoder.space.model)
    weights = engine.encoded_queries([query]).as_dict(0)
    records = list(_passages(engine, doc_id))
    if not records:
        raise UnknownDocument(f"{engine.target} has no document {doc_id!r}")
    best = max(records, key=lambda record: _score(weights, record))
    asked = ExplainedQuery(weights, read_query(encoder, query), encoder.readable)
    explained = _read(encoder, best, _score(weights, best), engine.precision)
    found = explanation_of(query, encoder, asked, explained)
    if not engine.precision:
        return found
    note = f"the engine rounds weights, so its own score differs by up to {engine.precision:.2%}"
    return replace(found, notes=(*found.notes, note))


def _passages(engine: Engine, doc_id: str) -> Iterator[Record]:
    """Yield the passages of a document that the engine has."""
    yield from engine.stored([record_id_of(doc_id, None)]).values()
    for first in count(0, _PASSAGES):
        numbers = range(first, first + _PASSAGES)
        found = engine.stored([each for number in numbers for each in passage_ids(doc_id, number)])
        own = [record for record in found.values() if record.doc_id == doc_id]
        yield from own
        if all(record.passage != numbers[-1] for record in own):
            return


def _score(query: dict[int, float], record: Record) -> float:
    weights = record.weight_by_term()
    return sum(weight * weights.get(term, 0.0) for term, weight in query.items())


def _read(encoder: Encoder, record: Record, score: float, precision: float) -> ExplainedDocument:
    document = Document(record.doc_id, record.text, record.title, dict(record.metadata))
    first = len(record.title) + 1 if record.passage and record.title else 0
    span = (first, len(document.full_text))
    weights = record.weight_by_term()
    # Elasticsearch 9 gives weights back as it rounded them.
    step = record.step + precision * max(weights.values(), default=0.0)
    reading = read_document(encoder, document, span, weights, step)
    return ExplainedDocument(document, span, weights, step, score, reading)
