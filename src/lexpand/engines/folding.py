"""Query weights that are multiplied into the weights of documents.

The weight of a term in an inference-free query depends on the term alone. So it can be part of the
documents' weights, and a query is the bag of its tokens with weight 1, which any client can make
with a tokenizer and no table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lexpand.encode import Encoder
from lexpand.engines.records import Record
from lexpand.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """The query weights of a model, as factors of the weights of documents.

    Attributes:
        weights: float32 [vocabulary_size], of `QueryTable`.
    """

    weights: NDArray[np.float32]

    @classmethod
    def of(cls, encoder: Encoder) -> Folding:
        """Return the query weights of a model.

        Raises:
            DataError: the model has no table of query weights.
        """
        table = encoder.query_table
        if table is None:
            raise DataError(
                f"the model {encoder.space.model.label} must have a table of query weights to fold"
                " them: give a model with inference-free queries, or push without"
                " --fold-query-weights"
            )
        return cls(table.weights)

    def fold(self, record: Record) -> Record:
        """Return a record with multiplied weights, without the terms that no query has."""
        weights = record.weights * self.weights[record.terms]
        kept = weights > 0
        return replace(record, terms=record.terms[kept], weights=weights[kept])

    def unfold(self, record: Record) -> Record:
        """Return a record of a target with the weights of its model, as far as they are known.

        A term that no query has keeps its weight, since only something else can have written it.
        """
        factors = np.ones(len(record.terms), np.float32)
        known = record.terms < len(self.weights)
        factors[known] = self.weights[record.terms[known]]
        factors[factors == 0] = 1
        return replace(record, weights=record.weights / factors)

    def known(self, weights: dict[int, float]) -> dict[int, float]:
        """Return the weights of a document without the terms that no query has."""
        return {term: weight for term, weight in weights.items() if self.weights[term]}

    def query(self, weights: dict[int, float]) -> dict[int, float]:
        """Return a query for folded documents: 1 for each term as it was looked up.

        Raises:
            DataError: a term has no query weight, so the target cannot score it.
        """
        unknown = [term for term in weights if not self.weights[term]]
        if unknown:
            raise DataError(
                "a query of a target with folded query weights must have terms of the model's"
                f" table, got the term {unknown[0]}: leave out the rule that adds it"
            )
        return {term: weight / float(self.weights[term]) for term, weight in weights.items()}
