"""Filters of Lexpand as queries of Elasticsearch and OpenSearch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexpand.errors import EngineError, FilterError
from lexpand.index.filters import parse_field
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
"""The field of the engine that holds the metadata."""


def column_properties(columns: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Any]:
    """Return the mapping of declared columns; nested ones are objects in the metadata.

    A name with a dot in it is a field of an object for the engines too.

    Args:
        columns: the type of each declared column, by its name as `format_field` writes it.
        types: the type of the engine for each of ours.

    Raises:
        EngineError: two columns have one place, or one is inside of another.
    """
    root: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    for name, kind in columns.items():
        path = tuple(part for key in parse_field(name) for part in key.split("."))
        for known, other in names.items():
            if known[: len(path)] == path[: len(known)]:
                raise EngineError(
                    f"the columns {other} and {name} are one field, or one inside of the other, for"
                    " this engine: make the index with one of them"
                )
        names[path] = name
        here = root
        for each in path[:-1]:
            here = here.setdefault(each, {"dynamic": False, "properties": {}})["properties"]
        here[path[-1]] = {"type": types[kind]}
    return root


def filter_query(expression: Expression, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return a filter as a query.

    Engines index declared columns only, so a filter may use no other field.

    Args:
        expression: the filter.
        columns: the type of each declared column.

    Raises:
        FilterError: a field is no declared column.
    """
    if isinstance(expression, And):
        return {"bool": {"filter": [filter_query(part, columns) for part in expression.parts]}}
    if isinstance(expression, Or):
        should = [filter_query(part, columns) for part in expression.parts]
        return {"bool": {"should": should, "minimum_should_match": 1}}
    if isinstance(expression, Not):
        return {"bool": {"must_not": [filter_query(expression.part, columns)]}}
    assert isinstance(expression, Condition)
    return _condition(expression, columns)


def _condition(condition: Condition, columns: Mapping[str, str]) -> dict[str, Any]:
    if condition.name not in columns:
        listed = ", ".join(sorted(columns)) or "none"
        raise FilterError(
            f"an engine filters by declared columns only, got {condition.name}: the columns are"
            f" {listed}; declare it with --column when you make the index"
        )
    name = ".".join([METADATA, *condition.field])
    if isinstance(condition, Exists):
        return {"exists": {"field": name}}
    if isinstance(condition, OneOf):
        return {"terms": {name: list(condition.values)}}
    assert isinstance(condition, Range)
    bounds = {}
    if condition.lower is not None:
        bounds["gte" if condition.lower.inclusive else "gt"] = condition.lower.value
    if condition.upper is not None:
        bounds["lte" if condition.upper.inclusive else "lt"] = condition.upper.value
    return {"range": {name: bounds}}
