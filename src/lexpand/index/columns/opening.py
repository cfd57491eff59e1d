"""A column of a segment, opened: every length, order and range is checked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lexpand.data.vector_checks import AnyArray
from lexpand.errors import CorruptIndex
from lexpand.index.columns.layout import (
    DTYPES,
    HEADER,
    STARTS,
    STRING_STARTS,
    STRINGS,
    TYPES,
    VALUES,
    Column,
)
from lexpand.index.columns.types import ColumnType

Sections: TypeAlias = Callable[[int], NDArray[np.uint8] | None]
"""The bytes of a section by its kind; None where there is none."""


def open_column(column_type: ColumnType, section: Sections, passages: int) -> Column:
    """The column that lies in these sections. Column are views of them, not copies.

    Args:
        column_type: the type that was declared.
        section: uint8 [bytes] of a kind; aligned to 8 bytes.
        passages: of the segment, n.

    Raises:
        CorruptIndex: the sections are no such column.
    """
    header = _view(section, HEADER, "<u4", 4)
    layout, count, strings = (int(number) for number in header[1:])
    _require(header[0] == TYPES[column_type], f"its type is number {header[0]}, not {column_type}")
    _require(layout in (0, 1), f"its layout is {layout}")
    starts = _open_starts(section, passages, count) if layout else None
    _require(layout == 1 or count == passages, f"it has {count} values for {passages} passages")
    values = _view(section, VALUES, DTYPES[column_type], count)
    opened = _open_strings(section, strings) if column_type is ColumnType.KEYWORD else ()
    _require(len(opened) == strings, "it has strings, and is no keyword column")
    _check_values(column_type, values, strings)
    return Column(column_type, starts, values, opened)


def _open_starts(section: Sections, passages: int, count: int) -> NDArray[np.uint32]:
    starts = _view(section, STARTS, "<u4", passages + 1)
    _check_starts(starts, count, "values")
    return starts


def _open_strings(section: Sections, count: int) -> Sequence[str]:
    ends = _view(section, STRING_STARTS, "<u8", count + 1)
    text = section(STRINGS)
    raw = b"" if text is None else text.tobytes()
    _check_starts(ends, len(raw), "strings")
    try:
        strings = [raw[start:end].decode() for start, end in pairwise(ends.tolist())]
    except UnicodeDecodeError as error:
        raise CorruptIndex(f"a column is damaged: a string is not UTF-8 ({error.reason})") from None
    _require(all(left < right for left, right in pairwise(strings)), "its strings do not ascend")
    return strings


def _check_starts(starts: AnyArray, count: int, what: str) -> None:
    whole = starts[0] == 0 and starts[-1] == count and bool((starts[1:] >= starts[:-1]).all())
    _require(whole, f"the places of its {what} do not run from 0 to {count}")


def _check_values(column_type: ColumnType, values: AnyArray, strings: int) -> None:
    match column_type:
        case ColumnType.KEYWORD:
            _require(
                not values.size or int(values.max()) < strings,
                f"a value is past its {strings} strings",
            )
        case ColumnType.BOOLEAN:
            _require(not values.size or int(values.max()) <= 1, "a value is neither 0 nor 1")
        case ColumnType.NUMBER:
            _require(bool(np.isfinite(values).all()), "a value is not finite")


def _view(section: Sections, kind: int, dtype: DTypeLike, count: int) -> AnyArray:
    raw = section(kind)
    size = count * np.dtype(dtype).itemsize
    _require(raw is not None and raw.size == size, f"section {kind} has not {size} bytes")
    assert raw is not None
    return raw.view(dtype)


def _require(holds: bool | np.bool_, fault: str) -> None:
    if not holds:
        raise CorruptIndex(
            f"a column is damaged: {fault}; restore the index from a copy, or index again"
        )
