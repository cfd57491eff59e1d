"""Why does the model's vector find this document?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexpand.explanation.inquiry import Inquiry, place_of
from lexpand.explanation.losses import losses_of
from lexpand.explanation.reading import Asked, Found, Reading, read_document, read_query
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
from lexpand.search.sparse import SparseRetriever, VectorsAsked


class VectorInquiry(Inquiry):
    """A question to a `SparseRetriever`.

    See `Inquiry` for the arguments.
    """

    kind = "splade"

    def __init__(
        self, retriever: SparseRetriever, asked: VectorsAsked, filter: Filter | None
    ) -> None:
        super().__init__(retriever, asked, filter)
        self._effort = retriever.effort
        self._encoder = retriever.encoder.encoding(self.searcher.space.encoding)
        self._vectors = asked.vectors
        self._asked = Asked(
            self._vectors.as_dict(0), read_query(self._encoder, self.query), self._encoder.readable
        )
        self._read: dict[str, Found] = {}

    def rank_of(self, doc_id: str) -> int | None:
        """See `Inquiry.rank_of`; with effort 1, whatever the retriever's is."""
        return place_of(
            doc_id, lambda k: self.searcher.search(self._vectors, k, filter=self.filter)[0]
        )

    def explanation(self, doc_id: str) -> Explanation:
        """See `Inquiry.explanation`; of a document in chunks, that of its best one."""
        found, asked = self._found(doc_id), self._asked
        parts = [self._contribution(term, found) for term in asked.weights if term in found.weights]
        spelled = self._encoder.vocabulary.term
        missing = [
            Unmatched(spelled(term), asked.label(term), weight)
            for term, weight in asked.weights.items()
            if term not in found.weights
        ]
        return Explanation(
            self.query,
            doc_id,
            found.document.title,
            found.document.full_text,
            found.vector.span,
            self._score(found.vector),
            tuple(sorted(parts, key=lambda part: -part.contribution)),
            tuple(sorted(missing, key=lambda lacking: -lacking.weight)),
            notes=(*_query_notes(asked), *_document_notes(found, parts)),
        )

    def losses(self, doc_id: str, k: int) -> tuple[Loss, ...]:
        """See `Inquiry.losses`."""
        found = losses_of(self._encoder, self._asked, self._found(doc_id))
        if self._effort == 1:
            return found
        rank = self.rank_of(doc_id)
        if rank is None or rank > k or any(match.doc_id == doc_id for match in self.best(k)):
            return found
        detail = (
            f"exact search has the document at rank {rank}; the effort {self._effort:g} missed it"
        )
        return (Loss(LossKind.EFFORT, "", "", 0.0, detail), *found)

    def _found(self, doc_id: str) -> Found:
        if doc_id not in self._read:
            self._read[doc_id] = self._read_document(doc_id)
        return self._read[doc_id]

    def _read_document(self, doc_id: str) -> Found:
        document = self.searcher.document(doc_id)
        vector = max(self.searcher.vectors(doc_id), key=self._score)
        weights = dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))
        return Found(document, vector, read_document(self._encoder, document, vector), weights)

    def _score(self, stored: StoredVector) -> float:
        """The sum of docs/format.md, in its order, so that it is search's to the bit."""
        total = 0.0
        for term, impact in zip(stored.terms.tolist(), stored.impacts.tolist(), strict=True):
            if term in self._asked.weights:
                total += self._asked.weights[term] * impact
        return total * stored.scale

    def _contribution(self, term: int, found: Found) -> Contribution:
        asked, stored = self._asked.weights[term], found.weights[term]
        in_query = term in self._asked.reading.weights
        in_text = term in found.reading.weights and found.reading.gives(
            term, stored, found.vector.scale
        )
        return Contribution(
            self._encoder.vocabulary.term(term),
            self._asked.label(term, found),
            asked * stored,
            self._asked.reading.side(term, asked) if in_query else Side(asked, Origin.FEEDBACK),
            found.reading.side(term, stored) if in_text else Side(stored, Origin.UNKNOWN),
        )


def _query_notes(asked: Asked) -> Iterator[str]:
    """Of a query."""
    if not _tokens_read(asked.reading):
        yield "the query has no words that the model reads"
    elif not asked.weights:
        yield "no term of the query has a weight"
    yield from _cut("query", asked.reading)
    unknown = asked.reading.unknown_words()
    if unknown:
        yield f"the model's vocabulary lacks {unknown:,} of the query's words"


def _document_notes(found: Found, parts: Sequence[Contribution]) -> Iterator[str]:
    """Of a document and the terms that it shares with the query."""
    yield from _cut("document", found.reading)
    unknown = sum(part.document.origin is Origin.UNKNOWN for part in parts)
    if unknown:
        yield (
            f"{unknown:,} of {len(parts):,} terms have no word in the document: its text, read again, does not give "
            "their stored weights, for it was encoded at another length or with other settings"
        )


def _cut(what: str, reading: Reading) -> Iterator[str]:
    if reading.tokens_lost:
        read = _tokens_read(reading)
        yield f"the {what} has {read + reading.tokens_lost:,} tokens, of which the model reads {read:,}"


def _tokens_read(reading: Reading) -> int:
    return sum(len(passage.trace.tokens) for passage in reading.passages)
