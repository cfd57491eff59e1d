"""The values of filters (booleans, numbers and strings), and the metadata values they match."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeAlias

from lexpand.data.documents import JsonValue, check_text, shown
from lexpand.errors import DataError, FilterError
from lexpand.index.filters.names import Path, quote

Scalar: TypeAlias = bool | int | float | str

INTEGER_BITS = 14_000
"""The largest size of an integer in bits, as in metadata. Python prints at most 4,300 digits."""


def kind_of(value: object) -> str | None:
    """Return the kind within which values compare: ``boolean``, ``number`` or ``string``.

    The kind of null, lists and objects is None.
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else None


def check_value(value: object, name: str) -> Scalar:
    """Return a value in its canonical form.

    A whole float becomes an integer, and an enum becomes its value.

    Args:
        value: a boolean, an integer of at most 14,000 bits, a finite float or a string.
        name: the field, for messages.

    Raises:
        FilterError: the value is something else.
    """
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= INTEGER_BITS:
        return int(value)
    if isinstance(value, str):
        return _check_string(str.__str__(value), name)
    if value is None:
        raise FilterError(
            f"{name} is compared with null, which nothing equals: use not exists instead"
        )
    raise FilterError(
        f"{name} must be compared with a boolean, a finite number or a string, got {shown(value)}"
    )


def _check_string(value: str, name: str) -> str:
    try:
        return check_text(value, f"the string that {name} is compared with")
    except DataError as error:
        raise FilterError(str(error)) from None


def format_value(value: Scalar) -> str:
    """Return the value as it is written in a filter text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def group_key(value: JsonValue) -> Hashable:
    """Return a key that is equal for exactly those values that are equal in filters.

    The keys of 1 and 1.0 are equal, as are those of 0 and -0.0. The keys of ``true``, 1 and ``"1"``
    differ. Lists and objects are compared by their elements.
    """
    if isinstance(value, Mapping):
        return "object", frozenset((key, group_key(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(group_key(inner) for inner in value)
    return kind_of(value), value


def values_at(metadata: Mapping[str, JsonValue], path: Path) -> list[JsonValue]:
    """Return the values at a path of metadata, without null: the elements of a list, or one value.

    A path selects fields of objects. It does not select from the elements of a list.
    """
    node: JsonValue = metadata
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return []
        node = node[key]
    values = node if isinstance(node, list | tuple) else [node]
    return [value for value in values if value is not None]
