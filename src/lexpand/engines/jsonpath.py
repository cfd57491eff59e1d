"""Filters of Lexpand as conditions of PostgreSQL on a column of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

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

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def filter_condition(expression: Expression, column: str) -> tuple[str, list[str]]:
    """Return a filter as a condition of SQL, and its parameters.

    A condition is a path of SQL/JSON on the elements of a list, of which another value is the only
    one. It compares strictly by type, and its strict mode does not look into lists in lists.

    Args:
        expression: the filter.
        column: the name of a column of type jsonb.

    Raises:
        FilterError: a name or a value has the character U+0000, which PostgreSQL cannot store.
    """
    if isinstance(expression, And | Or):
        word = " AND " if isinstance(expression, And) else " OR "
        parts = [filter_condition(part, column) for part in expression.parts]
        values = [value for _, found in parts for value in found]
        return f"({word.join(text for text, _ in parts)})", values
    if isinstance(expression, Not):
        text, values = filter_condition(expression.part, column)
        return f"(NOT {text})", values
    assert isinstance(expression, Condition)
    # `->` with a text selects from objects only, never from lists.
    selected = column + " -> %s::text" * len(expression.field)
    elements = (
        f"CASE jsonb_typeof({selected}) WHEN 'array' THEN {selected}"
        f" ELSE jsonb_build_array({selected}) END"
    )
    values = [*expression.field * 3, f"strict $[*] ? ({_test(expression)})"]
    if any("\0" in key for key in expression.field) or has_nul(values[-1]):
        raise FilterError(
            f"the filter {expression} has the character U+0000, which PostgreSQL cannot store"
        )
    return f"jsonb_path_exists({elements}, %s::jsonpath)", values


def has_nul(text: str) -> bool:
    """Return whether a string in a JSON text has the character U+0000.

    A backslash before ``u0000`` escapes it unless the backslash is itself escaped.
    """
    return _NUL.search(text) is not None


def _test(condition: Condition) -> str:
    if isinstance(condition, Exists):
        return "@ != null"
    if isinstance(condition, OneOf):
        tests = [f"@ == {_literal(each)}" for each in condition.values]
        return " || ".join(tests)
    assert isinstance(condition, Range)
    return " && ".join(comparisons("@", condition, _literal))


def comparisons(value: str, bounds: Range, literal: Callable[[object], str]) -> list[str]:
    """Return the comparisons of a range, one or two.

    Args:
        value: what is compared, as the language of the engine writes it.
        bounds: the range.
        literal: writes a value in that language.
    """
    tests = []
    if bounds.lower is not None:
        sign = ">=" if bounds.lower.inclusive else ">"
        tests.append(f"{value} {sign} {literal(bounds.lower.value)}")
    if bounds.upper is not None:
        sign = "<=" if bounds.upper.inclusive else "<"
        tests.append(f"{value} {sign} {literal(bounds.upper.value)}")
    return tests


def _literal(value: object) -> str:
    """Return a value as SQL/JSON path writes it: as JSON does."""
    return json.dumps(value)
