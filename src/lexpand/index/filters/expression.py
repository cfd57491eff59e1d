"""Filters as expression trees: conditions on fields, joined by and, or, not (docs/filters.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from lexpand.errors import FilterError
from lexpand.index.filters.names import Path, format_field, quote_single
from lexpand.index.filters.tokens import looks_like_number
from lexpand.index.filters.values import Scalar, check_value, format_value, kind_of

DEPTH = 64
"""The largest depth of nested and, or, not, and of parentheses in a text."""

CONDITIONS = 1024
"""The largest number of conditions in a filter; an ``in`` with any number of values is one."""


class Expression:
    """A filter, immutable and hashable.

    Expressions are equal if their canonical texts are. `str` returns that text, and `parse_text`
    reads it back.
    """

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        raise NotImplementedError

    @cached_property
    def depth(self) -> int:
        """The depth of nested and, or, not; 0 for a condition."""
        return 0

    @property
    def conditions(self) -> Iterator[Condition]:
        """All conditions of the filter."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True, eq=False)
class Condition(Expression):
    """A condition on one field.

    Attributes:
        field: the keys that select the field, outermost first.
    """

    field: Path

    @property
    def name(self) -> str:
        """The canonical name of the field."""
        return format_field(self.field)

    @property
    def conditions(self) -> Iterator[Condition]:
        """This condition."""
        yield self

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its values (``boolean``, ``number``, ``string``); empty for `Exists`."""
        return frozenset()

    def _formatted(self, value: Scalar) -> str:
        """Return the text of a value on the right side of the field.

        A string is in single quotes if the field name looks like a value.
        """
        ambiguous = len(self.field) == 1 and looks_like_number(self.field[0])
        return quote_single(value) if ambiguous and isinstance(value, str) else format_value(value)


@dataclass(frozen=True, eq=False)
class Exists(Condition):
    """The field has a value that is not null."""

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        return f"exists({self.name})"


@dataclass(frozen=True, eq=False)
class OneOf(Condition):
    """The field equals one of these values.

    Attributes:
        values: the distinct values, at least one, in the order of their texts.

    Raises:
        FilterError: there is no value, or a value is invalid.
    """

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise FilterError(
                f"{self.name} in an empty list matches nothing: add a value, or leave it out"
            )
        by_text = {
            format_value(value): value
            for value in (check_value(value, self.name) for value in self.values)
        }
        object.__setattr__(self, "values", tuple(by_text[text] for text in sorted(by_text)))

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its values."""
        return frozenset(str(kind_of(value)) for value in self.values)

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        if len(self.values) > 1:
            return f"{self.name} in ({', '.join(format_value(value) for value in self.values)})"
        return f"{self.name} = {self._formatted(self.values[0])}"


class Bound(NamedTuple):
    """One end of a range, which is in the range if inclusive."""

    value: int | float | str
    inclusive: bool


@dataclass(frozen=True, eq=False)
class Range(Condition):
    """The field is in a range of numbers or strings, with one bound or two.

    Attributes:
        lower: the lower bound; None for no limit.
        upper: the upper bound; None for no limit.

    Raises:
        FilterError: there is no bound, the bounds are of two types, or one is a boolean.
    """

    lower: Bound | None = None
    upper: Bound | None = None

    def __post_init__(self) -> None:
        for end in ("lower", "upper"):
            if (bound := getattr(self, end)) is not None:
                object.__setattr__(self, end, self._check_bound(bound))
        kinds = {kind_of(bound.value) for bound in self.bounds}
        if len(kinds) != 1:
            raise FilterError(
                f"the range of {self.name} needs one bound, or two of one type: numbers or strings"
            )

    def _check_bound(self, bound: Bound) -> Bound:
        value = check_value(bound.value, self.name)
        if isinstance(value, bool):
            raise FilterError(
                f"{self.name} is compared with {value}, which has no order: test for equality"
            )
        return Bound(value, bool(bound.inclusive))

    @property
    def kinds(self) -> frozenset[str]:
        """The kind of its bounds."""
        return frozenset(str(kind_of(bound.value)) for bound in self.bounds)

    @property
    def bounds(self) -> list[Bound]:
        """The existing bounds, one or two."""
        return [bound for bound in (self.lower, self.upper) if bound is not None]

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        if self.upper is None:
            assert self.lower is not None
            return f"{self.name} >{_equal(self.lower)} {self._formatted(self.lower.value)}"
        if self.lower is None:
            return f"{self.name} <{_equal(self.upper)} {self._formatted(self.upper.value)}"
        lower, upper = (format_value(bound.value) for bound in (self.lower, self.upper))
        return f"{lower} <{_equal(self.lower)} {self.name} <{_equal(self.upper)} {upper}"


def _equal(bound: Bound) -> str:
    return "=" if bound.inclusive else ""


@dataclass(frozen=True, eq=False)
class _Joined(Expression):
    parts: tuple[Expression, ...]

    def __post_init__(self) -> None:
        _check_limits(self)

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        return f" {type(self).__name__.lower()} ".join(
            _within(type(self), part) for part in self.parts
        )

    @cached_property
    def depth(self) -> int:
        """The depth of nested and, or, not."""
        return 1 + max(part.depth for part in self.parts)

    @property
    def conditions(self) -> Iterator[Condition]:
        """All conditions of the filter."""
        for part in self.parts:
            yield from part.conditions


class And(_Joined):
    """Every part matches. Made by `all_of`, with two or more parts in order of their texts.

    No part is itself an `And`.
    """


class Or(_Joined):
    """At least one part matches. Made by `any_of`, with two or more parts in order of their texts.

    No part is itself an `Or`.
    """


def all_of(parts: Iterable[Expression]) -> Expression:
    """Return the filter that matches if every part does.

    Raises:
        FilterError: there is no part, or the filter exceeds `DEPTH` or `CONDITIONS`.
    """
    return _join(And, parts)


def any_of(parts: Iterable[Expression]) -> Expression:
    """Return the filter that matches if at least one part does.

    Raises:
        FilterError: see `all_of`.
    """
    return _join(Or, parts)


def _join(kind: type[And] | type[Or], parts: Iterable[Expression]) -> Expression:
    flat = {inner for part in parts for inner in (part.parts if isinstance(part, kind) else [part])}
    if not flat:
        raise FilterError(
            f"{kind.__name__.lower()!r} must have at least one part, got none: leave it out"
        )
    ordered = tuple(sorted(flat, key=str))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


@dataclass(frozen=True, eq=False)
class Not(Expression):
    """The part does not match."""

    part: Expression

    def __post_init__(self) -> None:
        _check_limits(self)

    @cached_property
    def text(self) -> str:
        """The canonical text."""
        return f"not {_within(Not, self.part)}"

    @cached_property
    def depth(self) -> int:
        """The depth of nested and, or, not."""
        return 1 + self.part.depth

    @property
    def conditions(self) -> Iterator[Condition]:
        """All conditions of the filter."""
        return self.part.conditions


def fields_of(expression: Expression) -> frozenset[Path]:
    """Return the fields of a filter as keys, of which `format_field` makes names."""
    return frozenset(condition.field for condition in expression.conditions)


def _within(outer: type[Expression], part: Expression) -> str:
    """Return the text of a part, in parentheses if it binds less tightly than ``outer``."""
    binds_less = isinstance(part, Or) or (isinstance(part, And) and outer is Not)
    return f"({part})" if binds_less else str(part)


def _check_limits(expression: Expression) -> None:
    if expression.depth > DEPTH:
        raise FilterError(f"a filter is nested deeper than {DEPTH} levels: flatten it")
    if sum(1 for _ in expression.conditions) > CONDITIONS:
        raise FilterError(
            f"a filter has more than {CONDITIONS} conditions: combine the values of a field by 'in'"
        )
