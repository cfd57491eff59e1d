"""Rules over one vocabulary: what they make of vectors."""

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

# Terms that are named where one is not in the vocabulary.
_NEAR = 3

_Additions = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries for texts of one role."""

    bans: Sequence[Ban]
    caps: Sequence[Cap]
    boosts: Sequence[Boost]
    synonyms: Sequence[Synonym]
    pins: Sequence[Pin]


class BoundRules:
    """The rules for texts of one role, over the vocabulary of one tokenizer.

    Kinds apply in this order, whatever the file's: boosts, synonyms, pins, caps, bans. A term that
    stands for a pinned text is the pin's alone: what the model gives it is dropped.

    Args:
        entries: the rules.
        tokens: the tokenizer.

    Attributes:
        pinned: the text that each term of a pin stands for.

    Raises:
        DataError: a term is not in the vocabulary, or it leaves fewer places free than there are
            pins.
    """

    def __init__(self, entries: Entries, tokens: Tokens) -> None:
        self._tokens = tokens
        size = len(tokens.vocabulary)
        self._factors = np.ones(size, np.float64)
        self._most = np.full(size, np.inf)
        for boost in entries.boosts:
            self._factors[self._term(boost.term, boost.place)] = boost.factor
        for cap in entries.caps:
            self._most[self._term(cap.term, cap.place)] = cap.weight
        for ban in entries.bans:
            self._most[self._term(ban.term, ban.place)] = 0.0
        added = [
            [(self._term(term, each.place), weight) for term, weight in each.add.items()]
            for each in entries.synonyms
        ]
        self._synonyms = _Added(
            Phrases([each.when for each in entries.synonyms], tokens.normalize), added
        )
        terms = self._pin_terms(entries.pins)
        self.pinned = {term: pin.text for term, pin in zip(terms, entries.pins, strict=True)}
        self._factors[terms] = 0.0
        pins = Phrases([pin.text for pin in entries.pins], tokens.normalize, whole_ids=True)
        self._pins = _Added(
            pins, [[(term, pin.weight)] for term, pin in zip(terms, entries.pins, strict=True)]
        )

    def apply(
        self, texts: Sequence[str], vectors: SparseVectors
    ) -> tuple[SparseVectors, NDArray[np.int64]]:
        """The vectors as the rules have them.

        Args:
            texts: one a vector.
            vectors: as the model gave them.

        Returns:
            The vectors; and int64 [nnz], of each of their weights the place in ``vectors.terms`` of
                the one that it was
            made from, -1 where a rule alone gave it.
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
        # Of one term's weights the largest; of equal ones the model's, which has a word behind it.
        order = group_weights(rows, terms, len(vectors), within=(-source, -weights)).first
        weights = np.minimum(weights[order], self._most[terms[order]]).astype(np.float32)
        order, weights = order[weights > 0], weights[weights > 0]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=len(vectors)))])
        made = SparseVectors(
            indptr, terms[order].astype(np.uint32), weights, vectors.vocabulary_size, vectors.model
        )
        return made, source[order]

    def _additions(self, text: str) -> _Additions:
        return [*self._synonyms.to(text), *self._pins.to(text)]

    def _pin_terms(self, pins: Sequence[Pin]) -> list[int]:
        free = sorted(banned_terms(self._tokens.vocabulary, unused=True))
        for pin in pins:
            if pin.slot >= len(free):
                raise DataError(
                    f"{pin.place}: the vocabulary leaves {len(free):,} places free, and {pin.text!r} needs number "
                    f"{pin.slot + 1:,}: leave pins out, or search with --pipeline hybrid, which finds words exactly"
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
        spelled = self._tokens.normalize(token).strip().lower()
        near = (
            [token]
            if (token := spelled) in vocabulary
            else get_close_matches(spelled, vocabulary.tokens, _NEAR)
        )
        split = (
            f"the tokenizer reads it as {' '.join(map(repr, pieces))}"
            if pieces
            else "the tokenizer reads nothing"
        )
        return (
            f"{split}; near are {', '.join(map(repr, near))}: give one of its terms"
            if near
            else (f"{split}: give one of its terms")
        )


class _Added:
    """Phrases, and what each adds to a text that has it."""

    def __init__(self, phrases: Phrases, added: Sequence[_Additions]) -> None:
        self._phrases = phrases
        self._added = added

    def to(self, text: str) -> _Additions:
        return [
            addition for number in self._phrases.found_in(text) for addition in self._added[number]
        ]
