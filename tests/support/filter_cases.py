"""Random metadata and filters that often match, and filters written as mappings."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from lexpand.index.filters import (
    And,
    Bound,
    Exists,
    Expression,
    Not,
    OneOf,
    Range,
    all_of,
    any_of,
    format_field,
)

KEYS = [
    "a",
    "b",
    "2020",
    "or",
    "$x",
    "a.b",
    'q"',
    "it's",
    "",
    "é ü",
    "back\\slash",
    "nul\0",
    "tab\t",
    "[0]",
    "in",
]
INTEGERS = [
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    -(10**400),
]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    0.5,
    0.1,
    0.1 + 2**-56,
    1e300,
    5e-324,
    2.2250738585072014e-308,
    float(2**53),
    float(2**63),
]
FLOATS += [-float(2**63), 1.7976931348623157e308, 123456789.123456789, 8.41e21, 9.5e-21]
STRINGS = [
    "",
    "a",
    "b",
    "B",
    "é",
    "1",
    "true",
    "2024-01-31",
    'say "x"',
    "a\0b",
    "a\0",
    "line\nbreak",
    "\\",
    "\U0001f600",
]
STRINGS += ["\uffff", "in", "two words", "\x7f", "\u2028", "$", "%s"]

numbers = (
    st.sampled_from([*INTEGERS, *FLOATS])
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
)
strings = st.sampled_from(STRINGS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
scalars = st.booleans() | numbers | strings
keys = st.sampled_from(KEYS[:4]) | st.sampled_from(KEYS)
paths = st.lists(keys, min_size=1, max_size=3).map(tuple)

json_values = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(keys, json_values, max_size=4)


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Bound | None, Bound | None]]:
    bound = st.none() | st.builds(Bound, bounds, st.booleans())
    return st.tuples(bound, bound).filter(lambda pair: pair != (None, None))


def conditions(
    fields: st.SearchStrategy[tuple[str, ...]], values: st.SearchStrategy[Any] = scalars
) -> st.SearchStrategy[Expression]:
    of_numbers = st.builds(lambda field, pair: Range(field, *pair), fields, ranges(numbers))
    of_strings = st.builds(lambda field, pair: Range(field, *pair), fields, ranges(strings))
    one_of = st.builds(OneOf, fields, st.lists(values, min_size=1, max_size=4).map(tuple))
    return one_of | of_numbers | of_strings | st.builds(Exists, fields)


def joined(leaves: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def deeper(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        parts = st.lists(inner, min_size=1, max_size=3)
        return parts.map(all_of) | parts.map(any_of) | inner.map(Not)

    return st.recursive(leaves, deeper, max_leaves=6)


expressions = joined(conditions(paths))


def as_mapping(expression: Expression, dollar: str = "") -> dict[str, Any]:
    """Return the equivalent mapping."""
    if isinstance(expression, Not):
        return {f"{dollar}not": as_mapping(expression.part, dollar)}
    if isinstance(expression, OneOf | Range | Exists):
        return {
            format_field(expression.field): {
                dollar + key: value for key, value in operators(expression).items()
            }
        }
    word = "and" if isinstance(expression, And) else "or"
    return {dollar + word: [as_mapping(part, dollar) for part in expression.parts]}  # type: ignore[attr-defined]


def operators(condition: Expression) -> dict[str, Any]:
    if isinstance(condition, OneOf):
        return (
            {"in": list(condition.values)}
            if len(condition.values) > 1
            else {"eq": condition.values[0]}
        )
    if isinstance(condition, Exists):
        return {"exists": True}
    bounds = {}
    if condition.lower:
        bounds["gte" if condition.lower.inclusive else "gt"] = condition.lower.value
    if condition.upper:
        bounds["lte" if condition.upper.inclusive else "lt"] = condition.upper.value
    return bounds


def catalog_of(
    documents: Sequence[Mapping[str, Any]], deleted: Sequence[int] = ()
) -> sqlite3.Connection:
    """Return a database with the columns of the catalog that filters read."""
    db = sqlite3.connect(":memory:")
    db.execute(
        "CREATE TABLE documents (row INTEGER PRIMARY KEY, metadata TEXT NOT NULL, deleted INTEGER)"
    )
    rows = (
        (row, json.dumps(each, ensure_ascii=False), 1 if row in deleted else None)
        for row, each in enumerate(documents)
    )
    db.executemany("INSERT INTO documents VALUES (?, ?, ?)", rows)
    return db
