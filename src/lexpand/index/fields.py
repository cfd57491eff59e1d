"""Which metadata fields do documents have, of which types, with which values?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lexpand.data import JsonValue
from lexpand.index.filters.names import Path, format_field

_VALUES = 5
"""Frequent values that are listed of a field."""

# Distinct values that are counted of a field; one with more, such as a path, has no frequent ones
# to list.
_MOST_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A metadata field.

    Attributes:
        name: as a filter writes it.
        types: of its values: ``string``, ``integer``, ``number``, ``boolean``, ``list``, ``null``.
        documents: how many have it.
        values: frequent values with the number of documents that have each; empty where most
            differ.
        column: whether it is a declared column.
    """

    name: str
    types: tuple[str, ...]
    documents: int
    values: tuple[tuple[str, int], ...]
    column: bool

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)


@dataclass(slots=True)
class _Seen:
    documents: int = 0
    types: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)


def fields_in(
    metadata: Iterable[Mapping[str, JsonValue]], columns: Iterable[str]
) -> list[FieldInfo]:
    """The fields of documents, given by their metadata, most frequent first."""
    seen: dict[Path, _Seen] = {}
    for each in metadata:
        for path, value in _leaves(each, ()):
            known = seen.setdefault(path, _Seen())
            known.documents += 1
            for one in value if isinstance(value, list | tuple) else [value]:
                known.types["list" if isinstance(value, list | tuple) else _type_of(one)] += 1
                if len(known.values) <= _MOST_VALUES:
                    known.values[one if isinstance(one, str) else json.dumps(one)] += 1
    declared = set(columns)
    found = [_info(format_field(path), known, declared) for path, known in seen.items()]
    return sorted(found, key=lambda info: (-info.documents, info.name))


def _info(name: str, known: _Seen, declared: set[str]) -> FieldInfo:
    repeated = len(known.values) <= _MOST_VALUES and len(known.values) < known.documents
    values = tuple(known.values.most_common(_VALUES)) if repeated else ()
    types = tuple(kind for kind, _ in known.types.most_common())
    return FieldInfo(name, types, known.documents, values, name in declared)


def _leaves(value: Mapping[str, JsonValue], path: Path) -> Iterator[tuple[Path, JsonValue]]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _leaves(each, (*path, key))
        else:
            yield (*path, key), each


def _type_of(value: JsonValue) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")
