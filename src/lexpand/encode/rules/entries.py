"""The entries of a rules file, one class a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lexpand.data.pruning import PLACE_LEFT_FREE
from lexpand.encode.contract import Role
from lexpand.errors import DataError

PIN_WEIGHT = 3.0
"""Of a pinned text, where the file says none: as much as the strongest terms of SPLADE models have."""

_LARGEST = 1000.0


class Side(StrEnum):
    """What a rule is for."""

    QUERY = "query"
    DOCUMENT = "document"
    BOTH = "both"

    def covers(self, role: Role) -> bool:
        """Whether the rule is for texts of this role."""
        return self in (Side.BOTH, Side(role))


def parse_side(side: object) -> Side:
    """A side by its name.

    Raises:
        DataError: there is none of this name.
    """
    if not isinstance(side, str) or side not in list(Side):
        raise DataError(f"side is {side!r}: it must be one of {', '.join(Side)}")
    return Side(side)


@dataclass(frozen=True, slots=True)
class Ban:
    """A term that no vector has."""

    term: str
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Cap:
    """A term that weighs at most ``weight``."""

    term: str
    weight: float
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Boost:
    """A term whose weight by the model is multiplied."""

    term: str
    factor: float
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_weight("factor", self.factor)
        object.__setattr__(self, "side", parse_side(self.side))


@dataclass(frozen=True, slots=True)
class Synonym:
    """Terms that a text with the word or phrase ``when`` has with at least these weights."""

    when: str
    add: Mapping[str, float]
    side: Side = Side.BOTH
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        _check_phrase("when", self.when)
        object.__setattr__(self, "side", parse_side(self.side))
        if not isinstance(self.add, Mapping) or not self.add:
            raise DataError("add must be a table of terms and weights, such as { login = 1.0 }")
        for term, weight in self.add.items():
            _check_weight(f"the weight of {term!r}", weight)

    def __hash__(self) -> int:
        return hash((self.when, frozenset(self.add.items()), self.side))


@dataclass(frozen=True, slots=True)
class Pin:
    """A text that is found exactly: the vocabulary's place ``slot``, of those left free, stands for it.

    Attributes:
        text: an id, such as ``ERR_42``.
        weight: of its term, in queries and documents that have the text.
        slot: from 0; the number of the entry among those of its kind.
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
    """A document that a query must find among the best ``top``."""

    query: str
    expect: str
    top: int = 10
    place: str = field(default="a rule", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.query, str) or not isinstance(self.expect, str):
            raise DataError("query and expect must be texts: a question and the id of a document")
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise DataError(f"top is {self.top!r}: it must be an integer of at least 1")


def check_terms(*terms: object) -> None:
    """Nothing, where each is a token that a rule may name.

    Raises:
        DataError: one is no text, or a place left free, which pins are for.
    """
    for term in terms:
        if not isinstance(term, str) or not term:
            raise DataError(f"the term {term!r}: it must be a token of the vocabulary, as a text")
        if PLACE_LEFT_FREE.fullmatch(term):
            raise DataError(
                f"the term {term!r} is a place that the vocabulary leaves free: these are for [[pin]]"
            )


def _check_phrase(name: str, phrase: object) -> None:
    if not isinstance(phrase, str) or not any(letter.isalnum() for letter in phrase):
        raise DataError(f"{name} is {phrase!r}: it must be a text with a letter or a digit")


def _check_weight(name: str, weight: object) -> None:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not number or not 0 < float(weight) <= _LARGEST:  # type: ignore[arg-type]
        raise DataError(
            f"{name} is {weight!r}: it must be a number above 0 and at most {_LARGEST:g}"
        )
