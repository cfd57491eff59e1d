"""Parse the text cells of declared columns as numbers and booleans."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping

from lexpand.data.documents import JsonValue
from lexpand.errors import DataError

_WHOLE = re.compile(r"([+-]?[0-9]{1,19})(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_INT64 = range(-(2**63), 2**63)

# The range in which float64 represents every integer.
_EXACT = range(-(2**53), 2**53 + 1)


def check_types(columns: Mapping[str, str]) -> None:
    """Check that every declared type is known.

    Raises:
        DataError: a type is unknown.
    """
    for name, type_name in columns.items():
        if type_name not in _PARSERS:
            known = ", ".join(_PARSERS)
            raise DataError(
                f"the type of column {name!r} must be one of {known}, got {type_name!r}"
            )


def parse_cell(name: str, type_name: str, cell: str) -> JsonValue:
    """Return the value of a cell; None if the cell is empty.

    Args:
        name: the name of the column, for the message.
        type_name: ``integer``, ``number``, ``boolean`` or ``keyword``.
        cell: the text; white space around a number or boolean is dropped.

    Raises:
        DataError: the cell cannot be parsed as the type.
    """
    text = cell.strip()
    if not text:
        return None
    parse, expected = _PARSERS[type_name]
    value = parse(text)
    if value is None:
        raise DataError(
            f"column {name!r} must be {expected}, got {reprlib.repr(cell)}; "
            "correct the cell, or declare another type"
        )
    return cell if type_name == "keyword" else value


def _integer(text: str) -> int | None:
    whole = _WHOLE.fullmatch(text)
    value = int(whole[1]) if whole else None
    return value if value is not None and value in _INT64 else None


def _number(text: str) -> float | None:
    whole = _integer(text)
    if whole is not None and whole in _EXACT:
        return whole
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


_PARSERS: dict[str, tuple[Callable[[str], JsonValue], str]] = {
    "integer": (_integer, "a whole number from -2^63 to 2^63 - 1"),
    "number": (_number, "a number such as 3, -0.5 or 1e6"),
    "keyword": (str, "a text"),
    "boolean": (_boolean, "true, false, yes, no, 1 or 0"),
}
