"""How a column lies in a segment: its sections, written from arrays. "Columns" in docs/format.md specifies it."""

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
"""The kinds of section."""

TYPES = {ColumnType.INTEGER: 1, ColumnType.NUMBER: 2, ColumnType.KEYWORD: 3, ColumnType.BOOLEAN: 4}
"""Each type's number in the header."""

DTYPES: dict[ColumnType, np.dtype[np.generic]] = {
    ColumnType.INTEGER: np.dtype("<i8"),
    ColumnType.NUMBER: np.dtype("<f8"),
    ColumnType.KEYWORD: np.dtype("<u4"),
    ColumnType.BOOLEAN: np.dtype("u1"),
}
"""What a value is in the section of values; a keyword is the number of its string."""

VALUES_LIMIT = 2**32 - 1
"""The most values of a column in a segment."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's content.

    Attributes:
        type: its type.
        starts: uint32 [n + 1]: where each passage's values begin; None where each passage has exactly
            one.
        values: [nnz], of the type's dtype.
        strings: of a keyword column, ascending, each once; values are places in it.
    """

    type: ColumnType
    starts: NDArray[np.uint32] | None
    values: AnyArray
    strings: Sequence[str] = ()


def encode_column(
    column_type: ColumnType, values: Sequence[Sequence[Scalar]]
) -> list[tuple[int, bytes]]:
    """The sections of a column.

    Args:
        column_type: its type.
        values: of each passage its values, from `column_values`.

    Returns:
        Kind and bytes of each section, the kinds ascending.

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
    """Where each passage's values begin; None where each passage has exactly one.

    Raises:
        DataError: there are 2^32 values or more.
    """
    if (lengths == 1).all():
        return None
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if starts[-1] > VALUES_LIMIT:
        raise DataError(
            f"a column has {starts[-1]} values in one commit; the limit is {VALUES_LIMIT}: commit earlier"
        )
    return starts.astype(np.uint32)


def sections(arrays: Column) -> list[tuple[int, bytes]]:
    """Kind and bytes of each section, the kinds ascending."""
    header = [
        TYPES[arrays.type],
        int(arrays.starts is not None),
        len(arrays.values),
        len(arrays.strings),
    ]
    found = [(HEADER, np.array(header, "<u4").tobytes())]
    if arrays.starts is not None:
        found.append((STARTS, arrays.starts.astype("<u4").tobytes()))
    found.append((VALUES, arrays.values.astype(DTYPES[arrays.type]).tobytes()))
    if arrays.type is ColumnType.KEYWORD:
        encoded = [string.encode() for string in arrays.strings]
        ends = np.cumsum([0, *map(len, encoded)], dtype="<u8")
        found += [(STRING_STARTS, ends.tobytes()), (STRINGS, b"".join(encoded))]
    return found
