"""Filters of Lexpand as filters of Qdrant, in the JSON of its REST API."""

from __future__ import annotations

import re
from typing import Any

from lexpand.errors import FilterError
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

METADATA = "metadata"
"""The key of the payload that holds the metadata."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
_LARGEST = 2**63
_EXACT = 2**53  # integers below it are exact in float64, in which Qdrant compares ranges


def qdrant_filter(expression: Expression) -> dict[str, Any]:
    """Return a filter as Qdrant's.

    A list of nulls exists for Qdrant. Ranges are compared in float64.

    Raises:
        FilterError: strings are compared by order, which Qdrant does not do; a name has a double
            quote; or a number is too large.
    """
    if isinstance(expression, And):
        return {"must": [qdrant_filter(part) for part in expression.parts]}
    if isinstance(expression, Or):
        return {"should": [qdrant_filter(part) for part in expression.parts]}
    if isinstance(expression, Not):
        return {"must_not": [qdrant_filter(expression.part)]}
    assert isinstance(expression, Condition)
    key = key_of(expression.field)
    if isinstance(expression, Exists):
        return {"must_not": [{"is_empty": {"key": key}}]}
    if isinstance(expression, OneOf):
        return {"should": [_equal(key, value) for value in expression.values]}
    assert isinstance(expression, Range)
    return {"must": [{"key": key, "range": _range(expression)}]}


def key_of(field: tuple[str, ...]) -> str:
    """Return the path of a field of the metadata.

    Raises:
        FilterError: a name has a double quote.
    """
    for name in field:
        if '"' in name or not name:
            raise FilterError(f"Qdrant cannot filter by the field {name!r}: rename it")
    return ".".join(
        [METADATA, *(name if _PLAIN_KEY.fullmatch(name) else f'"{name}"' for name in field)]
    )


def _equal(key: str, value: object) -> dict[str, Any]:
    is_exact = isinstance(value, int) and _EXACT <= abs(value) < _LARGEST
    if isinstance(value, str | bool) or is_exact:
        return {"key": key, "match": {"value": value}}
    number = _number(value)
    return {"key": key, "range": {"gte": number, "lte": number}}


def _range(condition: Range) -> dict[str, Any]:
    found = {}
    for bound, names in ((condition.lower, ("gte", "gt")), (condition.upper, ("lte", "lt"))):
        if bound is None:
            continue
        if isinstance(bound.value, str):
            raise FilterError(
                f"Qdrant cannot compare strings by order, as {condition} does: use numbers"
            )
        found[names[0 if bound.inclusive else 1]] = _number(bound.value)
    return found


def _number(value: object) -> int | float:
    """Return a number that float64 can hold.

    Raises:
        FilterError: it is too large.
    """
    assert isinstance(value, int | float)
    try:
        float(value)
    except OverflowError:
        raise FilterError(
            f"Qdrant compares numbers in float64, which cannot hold {value}"
        ) from None
    return value
