"""Explanations of scores by the vectors of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexpand.encode import Encoder
from lexpand.explanation.inquiry import Inquiry, exact_rank
from lexpand.explanation.losses import losses_of
from lexpand.explanation.reading import (
    ExplainedDocument,
    ExplainedQuery,
    Reading,
    read_document,
    read_query,
)
from lexpand.explanation.results import (
    Contribution,
    Explanation,
    Loss,
    LossKind,
    Origin,
    Side,
    Unmatched,
)
from lexpand.index import StoredVector
from lexpand.index.filters import Filter
from lexpand.search.sparse import PreparedVectors, SparseRetriever


class VectorInquiry(Inquiry):
    """The inquiry of a `SparseRetriever`; see `Inquiry` for the arguments."""

    kind = "splade"

    def __init__(
        self, retriever: SparseRetriever, asked: PreparedVectors, filter: Filter | None
    ) -> None:
        super().__init__(retriever, asked, filter)
        self._effort = retriever.effort
        self._encoder = retriever.encoder.encoding(self.searcher.space.encoding)
        self._vectors = asked.vectors
        self._query = ExplainedQuery(
            self._vectors.as_dict(0), read_query(self._encoder, self.query), self._encoder.readable
        )
        self._documents: dict[str, ExplainedDocument] = {}

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`; with effort 1, whatever the effort of the retriever is."""
        return exact_rank(
            doc_id, lambda k: self.searcher.search(self._vectors, k, filter=self.filter)[0]
        )

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`; for a document in chunks, that of its best one."""
        return explanation_of(self.query, self._encoder, self._query, self._document(doc_id))

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """See `Inquiry.losses`."""
        losses = losses_of(self._encoder, self._query, self._document(doc_id))
        if self._effort == 1:
            return losses
        rank = self.rank_of(doc_id)
        if rank is None or rank > k or any(match.doc_id == doc_id for match in self.best(k)):
            return losses
        detail = f"exact search has the document at rank {rank}; effort {self._effort:g} missed it"
        return (Loss(LossKind.EFFORT, "", "", 0.0, detail), *losses)

    def _document(self, doc_id: str) -> ExplainedDocument:
        if doc_id not in self._documents:
            self._documents[doc_id] = self._read_document(doc_id)
        return self._documents[doc_id]

    def _read_document(self, doc_id: str) -> ExplainedDocument:
        document = self.searcher.document(doc_id)
        vector = max(self.searcher.vectors(doc_id), key=self._score)
        weights = dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))
        reading = read_document(self._encoder, document, vector.span, weights, vector.scale)
        score = self._score(vector)
        return ExplainedDocument(document, vector.span, weights, vector.scale, score, reading)

    def _score(self, stored: StoredVector) -> float:
        """Return the sum of docs/format.md in its order, equal to the search's to the bit."""
        total = 0.0
        for term, impact in zip(stored.terms.tolist(), stored.impacts.tolist(), strict=True):
            if term in self._query.weights:
                total += self._query.weights[term] * impact
        return total * stored.scale


def explanation_of(
    text: str, encoder: Encoder, query: ExplainedQuery, explained: ExplainedDocument
) -> Explanation:
    """Return the explanation of a score: the terms of both sides and the words behind them.

    Args:
        text: of the query.
        encoder: encodes documents as their vectors were made.
        query: the query.
        explained: the document.
    """
    shared = [term for term in query.weights if term in explained.weights]
    parts = [_contribution(encoder, query, term, explained) for term in shared]
    spelled = encoder.vocabulary.term
    unmatched = [
        Unmatched(spelled(term), query.label(term), weight)
        for term, weight in query.weights.items()
        if term not in explained.weights
    ]
    return Explanation(
        text,
        explained.document.doc_id,
        explained.document.title,
        explained.document.full_text,
        explained.span,
        explained.score,
        tuple(sorted(parts, key=lambda part: -part.contribution)),
        tuple(sorted(unmatched, key=lambda term: -term.weight)),
        notes=(*_query_notes(query), *_document_notes(explained, parts)),
    )


def _contribution(
    encoder: Encoder, query: ExplainedQuery, term: int, document: ExplainedDocument
) -> Contribution:
    in_query, stored = query.weights[term], document.weights[term]
    reading = document.reading
    from_text = term in query.reading.weights
    known = term in reading.weights and reading.reproduces(term, stored, document.step)
    return Contribution(
        encoder.vocabulary.term(term),
        query.label(term, document),
        in_query * stored,
        query.reading.side(term, in_query) if from_text else Side(in_query, Origin.FEEDBACK),
        reading.side(term, stored) if known else Side(stored, Origin.UNKNOWN),
    )


def _query_notes(query: ExplainedQuery) -> Iterator[str]:
    """Yield notes on a query."""
    if not _tokens_read(query.reading):
        yield "the query has no words that the model reads"
    elif not query.weights:
        yield "no term of the query has a weight"
    yield from _truncation_note("query", query.reading)
    unknown = query.reading.unknown_words()
    if unknown:
        yield f"the model's vocabulary lacks {unknown:,} of the query's words"


def _document_notes(document: ExplainedDocument, parts: Sequence[Contribution]) -> Iterator[str]:
    """Yield notes on a document and on the terms that it shares with the query."""
    yield from _truncation_note("document", document.reading)
    unknown = sum(part.document.origin is Origin.UNKNOWN for part in parts)
    if unknown:
        yield (
            f"{unknown:,} of {len(parts):,} terms have no word in the document: re-encoding its "
            "text does not reproduce their stored weights, so it was encoded at another length or "
            "with other settings"
        )


def _truncation_note(name: str, reading: Reading) -> Iterator[str]:
    if reading.tokens_lost:
        read = _tokens_read(reading)
        total = read + reading.tokens_lost
        yield f"the {name} has {total:,} tokens, of which the model reads {read:,}"


def _tokens_read(reading: Reading) -> int:
    return sum(len(passage.trace.tokens) for passage in reading.passages)
