"""The metadata fields of documents, with their types and frequent values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lexpand.data import JsonValue
from lexpand.index.filters.names import Path, format_field

_VALUES_LISTED = 5
"""The number of frequent values that are listed per field."""

# The number of distinct values that are counted per field. A field with more of them, such as a
# path, has no frequent values to list.
_VALUES_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A metadata field.

    Attributes:
        name: the name, as a filter writes it.
        types: the types of its values, most frequent first: ``string``, ``integer``, ``number``,
            ``boolean``, ``list``, ``object``, ``null``.
        documents: the number of documents with the field.
        values: frequent values with their numbers of documents; empty if most values differ.
        column: whether the field is a column.
    """

    name: str
    types: tuple[str, ...]
    documents: int
    values: tuple[tuple[str, int], ...]
    column: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the field as values that JSON can hold."""
        return asdict(self)


@dataclass(slots=True)
class _Counts:
    documents: int = 0
    types: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)


def fields_in(
    metadata: Iterable[Mapping[str, JsonValue]], columns: Iterable[str]
) -> list[FieldInfo]:
    """Return the fields in the metadata of documents, most frequent first."""
    counts: dict[Path, _Counts] = {}
    for document in metadata:
        for path, value in _leaves(document, ()):
            field_counts = counts.setdefault(path, _Counts())
            field_counts.documents += 1
            is_list = isinstance(value, list | tuple)
            for element in value if isinstance(value, list | tuple) else [value]:
                field_counts.types["list" if is_list else _type_of(element)] += 1
                if len(field_counts.values) <= _VALUES_COUNTED:
                    text = element if isinstance(element, str) else json.dumps(element)
                    field_counts.values[text] += 1
    declared = set(columns)
    infos = [_info(format_field(path), each, declared) for path, each in counts.items()]
    return sorted(infos, key=lambda info: (-info.documents, info.name))


def _info(name: str, counts: _Counts, declared: set[str]) -> FieldInfo:
    repeated = len(counts.values) <= _VALUES_COUNTED and len(counts.values) < counts.documents
    values = tuple(counts.values.most_common(_VALUES_LISTED)) if repeated else ()
    types = tuple(kind for kind, _ in counts.types.most_common())
    return FieldInfo(name, types, counts.documents, values, name in declared)


def _leaves(value: Mapping[str, JsonValue], path: Path) -> Iterator[tuple[Path, JsonValue]]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _leaves(each, (*path, key))
        else:
            yield (*path, key), each


def _type_of(value: JsonValue) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")
