"""Retrieval by the model's vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode import Encoder, LongDocuments, Pruning, QueryMode, Rules
from lexpand.encode.dtypes import Dtype, recorded_dtype
from lexpand.encode.rules.record import recorded_rules
from lexpand.encode.titles import recorded_title_weight
from lexpand.errors import DataError
from lexpand.index import Index, Match, TwoStep
from lexpand.index.filters import Filter
from lexpand.search.feedback import Feedback, expanded
from lexpand.search.retriever import Retriever


class SparseRetriever(Retriever):
    """Answers questions from one index with the encoder that its documents were encoded with.

    Args:
        index: the documents.
        encoder: the model.
        effort: see `Index.search`.
        idf: query weights are multiplied by this power of the term's inverse document frequency in the index; 0 for
            the model's own weights. It fits a model to a corpus without training.
        feedback: add terms of the best documents to the query and search again; None for once.
        two_step: find with the query's strongest terms, and score that with all of them; None for one step.

    Raises:
        ContractMismatch: the index holds another model's vectors.
        DataError: ``idf`` is negative or not finite, or one term stands for two pinned texts, the encoder's and the
            documents'.
    """

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        *,
        effort: float = 1.0,
        idf: float = 0.0,
        feedback: Feedback | None = None,
        two_step: TwoStep | None = None,
    ) -> None:
        super().__init__(index)
        index.check_model(encoder.space.model)
        encoder.rules.check_pins(recorded_rules(index.space.document_settings))
        if not 0 <= idf < float("inf"):
            raise DataError(f"the power {idf!r} of inverse document frequencies: it must be finite and at least 0")
        self.encoder = encoder
        self.effort = effort
        self.idf = idf
        self.feedback = feedback
        self.two_step = two_step

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
        relevant: Sequence[Sequence[Match]] | None = None,
    ) -> Sequence[Sequence[Match]]:
        """See `Retriever.rank`.

        With feedback, ``relevant`` may name each query's relevant documents, with their scores, in the place of those
        that this retriever finds first.
        """
        # Nothing asked for needs no feedback, which would search.
        vectors = self.asked(queries, filter=filter, threads=threads, relevant=relevant) if k else self.encode(queries)
        return self._find(vectors, k, filter, threads, group_by)

    def asked(
        self,
        queries: Sequence[str],
        *,
        filter: Filter | None = None,
        threads: int = 1,
        relevant: Sequence[Sequence[Match]] | None = None,
    ) -> SparseVectors:
        """The queries' vectors as they are searched for, those of feedback added; see `rank`."""
        vectors = self.encode(queries)
        if self.feedback is None:
            return vectors
        if relevant is None:
            relevant = self._find(vectors, self.feedback.documents, filter, threads)
        return expanded(self.index, vectors, relevant, self.feedback)

    def _find(
        self, vectors: SparseVectors, k: int, filter: Filter | None, threads: int, group_by: str | None = None
    ) -> Sequence[Sequence[Match]]:
        return self.index.search(
            vectors,
            k,
            filter=filter,
            effort=self.effort,
            group_by=group_by,
            threads=threads,
            two_step=self.two_step,
        )

    def bounds(self, queries: Sequence[str]) -> Sequence[float]:
        """See `Retriever.bounds`: query weights times the largest stored weights of their terms, summed up."""
        if self.feedback is not None:
            raise DataError("with feedback, a query is known only when it has been searched for: no fusion by bounds")
        vectors = self.encode(queries)
        products = vectors.weights * self.index.largest_weights(vectors.terms)
        return [float(products[start:end].sum()) for start, end in pairwise(vectors.indptr.tolist())]

    def with_feedback(self, feedback: Feedback) -> SparseRetriever:
        """The same retriever with feedback."""
        other = copy(self)
        other.feedback = feedback
        return other

    def encode(self, queries: Sequence[str]) -> SparseVectors:
        """The queries' vectors as they are searched for, before feedback."""
        vectors = self.encoder.encode_queries(queries)
        if not self.idf:
            return vectors
        weights = vectors.weights * self.index.inverse_document_frequencies()[vectors.terms] ** self.idf
        return SparseVectors(
            vectors.indptr, vectors.terms, weights.astype(np.float32), vectors.vocabulary_size, vectors.model
        )


def encoder_of(
    index: Index,
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    query_mode: QueryMode | str | None = None,
    query_pruning: Pruning | str | None = None,
    rules: Rules | str | Path | None = None,
    query_dtype: Dtype | str | None = None,
) -> Encoder:
    """The encoder that an index names, set up as its documents were encoded.

    Args:
        index: the documents.
        model: where the model is, if it has moved since.
        threads: that the encoder may use.
        query_mode: see `Encoder.load`.
        query_pruning: see `Encoder.load`.
        rules: edits of queries (docs/rules.md); those of documents are the ones that the index records.
        query_dtype: see `Encoder.load`; float32 by default, whatever that of the documents is, which the index
            records.

    Raises:
        ModelError: the model cannot be loaded.
        SourceError, DataError: see `Rules.load`; or the rules and the index's have one term for two pinned texts.
    """
    mine = rules if isinstance(rules, Rules) else Rules() if rules is None else Rules.load(rules)
    settings: Mapping[str, Any] = index.space.document_settings
    return Encoder.load(
        model or index.space.location or "default",
        threads=threads,
        max_tokens=index.space.document_max_tokens,
        query_mode=query_mode,
        document_pruning=Pruning.from_dict(settings.get("pruning")),
        query_pruning=query_pruning,
        rules=mine.for_queries_of(recorded_rules(settings)),
        long=LongDocuments.from_dict(settings.get("long")),
        title_weight=recorded_title_weight(settings),
        dtype=recorded_dtype(settings),
        query_dtype=query_dtype or Dtype.FLOAT32,
    )
