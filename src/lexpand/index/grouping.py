"""What group is a unit's document in, by a field of its metadata?"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence

from lexpand.data import JsonValue
from lexpand.index.catalogue import Catalogue
from lexpand.index.filters import parse_field
from lexpand.index.snapshot import Unit


def group_key(catalogue: Catalogue, field: str) -> Callable[[Sequence[Unit]], Sequence[Hashable]]:
    """The group of each unit: its document's value of ``field`` (dots reach into objects), or its row without one.

    Raises:
        FilterError: ``field`` is no name of a field.
    """
    path = parse_field(field)

    def groups(units: Sequence[Unit]) -> Sequence[Hashable]:
        documents = catalogue.documents(sorted({row for _, row, _, _ in units}))
        values = {row: _value(document.metadata, path) for row, document in documents.items()}
        return [row if values[row] is None else json.dumps(values[row]) for _, row, _, _ in units]

    return groups


def _value(metadata: Mapping[str, JsonValue], path: Sequence[str]) -> JsonValue:
    value: JsonValue = metadata
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
