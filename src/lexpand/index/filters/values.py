"""What a filter compares with: booleans, numbers and strings, and the metadata that they meet."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable, Mapping
from typing import TypeAlias

from lexpand.data.documents import JsonValue, check_text
from lexpand.errors import DataError, FilterError
from lexpand.index.filters.names import Path, quote

Scalar: TypeAlias = bool | int | float | str

INTEGER_BITS = 14_000
"""The largest integer, as in metadata: Python prints no larger one."""


def kind_of(value: object) -> str | None:
    """``boolean``, ``number`` or ``string``, within which values compare; None for null, lists and objects."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else None


def check_value(value: object, name: str) -> Scalar:
    """Returns a value to compare with; a float that is whole becomes the integer that it equals, an enum its value.

    Args:
        value: a boolean, an integer of at most 14,000 bits, a finite float or a string.
        name: the field, for the message.

    Raises:
        FilterError: it is something else.
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
        raise FilterError(f"{name} is compared with null, which nothing equals: ask for not exists")
    raise FilterError(
        f"{name} is compared with {shown(value)}: a value is a boolean, a finite number or a string"
    )


def shown(value: object) -> str:
    """A value for a message: its beginning, and its type."""
    try:
        return f"{reprlib.repr(value)} ({type(value).__name__})"
    except ValueError:  # an integer of more digits than Python prints
        return f"of type {type(value).__name__}, too large to show"


def _check_string(value: str, name: str) -> str:
    try:
        return check_text(value, f"what {name} is compared with")
    except DataError as error:
        raise FilterError(str(error)) from None


def format_value(value: Scalar) -> str:
    """The value as a filter's text writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def group_key(value: JsonValue) -> Hashable:
    """What is equal for two values that filters hold to be equal, and differs for any others.

    So 1 and 1.0 are one, as are 0 and -0.0; ``true``, 1 and ``"1"`` are three. Lists and objects
    are equal if what they hold is.
    """
    if isinstance(value, Mapping):
        return "object", frozenset((key, group_key(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(group_key(inner) for inner in value)
    return kind_of(value), value


def values_at(metadata: Mapping[str, JsonValue], path: Path) -> list[JsonValue]:
    """What metadata holds at a path: the elements of a list, or the one value; without null.

    Keys lead through objects only: nothing lies below a list.
    """
    node: JsonValue = metadata
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return []
        node = node[key]
    found = node if isinstance(node, list | tuple) else [node]
    return [value for value in found if value is not None]
