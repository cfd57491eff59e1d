"""Retrieval by the vectors of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from lexpand.data import SparseVectors
from lexpand.data.arguments import check_number
from lexpand.data.pruning import Pruning, parse_pruning
from lexpand.encode import Encoder, QueryEncoding, Rules
from lexpand.errors import DataError
from lexpand.index import Index, Searcher, StoredVector
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.feedback import Feedback, expanded
from lexpand.search.prepared import PreparedQueries, Span
from lexpand.search.retriever import LocalRetriever

# The number of passages at which the power of inverse document frequency is halved.
_FEW_PASSAGES = 1_000


class PreparedVectors(PreparedQueries):
    """Prepared queries of a `SparseRetriever`.

    Attributes:
        vectors: the vectors of the queries, before their own feedback.
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
        """See `PreparedQueries.passages`."""
        # With k = 0, no search is needed for feedback.
        if self._feedback is not None and k:
            return self.resolved(filter=filter, threads=threads).passages(
                k, filter=filter, group_by=group_by, threads=threads
            )
        return self.searcher.vector_passages(
            self.vectors, k, filter=filter, effort=self._effort, group_by=group_by, threads=threads
        )

    def resolved(self, *, filter: Filter | None = None, threads: int = 1) -> PreparedVectors:
        """Return the final queries, with the terms of their own best documents added."""
        if self._feedback is None:
            return self
        plain = PreparedVectors(
            self.searcher, self.queries, self.vectors, self._effort, None, self._readable
        )
        relevant = plain.passages(self._feedback.documents, filter=filter, threads=threads)
        return plain.learned(relevant, self._feedback)

    def learned(self, relevant: Sequence[RankedPassages], feedback: Feedback) -> PreparedVectors:
        """See `PreparedQueries.learned`."""
        vectors = expanded(self.searcher, self.vectors, relevant, feedback)
        return PreparedVectors(
            self.searcher, self.queries, vectors, self._effort, None, self._readable
        )

    def terms(
        self, place: int, passages: RankedPassages, most: int | None = None
    ) -> list[dict[str, float]]:
        """See `PreparedQueries.terms`."""
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
        """Return a term in readable form; cached, because hits of a query share most terms."""
        label = self._labels.get(term)
        if label is None:
            label = self._labels[term] = self._readable(term)
        return label

    def spans(self, place: int, doc_id: str) -> list[Span]:
        """See `PreparedQueries.spans`."""
        query = self.vectors.as_dict(place)
        found = sorted(self.searcher.vectors(doc_id), key=lambda stored: -_score(query, stored))
        return [stored.span for stored in found]

    def bounds(self) -> Sequence[float]:
        """See `PreparedQueries.bounds`: each weight times the largest stored weight of its term."""
        if self._feedback is not None:
            raise DataError(
                "a query with feedback has no bound before its search: "
                "use another fusion than bound"
            )
        products = self.vectors.weights * self.searcher.largest_weights(self.vectors.terms)
        return [
            float(products[start:end].sum())
            for start, end in pairwise(self.vectors.indptr.tolist())
        ]

    def expected(self) -> Sequence[float]:
        """See `PreparedQueries.expected`: the weights times a large weight of a typical passage."""
        weight = self.searcher.typical_weight()
        return [
            float(self.vectors.weights[a:b].sum()) * weight
            for a, b in pairwise(self.vectors.indptr.tolist())
        ]


def _score(query: Mapping[int, float], stored: StoredVector) -> float:
    pairs = zip(stored.terms.tolist(), stored.weights.tolist(), strict=True)
    return float(sum(query[term] * weight for term, weight in pairs if term in query))


class SparseRetriever(LocalRetriever):
    """A retriever that encodes queries with the encoder of the documents of one index.

    Args:
        index: the documents.
        encoder: the model.
        effort: see `Index.search`.
        idf: the power of inverse document frequency that multiplies query weights; 0 for the
            model's own weights. It fits a model to a corpus without training. Frequencies of a
            small index mean little, so the power is multiplied by N / (N + 1,000) for N passages.
        prune: rules that keep fewer terms of a query, as a `Pruning` or a text such as
            ``top=16`` (`lexpand.data.pruning.parse_pruning`). They apply to the weights that are
            searched, after ``idf`` and before feedback. Empty to keep all.
        feedback: add terms of the best documents to the query and search again; None to search
            once.

    Raises:
        ContractMismatch: the index has vectors of another model.
        DataError: ``idf`` is negative or not finite, ``prune`` has an unknown rule or the rule
            ``position``, which needs an encoding, or one term is pinned to two texts, one by the
            encoder and one by the documents.
    """

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        *,
        effort: float = 1.0,
        idf: float = 0.0,
        prune: Pruning | str = "",
        feedback: Feedback | None = None,
    ) -> None:
        super().__init__(index)
        index.check_model(encoder.space.model)
        encoder.rules.check_pins(Rules.recorded(index.space.encoding))
        check_number(effort, "effort")
        check_number(idf, "idf")
        if not 0 <= idf < float("inf"):
            raise DataError(
                f"idf (a power of document frequencies) must be finite and >= 0, got {idf!r}"
            )
        self.encoder = encoder
        self.effort = effort
        self.idf = idf
        self.prune = parse_pruning(prune or Pruning(), encoder.vocabulary)
        if self.prune.position is not None:
            raise DataError(
                "prune of a retriever must not have position, because its queries have no positions"
                " any more: give the rule to QueryEncoding(pruning=...)"
            )
        self.feedback = feedback

    def ask(self, searcher: Searcher, queries: Sequence[str]) -> PreparedVectors:
        """See `LocalRetriever.ask`."""
        return self.prepared(searcher, queries, self.encoder.encode_queries(queries))

    def prepared(
        self, searcher: Searcher, queries: Sequence[str], encoded: SparseVectors
    ) -> PreparedVectors:
        """Return prepared queries, given what the encoder made of them; see `ask`."""
        vectors, encoder = self._searched(encoded, searcher), self.encoder
        if Rules.recorded(searcher.space.encoding) and encoder.documents != searcher.space.encoding:
            encoder = encoder.encoding(searcher.space.encoding)  # with the pins of the documents
        return PreparedVectors(
            searcher, queries, vectors, self.effort, self.feedback, encoder.readable
        )

    def with_feedback(self, feedback: Feedback | None) -> Self:
        """Return the same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other

    def encode(self, queries: Sequence[str], searcher: Searcher | None = None) -> SparseVectors:
        """Return the vectors of the queries as they are searched, before feedback."""
        return self._searched(self.encoder.encode_queries(queries), searcher or self.searcher)

    def _searched(self, vectors: SparseVectors, searcher: Searcher) -> SparseVectors:
        """Return the vectors weighted by inverse document frequency, and pruned."""
        if not self.idf:
            return self.prune.apply(vectors)
        power = self.idf * searcher.live_passages / (searcher.live_passages + _FEW_PASSAGES)
        weights = vectors.weights * searcher.inverse_document_frequencies()[vectors.terms] ** power
        weighted = SparseVectors(
            vectors.indptr,
            vectors.terms,
            weights.astype(np.float32),
            vectors.vocabulary_size,
            vectors.model,
        )
        return self.prune.apply(weighted)


def encoder_of(
    index: Index,
    *,
    model: str | Path | None = None,
    queries: QueryEncoding = QueryEncoding(),
    rules: Rules | str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Encoder:
    """Load the encoder that an index names. It encodes documents like those of the index.

    Args:
        index: the documents.
        model: the path of the model, if it has moved.
        queries: the encoding of queries.
        rules: edits of queries (docs/rules.md); by default those that the index records. Documents
            keep the rules of the index.
        threads: the number of threads of the encoder.
        device: see `Encoder.load`.

    Raises:
        ModelError: the model cannot be loaded.
        SourceError, DataError: see `Rules.load`; or one term is pinned to two texts, one by the
            rules and one by the index.
    """
    return Encoder.load(
        model or index.space.location or "default",
        documents=index.space.encoding,
        queries=queries,
        rules=rules,
        threads=threads,
        device=device,
    )
