"""Filters of Lexpand as expressions of Milvus on a JSON field."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lexpand.engines.jsonpath import comparisons
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
"""The field that holds the metadata."""

_LIMIT = 2**63
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
"""Milvus and Milvus Lite read no other escape alike, and take all other characters as they are."""


def quoted(text: str) -> str:
    """Return a text as an expression writes it."""
    return f'"{text.translate(_ESCAPES)}"'


def keys_filter(key: str, ids: Sequence[str | int]) -> str:
    """Return the expression for the rows with these values of the primary key."""
    values = (quoted(each) if isinstance(each, str) else str(each) for each in ids)
    return f"{key} in [{', '.join(values)}]"


def later_filter(key: str, last: str) -> str:
    """Return the expression for the rows after one with a text as primary key."""
    return f"{key} > {quoted(last)}"


def is_escaped(text: str) -> bool:
    """Return whether `quoted` escapes a character."""
    return text.translate(_ESCAPES) != text


def milvus_filter(expression: Expression) -> str:
    """Return a filter as an expression of Milvus.

    A condition begins with ``exists``, because Milvus may treat a comparison with a missing field
    as unknown, which ``not`` would keep. A range compares single values of one type: Milvus has no
    such operator for the elements of a list, and a comparison with another type may be unknown too.

    Raises:
        FilterError: a name or a text has a control character, or an integer has more than 64 bits.
    """
    if isinstance(expression, And | Or):
        word = " and " if isinstance(expression, And) else " or "
        return f"({word.join(milvus_filter(part) for part in expression.parts)})"
    if isinstance(expression, Not):
        return f"(not {milvus_filter(expression.part)})"
    assert isinstance(expression, Condition)
    path = METADATA + "".join(f"[{_literal(key)}]" for key in expression.field)
    return f"(exists {path} and ({_test(path, expression)}))"


def _test(path: str, condition: Condition) -> str:
    if isinstance(condition, Exists):
        return f"exists {path}"
    if isinstance(condition, OneOf):
        values = [_literal(value) for value in condition.values]
        tests = [f"{path} == {value}" for value in values]
        tests.append(f"json_contains_any({path}, [{', '.join(values)}])")
        return " or ".join(tests)
    assert isinstance(condition, Range)
    return " and ".join(comparisons(path, condition, _literal))


def _literal(value: object) -> str:
    """Return a value as an expression writes it."""
    if isinstance(value, str):
        if any(character < " " for character in value):
            raise FilterError(
                f"Milvus cannot filter by control characters, got {value!r}: remove them"
            )
        return quoted(value)
    if isinstance(value, int) and not -_LIMIT <= value < _LIMIT:
        raise FilterError(f"Milvus compares integers of 64 bits, which cannot hold {value}")
    return json.dumps(value)
