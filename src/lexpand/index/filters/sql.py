"""Filters by SQL over the JSON metadata in the catalog, for fields that are not columns.

SQLite reads some JSON differently from Python: integers beyond 64 bits, the last bit of a float,
and NUL in a string. For such values the verdict is NULL, which SQL's three-valued logic carries
through and, or, not. The reference implementation then decides.
"""

from __future__ import annotations

import json
import math
import sqlite3
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.data import JsonValue
from lexpand.errors import CorruptIndex
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
from lexpand.index.filters.intervals import INT64, as_number, integer_interval, nearest_float
from lexpand.index.filters.names import Path
from lexpand.index.filters.reference import matches
from lexpand.index.filters.values import format_value, kind_of

Parameter: TypeAlias = str | int | float
Clause: TypeAlias = tuple[str, list[Parameter]]

# SQLite parses a decimal number to a float with an error of a few units in the last place of 53
# bits.
_ROUNDING = 1e-14
_SMALLEST = 1e-300

_RESTORE = "restore the catalog from a copy"

# SQLite's parser has a stack of 100 entries, and each level takes three. A chain of clauses may
# have at most 1,000.
_NESTING = 16
_CHAIN = 32

_IS_LISTED = "(atom IN (SELECT value FROM json_each(?)))"

# SQLite's JSON functions end a key or a string at a NUL.
_HAS_NUL = r"instr(metadata, '\u0000')"


def to_sql(expression: Expression) -> tuple[str, list[Parameter]]:
    """Translate a filter to an SQL expression over the column ``metadata``, with its parameters.

    The value is 1 if the document matches, 0 if it does not, and NULL if `matches` must decide.
    User input is in the parameters only.
    """
    clause, parameters = _clause(expression) if expression.depth <= _NESTING else ("NULL", [])
    return f"CASE WHEN {_HAS_NUL} THEN NULL ELSE {clause} END", parameters


def matching_rows(db: sqlite3.Connection, expression: Expression) -> NDArray[np.uint32]:
    """Return the rows of all matching documents, ascending, deleted ones included.

    This needs SQLite 3.35.

    Raises:
        CorruptIndex: the metadata of a document is not a JSON object.
    """
    verdict, parameters = to_sql(expression)
    rows: list[int] = []
    query = (
        f"WITH judged AS MATERIALIZED (SELECT row, {verdict} AS verdict FROM documents)"
        " SELECT row, verdict, CASE WHEN verdict IS NULL THEN metadata END"
        " FROM judged JOIN documents USING (row) WHERE verdict IS NOT 0 ORDER BY row"
    )
    try:
        for row, known, metadata in db.execute(query, parameters):
            if known or matches(expression, _parsed(row, metadata)):
                rows.append(row)
    except sqlite3.OperationalError as error:
        if "malformed JSON" in str(error):
            raise CorruptIndex(f"the metadata of a document is not JSON: {_RESTORE}") from error
        raise
    return np.array(rows, np.uint32)


def _parsed(row: int, metadata: str) -> dict[str, JsonValue]:
    try:
        parsed = json.loads(metadata)
    except ValueError as error:
        raise CorruptIndex(
            f"the metadata of row {row} is not JSON ({error}): {_RESTORE}"
        ) from error
    if not isinstance(parsed, dict):
        raise CorruptIndex(f"the metadata of row {row} is not a JSON object: {_RESTORE}")
    return parsed


def _clause(expression: Expression) -> Clause:
    if isinstance(expression, And | Or):
        word = "AND" if isinstance(expression, And) else "OR"
        return _joined(word, [_clause(part) for part in expression.parts])
    if isinstance(expression, Not):
        inner, parameters = _clause(expression.part)
        return f"(NOT {inner})", parameters
    assert isinstance(expression, Condition)
    return _condition(expression)


def _joined(word: str, clauses: list[Clause]) -> Clause:
    if len(clauses) > _CHAIN:
        starts = range(0, len(clauses), _CHAIN)
        clauses = [_joined(word, clauses[start : start + _CHAIN]) for start in starts]
    texts, parameters = zip(*clauses, strict=True)
    return f"({f' {word} '.join(texts)})", list(chain.from_iterable(parameters))


def _condition(condition: Condition) -> Clause:
    path = _json_path(condition.field)
    if path is None:
        return "NULL", []
    test, parameters = _element(condition)
    of_object = 1 if isinstance(condition, Exists) else 0
    # json_each would split an object, which is one value. The highest verdict of a list's elements
    # counts: 2, 1 or 0.
    verdict = f"(SELECT max({test}) FROM json_each(metadata, ?))"
    return (
        f"CASE json_type(metadata, ?) WHEN 'object' THEN {of_object} ELSE"
        f" CASE {verdict} WHEN 2 THEN 1 WHEN 1 THEN NULL ELSE 0 END END",
        [path, *parameters, path],
    )


def _json_path(field: Path) -> str | None:
    """Return the path in SQLite's notation.

    The result is None if a key would need an escape, which versions of SQLite read differently.
    """
    if any(letter in '"\\' or letter < " " for key in field for letter in key):
        return None
    return "$" + "".join(f'."{key}"' for key in field)


def _element(condition: Condition) -> Clause:
    """Return the verdict on an element of json_each: 2 for yes, 1 for unknown, 0 for no."""
    if isinstance(condition, OneOf):
        return _one_of(condition)
    if isinstance(condition, Range):
        of_strings = kind_of(condition.bounds[0].value) == "string"
        return _string_range(condition) if of_strings else _number_range(condition)
    return "CASE type WHEN 'null' THEN 0 ELSE 2 END", []


def _one_of(condition: OneOf) -> Clause:
    numbers = [
        value
        for value in condition.values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    # Documents with a NUL are excluded before, so a string with a NUL matches none.
    strings = [value for value in condition.values if isinstance(value, str) and "\0" not in value]
    cases = [
        f"WHEN type = '{format_value(value)}' THEN 2"
        for value in condition.values
        if isinstance(value, bool)
    ]
    parameters: list[Parameter] = []
    if strings:
        cases.append(f"WHEN type = 'text' THEN 2 * {_IS_LISTED}")
        parameters.append(json.dumps(strings, ensure_ascii=False))
    if numbers:
        cases.append(
            f"WHEN type IN ('integer', 'real') THEN"
            f" CASE typeof(atom) WHEN 'integer' THEN 2 * {_IS_LISTED} ELSE atom BETWEEN ? AND ? END"
        )
        integers = [
            value for value in numbers if isinstance(value, int) and INT64[0] <= value <= INT64[1]
        ]
        near = [_below(nearest_float(min(numbers))), _above(nearest_float(max(numbers)))]
        parameters += [json.dumps(integers), *near]
    return (f"CASE {' '.join(cases)} ELSE 0 END", parameters) if cases else ("0", [])


def _string_range(condition: Range) -> Clause:
    tests, parameters = ["type = 'text'"], [bound.value for bound in condition.bounds]
    if condition.lower is not None:
        tests.append(f"atom {'>=' if condition.lower.inclusive else '>'} ?")
    if condition.upper is not None:
        tests.append(f"atom {'<=' if condition.upper.inclusive else '<'} ?")
    return f"2 * ({' AND '.join(tests)})", parameters


def _number_range(condition: Range) -> Clause:
    lower = (
        -math.inf if condition.lower is None else nearest_float(as_number(condition.lower.value))
    )
    upper = math.inf if condition.upper is None else nearest_float(as_number(condition.upper.value))
    return (
        "CASE WHEN type NOT IN ('integer', 'real') THEN 0"
        " WHEN typeof(atom) = 'integer' THEN 2 * (atom BETWEEN ? AND ?)"
        " WHEN atom > ? AND atom < ? THEN 2 WHEN atom < ? OR atom > ? THEN 0 ELSE 1 END",
        [*integer_interval(condition), _above(lower), _below(upper), _below(lower), _above(upper)],
    )


def _below(value: float) -> float:
    return value - abs(value) * _ROUNDING - _SMALLEST if math.isfinite(value) else value


def _above(value: float) -> float:
    return -_below(-value)
