"""The entries of a rules file, one class for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lexpand.data.pruning import UNUSED_TOKEN
from lexpand.encode.contract import Role
from lexpand.errors import DataError

PIN_WEIGHT = 3.0
"""The default weight of a pinned text, about that of the strongest terms of SPLADE models."""

_LARGEST = 1000.0


class Side(StrEnum):
    """The texts that a rule applies to."""

    QUERY = "query"
    DOCUMENT = "document"
    BOTH = "both"

    def covers(self, role: Role) -> bool:
        """Return whether the rule applies to texts of this role."""
        return self in (Side.BOTH, Side(role))


def parse_side(side: object) -> Side:
    """Return the side with this name.

    Raises:
        DataError: the name is unknown.
    """
    if not isinstance(side, str) or side not in list(Side):
        raise DataError(f"side must be one of {', '.join(Side)}, got {side!r}")
    return Side(side)


@dataclass(frozen=True, slots=True)
class Ban:
    """Removes a term from every vector."""

    term: str
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Cap:
    """Limits the weight of a term to ``weight``."""

    term: str
    weight: float
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Boost:
    """Multiplies the weight that the model gives a term by ``factor``."""

    term: str
    factor: float
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_weight("factor", self.factor)
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Synonym:
    """Adds terms, with at least these weights, to a text with the word or phrase ``when``."""

    when: str
    add: Mapping[str, float]
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_phrase("when", self.when)
        object.__setattr__(self, "side", parse_side(self.side))
        if not isinstance(self.add, Mapping) or not self.add:
            raise DataError(
                "add must be a table of terms and weights, such as { login = 1.0 }, "
                f"got {self.add!r}"
            )
        for term, weight in self.add.items():
            _check_weight(f"the weight of {term!r}", weight)

    def __hash__(self) -> int:
        return hash((self.when, frozenset(self.add.items()), self.side))


@dataclass(frozen=True, slots=True)
class Pin:
    """Gives a text a term of its own, so that it is matched exactly.

    Attributes:
        text: an id, such as ``ERR_42``.
        weight: the weight of the term in queries and documents that contain the text.
        slot: the number of the pin in the file, from 0, and of its unused term in the vocabulary.
    """

    text: str
    weight: float = PIN_WEIGHT
    side: Side = Side.BOTH
    slot: int = 0
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_phrase("text", self.text)
        _check_weight("weight", self.weight)
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Expectation:
    """A test: a query must find the document ``expect`` among the best ``top``."""

    query: str
    expect: str
    top: int = 10
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.query, str) or not isinstance(self.expect, str):
            raise DataError(
                "query and expect must be a query and the id of a document, both as text, got "
                f"{self.query!r} and {self.expect!r}"
            )
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise DataError(f"top must be an integer >= 1, got {self.top!r}")


def check_terms(*terms: object) -> None:
    """Check that rules may name these terms.

    Raises:
        DataError: a term is not a text, or is an unused term, which is reserved for pins.
    """
    for term in terms:
        if not isinstance(term, str) or not term:
            raise DataError(f"a term must be a token of the vocabulary, as text, got {term!r}")
        if UNUSED_TOKEN.fullmatch(term):
            raise DataError(
                f"a term must be a token in use, got {term!r}: unused tokens are reserved for "
                "[[pin]]"
            )


def _check_phrase(name: str, phrase: object) -> None:
    if not isinstance(phrase, str) or not any(letter.isalnum() for letter in phrase):
        raise DataError(f"{name} must be a text with a letter or a digit, got {phrase!r}")


def _check_weight(name: str, weight: object) -> None:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not number or not 0 < float(weight) <= _LARGEST:  # type: ignore[arg-type]
        raise DataError(f"{name} must be a number above 0 and at most {_LARGEST:g}, got {weight!r}")
