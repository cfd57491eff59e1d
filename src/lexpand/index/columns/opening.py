"""Opening of a column in a segment, with checks of every length, order and range."""

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
"""Returns the bytes of a section by its kind; None if there is none."""


def open_column(column_type: ColumnType, section: Sections, passages: int) -> Column:
    """Open the column in these sections. The arrays of the column are views, not copies.

    Args:
        column_type: the declared type.
        section: returns the bytes of a kind as uint8 [bytes], aligned to 8 bytes.
        passages: the number of passages in the segment, n.

    Raises:
        CorruptIndex: the sections are not a valid column of this type.
    """
    header = _view(section, HEADER, "<u4", 4)
    layout, count, strings = (int(number) for number in header[1:])
    type_number = TYPES[column_type]
    _require(
        header[0] == type_number,
        f"its type must be {type_number} ({column_type}), got {header[0]}",
    )
    _require(layout in (0, 1), f"its layout must be 0 or 1, got {layout}")
    starts = _open_starts(section, passages, count) if layout else None
    _require(
        layout == 1 or count == passages,
        f"it must have {passages} values, one per passage, got {count}",
    )
    values = _view(section, VALUES, DTYPES[column_type], count)
    opened = _open_strings(section, strings) if column_type is ColumnType.KEYWORD else ()
    _require(len(opened) == strings, "it has strings, but is not a keyword column")
    _check_values(column_type, values, strings)
    return Column(column_type, starts, values, opened)


def _open_starts(section: Sections, passages: int, count: int) -> NDArray[np.uint32]:
    starts = _view(section, STARTS, "<u4", passages + 1)
    _check_starts(starts, count, "values")
    return starts


def _open_strings(section: Sections, count: int) -> Sequence[str]:
    starts = _view(section, STRING_STARTS, "<u8", count + 1)
    text = section(STRINGS)
    raw = b"" if text is None else text.tobytes()
    _check_starts(starts, len(raw), "strings")
    try:
        strings = [raw[start:end].decode() for start, end in pairwise(starts.tolist())]
    except UnicodeDecodeError as error:
        raise _damage(f"a string is not UTF-8 ({error.reason})") from None
    _require(all(left < right for left, right in pairwise(strings)), "its strings must ascend")
    return strings


def _check_starts(starts: AnyArray, count: int, what: str) -> None:
    valid = starts[0] == 0 and starts[-1] == count and bool((starts[1:] >= starts[:-1]).all())
    _require(valid, f"the starts of its {what} must ascend from 0 to {count}")


def _check_values(column_type: ColumnType, values: AnyArray, strings: int) -> None:
    match column_type:
        case ColumnType.KEYWORD:
            _require(
                not values.size or int(values.max()) < strings,
                f"its values must be numbers of its {strings} strings",
            )
        case ColumnType.BOOLEAN:
            _require(not values.size or int(values.max()) <= 1, "its values must be 0 or 1")
        case ColumnType.NUMBER:
            _require(bool(np.isfinite(values).all()), "its values must be finite")


def _view(section: Sections, kind: int, dtype: DTypeLike, count: int) -> AnyArray:
    raw = section(kind)
    size = count * np.dtype(dtype).itemsize
    found = "none" if raw is None else f"{raw.size} bytes"
    _require(
        raw is not None and raw.size == size, f"section {kind} must have {size} bytes, got {found}"
    )
    assert raw is not None
    return raw.view(dtype)


def _require(holds: bool | np.bool_, fault: str) -> None:
    if not holds:
        raise _damage(fault)


def _damage(fault: str) -> CorruptIndex:
    return CorruptIndex(
        f"a column is damaged ({fault}): restore the index from a copy, or index again"
    )
