"""The definition of a match: the reference implementation for columns and SQL."""

from __future__ import annotations

from collections.abc import Mapping

from lexpand.data.documents import JsonValue
from lexpand.index.filters.expression import (
    And,
    Condition,
    Exists,
    Expression,
    Not,
    OneOf,
    Or,
    Range,
)
from lexpand.index.filters.values import kind_of, values_at


def matches(expression: Expression, metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether a document with this metadata matches."""
    if isinstance(expression, And):
        return all(matches(part, metadata) for part in expression.parts)
    if isinstance(expression, Or):
        return any(matches(part, metadata) for part in expression.parts)
    if isinstance(expression, Not):
        return not matches(expression.part, metadata)
    assert isinstance(expression, Condition)
    return any(_satisfies(expression, value) for value in values_at(metadata, expression.field))


def _satisfies(condition: Condition, value: JsonValue) -> bool:
    """Return whether a value, which is not null, satisfies a condition.

    Python compares integers with floats by their exact values.
    """
    if isinstance(condition, OneOf):
        return any(
            kind_of(target) == kind_of(value) and target == value for target in condition.values
        )
    return isinstance(condition, Exists) or (
        isinstance(condition, Range) and _in_range(value, condition)
    )


def _in_range(value: JsonValue, condition: Range) -> bool:
    lower, upper = condition.lower, condition.upper
    if kind_of(value) != kind_of(condition.bounds[0].value):
        return False
    assert isinstance(value, int | float | str)
    above = lower is None or value > lower.value or (lower.inclusive and value == lower.value)  # type: ignore[operator]
    below = upper is None or value < upper.value or (upper.inclusive and value == upper.value)  # type: ignore[operator]
    return above and below
