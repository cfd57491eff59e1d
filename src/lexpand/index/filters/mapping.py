"""The parser of filters as mappings: ``{"year": {"gte": 2020}, "or": [{"a": 1}, {"b": 2}]}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lexpand.data.documents import shown
from lexpand.errors import FilterError
from lexpand.index.filters.expression import (
    DEPTH,
    Bound,
    Exists,
    Expression,
    Not,
    OneOf,
    Range,
    all_of,
    any_of,
)
from lexpand.index.filters.names import Path, format_field, parse_field

_LOWER = {"gt": False, "gte": True}
_UPPER = {"lt": False, "lte": True}


def parse_mapping(given: Mapping[str, object]) -> Expression:
    """Parse a filter from a mapping.

    docs/filters.md lists the operators. A ``$`` before an operator is allowed.

    Raises:
        FilterError: the mapping is empty or nested too deeply, or has an unknown operator or a
            value of a wrong type.
    """
    return _all(given, 0)


def _all(mapping: object, depth: int) -> Expression:
    if depth > DEPTH:
        raise FilterError(f"a filter is nested deeper than {DEPTH} levels: flatten it")
    entries = _entries(mapping, "a filter").items()
    return all_of([_entry(key, condition, depth) for key, condition in entries])


def _entries(mapping: object, what: str) -> Mapping[str, object]:
    if not isinstance(mapping, Mapping) or not mapping:
        raise FilterError(f"{what} must be a non-empty mapping, got {shown(mapping)}")
    for key in mapping:
        if not isinstance(key, str):
            raise FilterError(f"the keys of {what} must be strings, got {shown(key)}")
    return mapping


def _entry(key: str, condition: object, depth: int) -> Expression:
    match key.removeprefix("$"):
        case "not":
            return Not(_all(condition, depth + 1))
        case "and" | "or" as word:
            if not isinstance(condition, list | tuple):
                raise FilterError(f"{key!r} must have a list of mappings, got {shown(condition)}")
            join = all_of if word == "and" else any_of
            return join([_all(part, depth + 1) for part in condition])
    return _condition(parse_field(key), condition)


def _condition(field: Path, condition: object) -> Expression:
    name = format_field(field)
    if isinstance(condition, list | tuple):
        raise FilterError(
            f"{name} cannot be compared with a list: write {{'in': [...]}} to match any of its"
            " values"
        )
    if not isinstance(condition, Mapping):
        return _equal(field, condition)
    entries = _entries(condition, f"the condition on {name}")
    operators = {word.removeprefix("$"): value for word, value in entries.items()}
    if len(operators) < len(entries):
        raise FilterError(
            f"{name} has an operator both with and without $ ({', '.join(sorted(entries))}):"
            " leave one out"
        )
    if unknown := sorted(operators.keys() - _OPERATORS.keys() - _LOWER.keys() - _UPPER.keys()):
        known = ", ".join([*_LOWER, *_UPPER, *_OPERATORS])
        raise FilterError(f"the operator on {name} must be one of {known}, got {unknown[0]!r}")
    parts = [
        _OPERATORS[word](field, value) for word, value in operators.items() if word in _OPERATORS
    ]
    if not operators.keys() <= _OPERATORS.keys():
        parts.append(Range(field, _bound(name, operators, _LOWER), _bound(name, operators, _UPPER)))
    return all_of(parts)


def _bound(name: str, operators: Mapping[str, object], ends: Mapping[str, bool]) -> Bound | None:
    present = [word for word in ends if word in operators]
    if not present:
        return None
    if len(present) == 2:
        raise FilterError(f"{name} has both {present[0]!r} and {present[1]!r}: leave one out")
    word = present[0]
    return Bound(operators[word], ends[word])  # type: ignore[arg-type]  # Range checks it


def _one_of(field: Path, values: object) -> Expression:
    if not isinstance(values, list | tuple | set | frozenset):
        raise FilterError(
            f"'in' and 'nin' on {format_field(field)} need a list of values, got"
            f" {shown(values)}: write [{shown(values)}], or use 'eq' or 'ne' for one value"
        )
    return OneOf(field, tuple(values))


def _equal(field: Path, value: object) -> Expression:
    return OneOf(field, (value,))  # type: ignore[arg-type]  # OneOf checks it


def _exists(field: Path, exists: object) -> Expression:
    if not isinstance(exists, bool):
        raise FilterError(
            f"'exists' of {format_field(field)} must be True or False, got {shown(exists)}"
        )
    return Exists(field) if exists else Not(Exists(field))


_OPERATORS: Mapping[str, Callable[[Path, object], Expression]] = {
    "eq": _equal,
    "ne": lambda field, value: Not(_equal(field, value)),
    "in": _one_of,
    "nin": lambda field, values: Not(_one_of(field, values)),
    "exists": _exists,
}
