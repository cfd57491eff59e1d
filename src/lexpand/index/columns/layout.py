"""The layout of a column in a segment; the section "Columns" of docs/format.md specifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lexpand.data.vector_checks import AnyArray
from lexpand.errors import DataError
from lexpand.index.columns.types import ColumnType
from lexpand.index.filters.values import Scalar

HEADER, STARTS, VALUES, STRING_STARTS, STRINGS = range(80, 85)
"""The section kinds."""

TYPES = {ColumnType.INTEGER: 1, ColumnType.NUMBER: 2, ColumnType.KEYWORD: 3, ColumnType.BOOLEAN: 4}
"""The number of each type in the header."""

DTYPES: dict[ColumnType, np.dtype[np.generic]] = {
    ColumnType.INTEGER: np.dtype("<i8"),
    ColumnType.NUMBER: np.dtype("<f8"),
    ColumnType.KEYWORD: np.dtype("<u4"),
    ColumnType.BOOLEAN: np.dtype("u1"),
}
"""The dtype of the stored values of each type; a keyword is stored as the number of its string."""

VALUES_LIMIT = 2**32 - 1
"""The largest number of values of a column in a segment."""


@dataclass(frozen=True, slots=True)
class Column:
    """The content of a column.

    Attributes:
        type: the type.
        starts: uint32 [n + 1], the start of each passage's values; None if each passage has exactly
            one value.
        values: [nnz], in the dtype of the type.
        strings: the distinct strings of a keyword column, ascending; the values are positions in
            it.
    """

    type: ColumnType
    starts: NDArray[np.uint32] | None
    values: AnyArray
    strings: Sequence[str] = ()


def encode_column(
    column_type: ColumnType, values: Sequence[Sequence[Scalar]]
) -> list[tuple[int, bytes]]:
    """Encode a column as sections.

    Args:
        column_type: the type.
        values: the values of each passage, from `column_values`.

    Returns:
        The kind and bytes of each section, in ascending order of kinds.

    Raises:
        DataError: there are 2^32 values or more.
    """
    flat: list[Scalar] = list(chain.from_iterable(values))
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    strings: list[str] = []
    if column_type is ColumnType.KEYWORD:
        strings = sorted(set(flat))  # type: ignore[arg-type]
        codes = {string: code for code, string in enumerate(strings)}
        flat = [codes[string] for string in flat]  # type: ignore[index]
    array = np.array(flat, DTYPES[column_type])
    return sections(Column(column_type, starts_of(lengths), array, strings))


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.uint32] | None:
    """Return the start of each passage's values; None if each passage has exactly one value.

    Raises:
        DataError: there are 2^32 values or more.
    """
    if (lengths == 1).all():
        return None
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if starts[-1] > VALUES_LIMIT:
        raise DataError(
            f"a column must have at most {VALUES_LIMIT} values per segment, got {starts[-1]}:"
            " commit more often"
        )
    return starts.astype(np.uint32)


def sections(column: Column) -> list[tuple[int, bytes]]:
    """Return the kind and bytes of each section, in ascending order of kinds."""
    header = [
        TYPES[column.type],
        int(column.starts is not None),
        len(column.values),
        len(column.strings),
    ]
    encoded = [(HEADER, np.array(header, "<u4").tobytes())]
    if column.starts is not None:
        encoded.append((STARTS, column.starts.astype("<u4").tobytes()))
    encoded.append((VALUES, column.values.astype(DTYPES[column.type]).tobytes()))
    if column.type is ColumnType.KEYWORD:
        strings = [string.encode() for string in column.strings]
        starts = np.cumsum([0, *map(len, strings)], dtype="<u8")
        encoded += [(STRING_STARTS, starts.tobytes()), (STRINGS, b"".join(strings))]
    return encoded
