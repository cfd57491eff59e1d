"""The results of encoding: vectors, token positions and token counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.data import ModelId, SparseVectors
from lexpand.data.pruning import Pruning, take
from lexpand.data.vector_checks import TERMS_LIMIT
from lexpand.encode.rules.bound import BoundRules
from lexpand.encode.tokens import Token, TokenizedText

BY_RULE = 2**32 - 1
"""The position of a weight that comes from a rule (`lexpand.encode.rules`), not from a token."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Sparse vectors with token positions and token counts, one row for each text.

    Attributes:
        vectors: the vectors.
        positions: uint32 [nnz], parallel to ``vectors.terms``: the position of the token that gave
            the term its weight, or `BY_RULE`.
        tokens: uint32 [n], the number of tokens of each text, special tokens included. It is 0 for
            a text without tokens of its own.
        tokens_lost: uint32 [n], the number of tokens past the maximum length, which are not read.
    """

    vectors: SparseVectors
    positions: NDArray[np.uint32]
    tokens: NDArray[np.uint32]
    tokens_lost: NDArray[np.uint32]

    def pruned(self, rules: Pruning) -> Encoding:
        """Return the encoding with only the terms that the pruning rules keep."""
        if not rules:
            return self
        kept = rules.kept(self.vectors, self.positions)
        return Encoding(
            take(self.vectors, kept), self.positions[kept], self.tokens, self.tokens_lost
        )

    def edited(self, rules: BoundRules | None, texts: Sequence[str]) -> Encoding:
        """Return the encoding with rules applied; ``texts`` are the encoded texts."""
        if rules is None:
            return self
        vectors, source = rules.apply(texts, self.vectors)
        positions = np.append(self.positions, np.uint32(BY_RULE))[source]
        return replace(self, vectors=vectors, positions=positions)

    @property
    def truncated(self) -> int:
        """The number of texts that were truncated."""
        return int(np.count_nonzero(self.tokens_lost))

    @property
    def empty(self) -> int:
        """The number of texts whose vector has no term. No query finds them."""
        return int(np.count_nonzero(np.diff(self.vectors.indptr) == 0))


@dataclass(frozen=True, slots=True)
class Trace:
    """The vector of one text, with the token behind each term.

    Attributes:
        text: the encoded text.
        weights: the weight of each term.
        positions: the position of the token that gave each term its weight: an index into
            ``tokens``, or `BY_RULE`.
        tokens: the tokens that the model read.
        tokens_lost: the number of tokens past the maximum length, which are not read.
    """

    text: str
    weights: dict[int, float]
    positions: dict[int, int]
    tokens: list[Token]
    tokens_lost: int

    @property
    def input_terms(self) -> frozenset[int]:
        """The terms that occur in the text. All others are expansion terms."""
        return frozenset(token.term for token in self.tokens if token.word is not None)

    @property
    def by_rule(self) -> frozenset[int]:
        """The terms whose weight comes from a rule."""
        return frozenset(term for term, position in self.positions.items() if position == BY_RULE)

    def word_span(self, term: int) -> tuple[int, int] | None:
        """Return the span of characters of the word that gave a term its weight.

        It is None if the weight comes from a special token, which stands for the whole text, or
        from a rule.
        """
        position = self.positions[term]
        return None if position == BY_RULE else self.tokens[position].word

    def word(self, term: int) -> str | None:
        """Return the word that gave a term its weight, or None as for `word_span`."""
        span = self.word_span(term)
        return None if span is None else self.text[slice(*span)]


Row: TypeAlias = "tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]"
"""The terms, weights and positions of one text."""

_EMPTY: Row = np.zeros(0, np.uint32), np.zeros(0, np.float32), np.zeros(0, np.uint32)


def from_rows(
    rows: list[Row], tokenized: Sequence[TokenizedText], size: int, model: ModelId
) -> Encoding:
    """Concatenate rows of the head, one for each text, over a vocabulary of ``size`` terms.

    Raises:
        VectorError: a weight is not finite, or a text has more terms than a vector may have.
    """
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(terms) for terms, _, _ in rows], out=starts[1:])
    columns = zip(_EMPTY, *rows, strict=True)
    terms, weights, positions = (np.concatenate(column) for column in columns)
    # The head returns ascending terms and weights above zero. To check that again would take a
    # tenth of the time of a short text. The full checks run only to raise the right error.
    most_terms = max((len(row[0]) for row in rows), default=0)
    valid = np.isfinite(weights).all() and most_terms <= TERMS_LIMIT
    make_vectors = SparseVectors._trusted if valid else SparseVectors
    return Encoding(
        make_vectors(starts, terms, weights, size, model),
        positions,
        np.array([text.seen for text in tokenized], np.uint32),
        np.array([text.lost for text in tokenized], np.uint32),
    )


def join(parts: list[Encoding]) -> Encoding:
    """Concatenate encodings."""
    if len(parts) == 1:
        return parts[0]
    return Encoding(
        SparseVectors.concatenate([part.vectors for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.tokens_lost for part in parts]),
    )
