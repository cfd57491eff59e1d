"""Static pruning: drop terms of low weight from a vector."""

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

UNUSED_TOKEN = re.compile(r"[\[<]unused_?\d+[\]>]")
"""The names of free places in vocabularies: [unused12] in BERT, <unused12> in T5 and Gemma."""


_COUNTS = ("position", "top")
"""The rules whose value is a number of terms."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """Rules for static pruning. A term stays if it passes all rules; its weight does not change.

    Banned terms are dropped first and then those of ``position``, so the maximum and the sum are
    over the remaining terms. Every other rule keeps a prefix of one order: falling weights, and
    ascending terms if weights are equal. Hence these rules combine in any order.

    Attributes:
        position: of the terms that one position of the text gives, keep at most this many, those
            with the largest weights; None for no limit. A position gives the terms that have their
            largest logit there, so this needs the positions of an encoding.
        top: keep at most this many terms; None for no limit.
        threshold: keep weights >= this value.
        ratio: keep weights >= this share of the largest weight of the vector, 0 to 1 (OpenSearch's
            ``max_ratio``).
        mass: keep the fewest terms whose weights make up at least this share of the vector's sum,
            0 (excluded) to 1 (``alpha_mass``; Formal et al. 2023). Sums are float64.
        banned: drop these terms; see `banned_terms`.

    Raises:
        DataError: a value is outside its range.
    """

    position: int | None = None
    top: int | None = None
    threshold: float = 0.0
    ratio: float = 0.0
    mass: float = 1.0
    banned: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "banned", frozenset(self.banned))
        for name in _COUNTS:
            most = getattr(self, name)
            if most is not None and (
                isinstance(most, bool) or not isinstance(most, int) or most < 1
            ):
                raise DataError(f"pruning: {name} must be an integer >= 1, got {most!r}")
        _check_number(
            "threshold",
            self.threshold,
            0 <= _number(self.threshold) < math.inf,
            "that is finite and >= 0",
        )
        _check_number("ratio", self.ratio, 0 <= _number(self.ratio) <= 1, "from 0 to 1")
        _check_number("mass", self.mass, 0 < _number(self.mass) <= 1, "> 0 and <= 1")
        wrong = [
            term
            for term in self.banned
            if isinstance(term, bool) or not isinstance(term, int) or term < 0
        ]
        if wrong:
            raise DataError(f"pruning: a banned term must be an integer >= 0, got {wrong[0]!r}")

    def __bool__(self) -> bool:
        """Return whether there is any rule."""
        return self != Pruning()

    def apply(self, vectors: SparseVectors) -> SparseVectors:
        """Return the pruned vectors.

        Raises:
            DataError: `position` is set.
        """
        return take(vectors, self.kept(vectors)) if self else vectors

    def kept(
        self, vectors: SparseVectors, positions: NDArray[np.uint32] | None = None
    ) -> NDArray[np.bool_]:
        """Return whether each term of ``vectors.terms`` stays, bool [nnz].

        Args:
            vectors: the vectors.
            positions: uint32 [nnz], the position that gives each term; only `position` needs them.

        Raises:
            DataError: `position` is set and there are no positions.
        """
        kept = np.ones(vectors.nnz, np.bool_)
        if self.banned:
            kept &= ~np.isin(vectors.terms, np.fromiter(self.banned, np.int64))
        if self.position is not None:
            if positions is None:
                raise DataError(
                    "pruning: position needs the positions of an encoding, and these vectors have"
                    " none: prune when you encode, or use the other rules"
                )
            places = np.flatnonzero(kept)
            owners, terms = vectors.owners[places], vectors.terms[places]
            weights, given = vectors.weights[places], positions[places]
            kept[places] = _among_largest(owners, given, weights, terms, self.position)
        places = np.flatnonzero(kept)
        kept[places] = self._pass(take(vectors, kept))
        return kept

    def _pass(self, vectors: SparseVectors) -> NDArray[np.bool_]:
        """Return whether each term passes the rules over weights, bool [nnz].

        The vectors have no banned terms.
        """
        weights = vectors.weights.astype(np.float64)
        passed = weights >= self.threshold
        lengths = np.diff(vectors.indptr)
        if self.ratio > 0 and vectors.nnz:
            filled = lengths > 0
            largest = np.maximum.reduceat(weights, vectors.indptr[:-1][filled])
            passed &= weights >= self.ratio * np.repeat(largest, lengths[filled])
        if self.top is not None or self.mass < 1:
            # The sort is stable and terms ascend within a row, so equal weights keep this order.
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
        """Return whether each weight belongs to the prefix of its row that reaches the mass.

        The weights fall within each row.
        """
        within = np.zeros(len(weights), np.bool_)
        # One sum per row: a running sum over all rows would add rounding errors of earlier rows.
        for start, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            if start < end:
                sums = np.cumsum(weights[start:end])
                within[start] = sums[-1] > 0
                within[start + 1 : end] = sums[:-1] < self.mass * sums[-1]
        return within

    def to_dict(self) -> dict[str, Any]:
        """Return the rules that differ from the defaults, as JSON."""
        rules = {
            "position": self.position,
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
        """Make the rules from the result of `to_dict`; None for no rules.

        Raises:
            DataError: a rule is unknown, or a value is outside its range.
        """
        if rules is None:
            return cls()
        if not isinstance(rules, Mapping) or (set(rules) - set(cls.__slots__)):
            raise DataError(
                f"pruning must be an object with keys of {', '.join(cls.__slots__)}, got {rules!r}"
            )
        return cls(**{**rules, "banned": frozenset(rules.get("banned", ()))})


def banned_terms(
    vocabulary: Vocabulary,
    *,
    special: bool = False,
    unused: bool = False,
    tokens: Iterable[str] = (),
) -> frozenset[int]:
    """Return terms for `Pruning.banned`.

    Args:
        vocabulary: the vocabulary of the model.
        special: whether to include special tokens such as ``[CLS]``.
        unused: whether to include unused tokens such as ``[unused12]``.
        tokens: other tokens to include, as the vocabulary spells them.

    Raises:
        DataError: the vocabulary lacks one of the tokens.
    """
    banned = set(vocabulary.special) if special else set()
    if unused:
        banned |= {
            term for term, token in enumerate(vocabulary.tokens) if UNUSED_TOKEN.fullmatch(token)
        }
    for token in tokens:
        term = vocabulary.id(token)
        if term is None:
            raise DataError(
                f"pruning: a banned token must be in the vocabulary, got {token!r}: "
                "give special, unused, or a token as the vocabulary spells it"
            )
        banned.add(term)
    return frozenset(banned)


def parse_pruning(text: str | Pruning, vocabulary: Vocabulary) -> Pruning:
    """Parse rules of a command line, e.g. ``top=128,ratio=0.1,ban=special,ban=unused``.

    ``ban`` takes ``special``, ``unused`` or a token of the vocabulary, and may be repeated. A
    `Pruning` is returned unchanged.

    Raises:
        DataError: a rule is unknown or repeated, or a value is outside its range.
    """
    if isinstance(text, Pruning):
        return text
    rules: dict[str, Any] = {}
    banned: list[str] = []
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if (
            not separator
            or name not in (*_COUNTS, "threshold", "ratio", "mass", "ban")
            or name in rules
        ):
            raise DataError(
                f"pruning must be a list of rules, got {part.strip()!r} in {text!r}: "
                "give top=N, position=N, threshold=W, ratio=R, mass=M once, or ban=TOKEN"
            )
        if name == "ban":
            banned.append(value)
        else:
            rules[name] = _parsed(name, value)
    groups = {name: name in banned for name in ("special", "unused")}
    tokens = [token for token in banned if token not in groups]
    return Pruning(**rules, banned=banned_terms(vocabulary, **groups, tokens=tokens))


def take(vectors: SparseVectors, kept: NDArray[np.bool_]) -> SparseVectors:
    """Return the vectors with only the terms where ``kept``, bool [nnz], is true."""
    before = np.zeros(vectors.nnz + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    return SparseVectors(
        before[vectors.indptr],
        vectors.terms[kept],
        vectors.weights[kept],
        vectors.vocabulary_size,
        vectors.model,
    )


def _among_largest(
    owners: NDArray[np.int64],
    positions: NDArray[np.uint32],
    weights: NDArray[np.float32],
    terms: NDArray[np.uint32],
    most: int,
) -> NDArray[np.bool_]:
    """Return whether each term is among the ``most`` largest of its position, bool [n].

    Of equal weights, the smaller terms come first.
    """
    order = np.lexsort((terms, -weights, positions, owners))
    groups = np.stack([owners[order], positions[order].astype(np.int64)])
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (groups[:, 1:] != groups[:, :-1]).any(axis=0)
    places = np.arange(len(order))
    first = np.maximum.accumulate(np.where(starts, places, 0))
    among = np.empty(len(order), np.bool_)
    among[order] = places - first < most
    return among


def _parsed(name: str, value: str) -> float:
    try:
        return int(value) if name in _COUNTS else float(value)
    except ValueError:
        raise DataError(f"pruning: {name} must be a number, got {value!r}") from None


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _check_number(name: str, value: object, fits: bool, constraint: str) -> None:
    if not fits:
        raise DataError(f"pruning: {name} must be a number {constraint}, got {value!r}")
