"""A filter from a Python mapping: ``{"year": {"gte": 2020}, "or": [{"lang": "en"}, {"lang": "fr"}]}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from lexpand.index.filters.values import shown

_LOWER = {"gt": False, "gte": True}
_UPPER = {"lt": False, "lte": True}


def parse_mapping(given: Mapping[str, object]) -> Expression:
    """The filter that a mapping says; docs/filters.md has the operators. A ``$`` before one is allowed.

    Raises:
        FilterError: it has an unknown operator, a value of a wrong type, is empty or nested too
            deep.
    """
    return _all(given, 0)


def _all(given: object, depth: int) -> Expression:
    if depth > DEPTH:
        raise FilterError(f"a filter is nested deeper than {DEPTH} levels: flatten it")
    entries = _entries(given, "a filter").items()
    return all_of([_entry(key, condition, depth) for key, condition in entries])


def _entries(given: object, what: str) -> Mapping[str, object]:
    if not isinstance(given, Mapping) or not given:
        raise FilterError(f"{what} is {shown(given)}: it must be a mapping that is not empty")
    for key in given:
        if not isinstance(key, str):
            raise FilterError(f"{what} has the key {shown(key)}: keys must be strings")
    return given


def _entry(key: str, condition: object, depth: int) -> Expression:
    match key.removeprefix("$"):
        case "not":
            return Not(_all(condition, depth + 1))
        case "and" | "or" as word:
            if not isinstance(condition, list | tuple):
                raise FilterError(
                    f"{key!r} has {shown(condition)}: it must have a list of mappings"
                )
            join = all_of if word == "and" else any_of
            return join([_all(part, depth + 1) for part in condition])
    return _condition(parse_field(key), condition)


def _condition(field: Path, condition: object) -> Expression:
    name = format_field(field)
    if isinstance(condition, list | tuple):
        raise FilterError(
            f"{name} is compared with a list: write {{'in': [...]}} for any of its values"
        )
    if not isinstance(condition, Mapping):
        return _equal(field, condition)
    entries = _entries(condition, f"the condition on {name}")
    asked = {word.removeprefix("$"): value for word, value in entries.items()}
    if len(asked) < len(entries):
        raise FilterError(
            f"{name} has an operator both with and without $: {', '.join(sorted(entries))}"
        )
    if unknown := sorted(asked.keys() - _OPERATORS.keys() - _LOWER.keys() - _UPPER.keys()):
        known = ", ".join([*_LOWER, *_UPPER, *_OPERATORS])
        raise FilterError(f"{name} has the operator {unknown[0]!r}: the operators are {known}")
    parts = [_OPERATORS[word](field, value) for word, value in asked.items() if word in _OPERATORS]
    if not asked.keys() <= _OPERATORS.keys():
        parts.append(Range(field, _bound(name, asked, _LOWER), _bound(name, asked, _UPPER)))
    return all_of(parts)


def _bound(name: str, asked: Mapping[str, object], signs: Mapping[str, bool]) -> Bound | None:
    there = [word for word in signs if word in asked]
    if len(there) == 2:
        raise FilterError(f"{name} has both {there[0]!r} and {there[1]!r}: one of them says it")
    return Bound(asked[there[0]], signs[there[0]]) if there else None  # type: ignore[arg-type]  # Range checks it


def _one_of(field: Path, values: object) -> Expression:
    if not isinstance(values, list | tuple | set | frozenset):
        raise FilterError(
            f"{format_field(field)} is in {shown(values)}: it must be a list of values"
        )
    return OneOf(field, tuple(values))


def _equal(field: Path, value: object) -> Expression:
    return OneOf(field, (value,))  # type: ignore[arg-type]  # OneOf checks it


def _exists(field: Path, wanted: object) -> Expression:
    if not isinstance(wanted, bool):
        raise FilterError(
            f"{format_field(field)} exists: {shown(wanted)}: it must be True or False"
        )
    return Exists(field) if wanted else Not(Exists(field))


_OPERATORS: Mapping[str, Callable[[Path, object], Expression]] = {
    "eq": _equal,
    "ne": lambda field, value: Not(_equal(field, value)),
    "in": _one_of,
    "nin": lambda field, values: Not(_one_of(field, values)),
    "exists": _exists,
}
