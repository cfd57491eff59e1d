"""Retrieval by the model's vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode import Encoder, QueryEncoding, Rules
from lexpand.errors import DataError
from lexpand.index import Index, Searcher, StoredVector
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.asked import Asked, Span
from lexpand.search.feedback import Feedback, expanded
from lexpand.search.retriever import LocalRetriever

# Passages of an index at which inverse document frequencies count half.
_FEW_PASSAGES = 1_000


class VectorsAsked(Asked):
    """Queries of a `SparseRetriever`.

    Attributes:
        vectors: the queries' vectors, before their own feedback.
    """

    def __init__(
        self,
        searcher: Searcher,
        queries: Sequence[str],
        vectors: SparseVectors,
        effort: float,
        feedback: Feedback | None,
        readable: Callable[[int], str] | None = None,
    ) -> None:
        super().__init__(searcher, queries)
        self.vectors = vectors
        self._readable = readable or searcher.space.vocabulary.text
        self._labels: dict[int, str] = {}
        self._effort = effort
        self._feedback = feedback

    def passages(
        self, k: int, *, filter: Filter | None = None, group_by: str | None = None, threads: int = 1
    ) -> Sequence[RankedPassages]:
        """See `Asked.passages`."""
        # Nothing asked for needs no feedback, which would search.
        if self._feedback is not None and k:
            return self.resolved(filter=filter, threads=threads).passages(
                k, filter=filter, group_by=group_by, threads=threads
            )
        return self.searcher.vector_passages(
            self.vectors, k, filter=filter, effort=self._effort, group_by=group_by, threads=threads
        )

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> VectorsAsked:
        """The queries as they are searched for, the terms of their own best documents added."""
        if self._feedback is None:
            return self
        plain = VectorsAsked(
            self.searcher, self.queries, self.vectors, self._effort, None, self._readable
        )
        return plain.learned(
            plain.passages(self._feedback.documents, filter=filter, threads=threads), self._feedback
        )

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> VectorsAsked:
        """See `Asked.learned`."""
        vectors = expanded(self.searcher, self.vectors, relevant, feedback)
        return VectorsAsked(
            self.searcher, self.queries, vectors, self._effort, None, self._readable
        )

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `Asked.terms`."""
        terms, weights = self.vectors.row(place)
        found = []
        for stored in self.searcher.passage_vectors(passages):
            places = np.minimum(np.searchsorted(stored.terms, terms), max(0, len(stored.terms) - 1))
            shared = (
                np.flatnonzero(stored.terms[places] == terms)
                if len(stored.terms)
                else np.zeros(0, np.int64)
            )
            shares = weights[shared] * (stored.impacts[places[shared]] * stored.scale)
            chosen = np.argsort(-shares, kind="stable")[:most]
            labels = [self._label(term) for term in terms[shared[chosen]].tolist()]
            found.append(dict(zip(labels, shares[chosen].tolist(), strict=True)))
        return found

    def _label(self, term: int) -> str:
        """A term as people read it; hits of one query share most of theirs."""
        label = self._labels.get(term)
        if label is None:
            label = self._labels[term] = self._readable(term)
        return label

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `Asked.spans`."""
        query = self.vectors.as_dict(place)
        found = sorted(self.searcher.vectors(doc_id), key=lambda stored: -_score(query, stored))
        return [stored.span for stored in found]

    def bounds(self) -> Sequence[float]:
        """See `Asked.bounds`: query weights times the largest stored weights of their terms, summed up."""
        if self._feedback is not None:
            raise DataError(
                "with feedback, a query is known only when it has been searched for: no fusion by bounds"
            )
        products = self.vectors.weights * self.searcher.largest_weights(self.vectors.terms)
        return [
            float(products[start:end].sum())
            for start, end in pairwise(self.vectors.indptr.tolist())
        ]

    def expected(self) -> Sequence[float]:
        """See `Asked.expected`: query weights times a large stored weight of a typical passage, summed up."""
        weight = self.searcher.typical_weight()
        return [
            float(self.vectors.weights[a:b].sum()) * weight
            for a, b in pairwise(self.vectors.indptr.tolist())
        ]


def _score(query: Mapping[int, float], stored: StoredVector) -> float:
    pairs = zip(stored.terms.tolist(), stored.weights.tolist(), strict=True)
    return float(sum(query[term] * weight for term, weight in pairs if term in query))


class SparseRetriever(LocalRetriever):
    """Answers questions from one index with the encoder that its documents were encoded with.

    Args:
        index: the documents.
        encoder: the model.
        effort: see `Index.search`.
        idf: query weights are multiplied by this power of the term's inverse document frequency in
            the index; 0 for the model's own weights. It fits a model to a corpus without training.
            In a small index, whose frequencies say little, the power is smaller: it is times N / (N
            + 1,000) for N passages.
        feedback: add terms of the best documents to the query and search again; None for once.

    Raises:
        ContractMismatch: the index holds another model's vectors.
        DataError: ``idf`` is negative or not finite, or one term stands for two pinned texts, the
            encoder's and the documents'.
    """

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        *,
        effort: float = 1.0,
        idf: float = 0.0,
        feedback: Feedback | None = None,
    ) -> None:
        super().__init__(index)
        index.check_model(encoder.space.model)
        encoder.rules.check_pins(Rules.recorded(index.space.encoding))
        if not 0 <= idf < float("inf"):
            raise DataError(
                f"the power of inverse document frequencies must be finite and at least 0, got {idf!r}"
            )
        self.encoder = encoder
        self.effort = effort
        self.idf = idf
        self.feedback = feedback

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> VectorsAsked:
        """See `LocalRetriever.ask`."""
        vectors, encoder = self.encode(queries, searcher), self.encoder
        if Rules.recorded(searcher.space.encoding) and encoder.documents != searcher.space.encoding:
            encoder = encoder.encoding(searcher.space.encoding)  # whose pins are the documents'
        return VectorsAsked(
            searcher, queries, vectors, self.effort, self.feedback, encoder.readable
        )

    def with_feedback(self, feedback: Feedback | None) -> Self:
        """The same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other

    def encode(self, queries: Sequence[str], searcher: Searcher | None = None) -> SparseVectors:
        """The queries' vectors as they are searched for, before feedback."""
        vectors = self.encoder.encode_queries(queries)
        if not self.idf:
            return vectors
        searcher = searcher or self.searcher
        power = self.idf * searcher.live_passages / (searcher.live_passages + _FEW_PASSAGES)
        weights = vectors.weights * searcher.inverse_document_frequencies()[vectors.terms] ** power
        return SparseVectors(
            vectors.indptr,
            vectors.terms,
            weights.astype(np.float32),
            vectors.vocabulary_size,
            vectors.model,
        )


def encoder_of(
    index: Index,
    *,
    model: str | Path | None = None,
    queries: QueryEncoding = QueryEncoding(),
    rules: Rules | str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Encoder:
    """The encoder that an index names, which encodes documents as the index's are.

    Args:
        index: the documents.
        model: where the model is, if it has moved since.
        queries: how queries are encoded.
        rules: edits of queries (docs/rules.md); by default those that the index records. Documents
            keep the index's.
        threads: that the encoder may use.
        device: see `Encoder.load`.

    Raises:
        ModelError: the model cannot be loaded.
        SourceError, DataError: see `Rules.load`; or the rules and the index's have one term for two
            pinned texts.
    """
    return Encoder.load(
        model or index.space.location or "default",
        documents=index.space.encoding,
        queries=queries,
        rules=rules,
        threads=threads,
        device=device,
    )
