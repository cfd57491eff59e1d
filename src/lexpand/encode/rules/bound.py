"""Rules bound to a vocabulary, and their application to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from lexpand.data import SparseVectors
from lexpand.data.pruning import banned_terms
from lexpand.data.weight_groups import group_weights
from lexpand.encode.rules.entries import Ban, Boost, Cap, Pin, Synonym
from lexpand.encode.rules.phrases import Phrases
from lexpand.encode.tokens import Tokens
from lexpand.errors import DataError

# The number of similar terms that an error suggests.
_SUGGESTIONS = 3

_Additions = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a rules file for one role."""

    bans: Sequence[Ban]
    caps: Sequence[Cap]
    boosts: Sequence[Boost]
    synonyms: Sequence[Synonym]
    pins: Sequence[Pin]


class BoundRules:
    """The rules for texts of one role, bound to the vocabulary of a tokenizer.

    The kinds apply in a fixed order: boosts, synonyms, pins, caps, bans. The order in the file does
    not matter. The term of a pin belongs to the pin alone. If the model gives it a weight, that
    weight is dropped.

    Args:
        entries: the rules.
        tokens: the tokenizer.

    Attributes:
        pinned: the pinned text of each term of a pin.

    Raises:
        DataError: a term is not in the vocabulary, or there are more pins than unused terms.
    """

    def __init__(self, entries: Entries, tokens: Tokens) -> None:
        self._tokens = tokens
        size = len(tokens.vocabulary)
        self._factors = np.ones(size, np.float64)
        self._caps = np.full(size, np.inf)
        for boost in entries.boosts:
            self._factors[self._term(boost.term, boost.place)] = boost.factor
        for cap in entries.caps:
            self._caps[self._term(cap.term, cap.place)] = cap.weight
        for ban in entries.bans:
            self._caps[self._term(ban.term, ban.place)] = 0.0
        synonyms = entries.synonyms
        self._synonyms = _PhraseAdditions(
            Phrases([synonym.when for synonym in synonyms], tokens.normalize),
            [
                [(self._term(term, synonym.place), weight) for term, weight in synonym.add.items()]
                for synonym in synonyms
            ],
        )
        pins = entries.pins
        terms = self._pin_terms(pins)
        self.pinned = {term: pin.text for term, pin in zip(terms, pins, strict=True)}
        self._factors[terms] = 0.0
        self._pins = _PhraseAdditions(
            Phrases([pin.text for pin in pins], tokens.normalize, whole_ids=True),
            [[(term, pin.weight)] for term, pin in zip(terms, pins, strict=True)],
        )

    def apply(
        self, texts: Sequence[str], vectors: SparseVectors
    ) -> tuple[SparseVectors, NDArray[np.int64]]:
        """Apply the rules.

        Args:
            texts: the text of each vector.
            vectors: the vectors of the model.

        Returns:
            The new vectors, and for each of their weights the index in ``vectors.terms`` that it
            comes from, int64 [nnz]. The index is -1 if a rule added the weight.
        """
        weights = vectors.weights.astype(np.float64) * self._factors[vectors.terms]
        added = [
            (row, term, weight)
            for row, text in enumerate(texts)
            for term, weight in self._additions(text)
        ]
        new_rows, new_terms, new_weights = (
            (np.array(column) for column in zip(*added, strict=True))
            if added
            else (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        )
        rows = np.concatenate([vectors.owners, new_rows])
        terms = np.concatenate([vectors.terms.astype(np.int64), new_terms])
        weights = np.concatenate([weights, new_weights])
        source = np.concatenate([np.arange(vectors.nnz), np.full(len(added), -1)])
        # The largest weight of each term wins. Of equal ones, the model's wins, because a token
        # stands behind it.
        order = group_weights(rows, terms, len(vectors), within=(-source, -weights)).first
        weights = np.minimum(weights[order], self._caps[terms[order]]).astype(np.float32)
        order, weights = order[weights > 0], weights[weights > 0]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=len(vectors)))])
        edited = SparseVectors(
            indptr, terms[order].astype(np.uint32), weights, vectors.vocabulary_size, vectors.model
        )
        return edited, source[order]

    def _additions(self, text: str) -> _Additions:
        return [*self._synonyms.for_text(text), *self._pins.for_text(text)]

    def _pin_terms(self, pins: Sequence[Pin]) -> list[int]:
        free = sorted(banned_terms(self._tokens.vocabulary, unused=True))
        for pin in pins:
            if pin.slot >= len(free):
                raise DataError(
                    f"{pin.place}: there must be at most {len(free):,} pins, one for each unused "
                    f"term of the vocabulary, but {pin.text!r} is number {pin.slot + 1:,}: remove "
                    "pins, or search with --pipeline hybrid, which matches words exactly"
                )
        return [free[pin.slot] for pin in pins]

    def _term(self, token: str, place: str) -> int:
        term = self._tokens.vocabulary.id(token)
        if term is None:
            raise DataError(f"{place}: the vocabulary has no term {token!r}: {self._advice(token)}")
        return term

    def _advice(self, token: str) -> str:
        vocabulary = self._tokens.vocabulary
        pieces = [vocabulary.term(term) for term in self._tokens.own_ids([token], 16)[0]]
        split = f"into {' '.join(map(repr, pieces))}" if pieces else "into no tokens"
        normalized = self._tokens.normalize(token).strip().lower()
        if normalized in vocabulary:
            similar = [normalized]
        else:
            similar = get_close_matches(normalized, vocabulary.tokens, _SUGGESTIONS)
        examples = f", such as {', '.join(map(repr, similar))}" if similar else ""
        return f"give one of its terms{examples} (the tokenizer splits the word {split})"


class _PhraseAdditions:
    """Phrases, and the weighted terms that each adds to a text that contains it."""

    def __init__(self, phrases: Phrases, additions: Sequence[_Additions]) -> None:
        self._phrases = phrases
        self._additions = additions

    def for_text(self, text: str) -> _Additions:
        return [
            addition
            for number in self._phrases.found_in(text)
            for addition in self._additions[number]
        ]
