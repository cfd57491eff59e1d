"""Inference-free queries: token ids, and their weights from a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexpand.data import ModelId, SparseVectors
from lexpand.encode.encoding import Encoding
from lexpand.encode.query_table import QueryTable
from lexpand.encode.tokens import Tokens


class Lookup:
    """Encodes queries with a tokenizer and a table of query weights.

    Args:
        tokens: the tokenizer of the model.
        table: a weight for each term. Special tokens must have weight 0.
        model: the model id to record in the vectors.
        max_tokens: the longest query that is read, in tokens, special tokens included.
    """

    def __init__(self, tokens: Tokens, table: QueryTable, model: ModelId, max_tokens: int) -> None:
        self._tokens = tokens
        self._table = table
        self._size = len(tokens.vocabulary)
        self._model = model
        self._max_tokens = max_tokens

    def vectors(self, queries: Sequence[str]) -> SparseVectors:
        """Return one vector for each query."""
        ids = self._tokens.own_ids(queries, self._max_tokens)
        # Checking these vectors would take longer than everything else.
        return SparseVectors._trusted(*self._table.look_up(ids), self._size, self._model)

    def encode(self, queries: Sequence[str]) -> Encoding:
        """Return the vectors with token counts, and the first position of each term."""
        tokenized = self._tokens.tokenize(queries, self._max_tokens)
        indptr, terms, weights = self._table.look_up([text.ids for text in tokenized])
        positions = [
            text.ids.index(term)
            for text, start, end in zip(tokenized, indptr[:-1], indptr[1:], strict=True)
            for term in terms[start:end].tolist()
        ]
        return Encoding(
            SparseVectors._trusted(indptr, terms, weights, self._size, self._model),
            np.array(positions, np.uint32),
            np.array([text.seen for text in tokenized], np.uint32),
            np.array([text.lost for text in tokenized], np.uint32),
        )
