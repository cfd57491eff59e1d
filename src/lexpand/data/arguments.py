"""Checks of numbers that callers pass."""

from __future__ import annotations

import operator
from numbers import Real

from lexpand.data.documents import shown
from lexpand.errors import DataError


def check_integer(value: object, name: str, least: int) -> None:
    """Check that a value is an integer of at least ``least``; integers of NumPy are allowed.

    Raises:
        DataError: it is not.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise DataError(
            f"{name} must be an integer >= {least}, got {shown(value)}: pass an integer, such as"
            f" {name}={max(least, 1)}"
        )
    if number < least:
        raise DataError(f"{name} must be >= {least}, got {value}")


def check_number(value: object, name: str) -> None:
    """Check that a value is a number; numbers of NumPy are allowed.

    Raises:
        DataError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(
            f"{name} must be a number, got {shown(value)}: pass a number, such as {name}=0.5"
        )
