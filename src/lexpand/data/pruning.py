"""Static pruning: which terms of a vector are worth keeping."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data.vectors import SparseVectors
from lexpand.data.vocabulary import Vocabulary
from lexpand.errors import DataError

PLACE_LEFT_FREE = re.compile(r"[\[<]unused_?\d+[\]>]")
"""How vocabularies name the places that they leave free (BERT's [unused12], T5's and Gemma's <unused12>)."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """Rules that a term must pass, all of them, to stay in its vector. Weights that stay do not change.

    Banned terms go first: the maximum and the sum are those of what is left. Every other rule keeps
    the beginning of the same order, weights falling and, of equal weights, terms ascending; so
    their order does not matter.

    Attributes:
        top: at most this many terms; None for any number.
        threshold: weights of at least this.
        ratio: weights of at least this share of the vector's largest, 0 to 1 (OpenSearch's
            ``max_ratio``).
        mass: the fewest terms whose weights make up at least this share of the vector's sum, 0
            (excluded) to 1 (``alpha_mass``; Formal et al. 2023). Sums are float64.
        banned: terms that are never kept; see `banned_terms`.

    Raises:
        DataError: a value is outside its range.
    """

    top: int | None = None
    threshold: float = 0.0
    ratio: float = 0.0
    mass: float = 1.0
    banned: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "banned", frozenset(self.banned))
        if self.top is not None and (
            isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1
        ):
            raise DataError(f"pruning: top is {self.top!r}: it must be an integer of at least 1")
        _check_number(
            "threshold",
            self.threshold,
            0 <= _number(self.threshold) < math.inf,
            "finite and at least 0",
        )
        _check_number("ratio", self.ratio, 0 <= _number(self.ratio) <= 1, "from 0 to 1")
        _check_number("mass", self.mass, 0 < _number(self.mass) <= 1, "above 0 and at most 1")
        wrong = [
            term
            for term in self.banned
            if isinstance(term, bool) or not isinstance(term, int) or term < 0
        ]
        if wrong:
            raise DataError(
                f"pruning: the banned term {wrong[0]!r}: terms are integers of at least 0"
            )

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return self != Pruning()

    def apply(self, vectors: SparseVectors) -> SparseVectors:
        """The vectors with the terms that stay."""
        return take(vectors, self.kept(vectors)) if self else vectors

    def kept(self, vectors: SparseVectors) -> NDArray[np.bool_]:
        """Whether each term stays, bool [nnz], beside ``vectors.terms``."""
        kept = np.ones(vectors.nnz, np.bool_)
        if self.banned:
            kept &= ~np.isin(vectors.terms, np.fromiter(self.banned, np.int64))
        places = np.flatnonzero(kept)
        kept[places] = self._pass(take(vectors, kept))
        return kept

    def _pass(self, vectors: SparseVectors) -> NDArray[np.bool_]:
        """Whether each term passes the rules over weights; no banned one is there any more."""
        weights = vectors.weights.astype(np.float64)
        passed = weights >= self.threshold
        lengths = np.diff(vectors.indptr)
        if self.ratio > 0 and vectors.nnz:
            filled = lengths > 0
            largest = np.maximum.reduceat(weights, vectors.indptr[:-1][filled])
            passed &= weights >= self.ratio * np.repeat(largest, lengths[filled])
        if self.top is not None or self.mass < 1:
            # Stable, and terms ascend within each row: of equal weights the lower term stays first.
            order = np.lexsort((-weights, vectors.owners))
            if self.top is not None:
                rank = np.arange(vectors.nnz) - np.repeat(vectors.indptr[:-1], lengths)
                passed[order] &= rank < self.top
            if self.mass < 1:
                passed[order] &= self._within_mass(weights[order], vectors.indptr)
        return passed

    def _within_mass(
        self, weights: NDArray[np.float64], indptr: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Of weights that fall within each row: whether those before each do not make up the share yet."""
        within = np.zeros(len(weights), np.bool_)
        # Row by row: a running sum over all rows would round each by those before it.
        for start, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            if start < end:
                sums = np.cumsum(weights[start:end])
                within[start] = sums[-1] > 0
                within[start + 1 : end] = sums[:-1] < self.mass * sums[-1]
        return within

    def to_dict(self) -> dict[str, Any]:
        """The rules as JSON has them; what is left out has no effect."""
        rules = {
            "top": self.top,
            "threshold": self.threshold,
            "ratio": self.ratio,
            "mass": self.mass,
        }
        plain = Pruning()
        written = {name: value for name, value in rules.items() if value != getattr(plain, name)}
        return written | ({"banned": sorted(self.banned)} if self.banned else {})

    @classmethod
    def from_dict(cls, rules: Mapping[str, Any] | None) -> Pruning:
        """What `to_dict` gave; of None, no rule.

        Raises:
            DataError: there is a rule of another name, or a value is outside its range.
        """
        if rules is None:
            return cls()
        if not isinstance(rules, Mapping) or (set(rules) - set(cls.__slots__)):
            raise DataError(
                f"pruning {rules!r}: it must be an object with keys of {', '.join(cls.__slots__)}"
            )
        return cls(**{**rules, "banned": frozenset(rules.get("banned", ()))})


def banned_terms(
    vocabulary: Vocabulary,
    *,
    special: bool = False,
    unused: bool = False,
    tokens: Iterable[str] = (),
) -> frozenset[int]:
    """Terms for `Pruning.banned`.

    Args:
        vocabulary: the model's.
        special: those of special tokens, such as ``[CLS]``.
        unused: those of places left free, such as ``[unused12]``.
        tokens: those of these tokens, as the vocabulary spells them.

    Raises:
        DataError: the vocabulary lacks one of the tokens.
    """
    banned = set(vocabulary.special) if special else set()
    if unused:
        banned |= {
            term for term, token in enumerate(vocabulary.tokens) if PLACE_LEFT_FREE.fullmatch(token)
        }
    for token in tokens:
        term = vocabulary.id(token)
        if term is None:
            raise DataError(f"pruning: the vocabulary has no token {token!r} that could be banned")
        banned.add(term)
    return frozenset(banned)


def parse_pruning(text: str | Pruning, vocabulary: Vocabulary) -> Pruning:
    """Rules as a command line has them: ``top=128,ratio=0.1,ban=special,ban=unused``; rules as they are.

    ``ban`` may come several times: ``special``, ``unused``, or a token of the vocabulary.

    Raises:
        DataError: a rule is unknown, comes twice, or its value is outside its range.
    """
    if isinstance(text, Pruning):
        return text
    rules: dict[str, Any] = {}
    banned: list[str] = []
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if (
            not separator
            or name not in ("top", "threshold", "ratio", "mass", "ban")
            or name in rules
        ):
            raise DataError(
                f"{part.strip()!r} in {text!r}: give top=N, threshold=W, ratio=R, mass=M once, or ban=TOKEN"
            )
        if name == "ban":
            banned.append(value)
        else:
            rules[name] = _parsed(name, value)
    groups = {name: name in banned for name in ("special", "unused")}
    tokens = [token for token in banned if token not in groups]
    return Pruning(**rules, banned=banned_terms(vocabulary, **groups, tokens=tokens))


def take(vectors: SparseVectors, kept: NDArray[np.bool_]) -> SparseVectors:
    """The vectors with those of their terms where ``kept``, bool [nnz], is true."""
    before = np.zeros(vectors.nnz + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    return SparseVectors(
        before[vectors.indptr],
        vectors.terms[kept],
        vectors.weights[kept],
        vectors.vocabulary_size,
        vectors.model,
    )


def _parsed(name: str, value: str) -> float:
    try:
        return int(value) if name == "top" else float(value)
    except ValueError:
        raise DataError(f"pruning: {name} is {value!r}: it must be a number") from None


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _check_number(name: str, value: object, fits: bool, wanted: str) -> None:
    if not fits:
        raise DataError(f"pruning: {name} is {value!r}: it must be a number, {wanted}")
