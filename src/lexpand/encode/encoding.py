"""What encoding gives: vectors, and what is known of how they came about."""

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
"""The position of a weight that no token gave, but a rule (`lexpand.encode.rules`)."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Sparse vectors and what is known of how they came about, one row a text.

    Attributes:
        vectors: the vectors.
        positions: uint32 [nnz], beside ``vectors.terms``: the token that gave each term its weight,
            or `BY_RULE`.
        tokens: uint32 [n], the tokens of each text, special ones included; 0 for a text without
            any.
        tokens_lost: uint32 [n], how many of them were past the model's length and not read.
    """

    vectors: SparseVectors
    positions: NDArray[np.uint32]
    tokens: NDArray[np.uint32]
    tokens_lost: NDArray[np.uint32]

    def pruned(self, rules: Pruning) -> Encoding:
        """The same with the terms that the rules keep."""
        if not rules:
            return self
        kept = rules.kept(self.vectors)
        return Encoding(
            take(self.vectors, kept), self.positions[kept], self.tokens, self.tokens_lost
        )

    def edited(self, rules: BoundRules | None, texts: Sequence[str]) -> Encoding:
        """The same as rules have it; ``texts`` are those that were encoded."""
        if rules is None:
            return self
        vectors, source = rules.apply(texts, self.vectors)
        positions = np.append(self.positions, np.uint32(BY_RULE))[source]
        return replace(self, vectors=vectors, positions=positions)

    @property
    def truncated(self) -> int:
        """Texts that were cut."""
        return int(np.count_nonzero(self.tokens_lost))

    @property
    def empty(self) -> int:
        """Texts whose vector has no term: no query can find them."""
        return int(np.count_nonzero(np.diff(self.vectors.indptr) == 0))


@dataclass(frozen=True, slots=True)
class Trace:
    """One text's vector and the token behind each of its terms.

    Attributes:
        text: what was encoded.
        weights: weight by term.
        positions: by term, the token that gave the weight: an index into ``tokens``; or `BY_RULE`.
        tokens: what the model read.
        tokens_lost: how many tokens were past the model's length and not read.
    """

    text: str
    weights: dict[int, float]
    positions: dict[int, int]
    tokens: list[Token]
    tokens_lost: int

    @property
    def input_terms(self) -> frozenset[int]:
        """The terms that stand in the text; all others are expansion terms."""
        return frozenset(token.term for token in self.tokens if token.word is not None)

    @property
    def by_rule(self) -> frozenset[int]:
        """The terms whose weight is a rule's."""
        return frozenset(term for term, position in self.positions.items() if position == BY_RULE)

    def word_span(self, term: int) -> tuple[int, int] | None:
        """The characters of the word that gave a term its weight; None for a special token (all the text) or a rule."""
        position = self.positions[term]
        return None if position == BY_RULE else self.tokens[position].word

    def word(self, term: int) -> str | None:
        """That word itself."""
        span = self.word_span(term)
        return None if span is None else self.text[slice(*span)]


Row: TypeAlias = "tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint32]]"
"""Of one text: terms, weights and positions."""

_NOTHING: Row = np.zeros(0, np.uint32), np.zeros(0, np.float32), np.zeros(0, np.uint32)


def from_rows(
    rows: list[Row], tokenized: Sequence[TokenizedText], size: int, model: ModelId
) -> Encoding:
    """Puts rows of the head together, one a text, over a vocabulary of ``size`` terms.

    Raises:
        VectorError: a weight is not finite, or a text has more terms than a vector may have.
    """
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(terms) for terms, _, _ in rows], out=starts[1:])
    columns = zip(_NOTHING, *rows, strict=True)
    terms, weights, positions = (np.concatenate(column) for column in columns)
    # The head gives ascending terms and weights above zero; checking that again takes a tenth of a
    # short text's time.
    sound = (
        np.isfinite(weights).all() and max((len(row[0]) for row in rows), default=0) <= TERMS_LIMIT
    )
    make = SparseVectors._trusted if sound else SparseVectors
    return Encoding(
        make(starts, terms, weights, size, model),
        positions,
        np.array([text.seen for text in tokenized], np.uint32),
        np.array([text.lost for text in tokenized], np.uint32),
    )


def join(parts: list[Encoding]) -> Encoding:
    """The rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    return Encoding(
        SparseVectors.concatenate([part.vectors for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.tokens_lost for part in parts]),
    )
