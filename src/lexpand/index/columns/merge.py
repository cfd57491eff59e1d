"""Merging of columns, when their segments are merged or reordered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand.data.vector_checks import AnyArray
from lexpand.index.columns.layout import DTYPES, Column, sections, starts_of
from lexpand.index.columns.types import ColumnType


def merge_columns(
    columns: Sequence[Column], order: Sequence[tuple[int, NDArray[np.integer]]]
) -> list[tuple[int, bytes]]:
    """Return the sections of a column that is made of passages of other columns.

    Args:
        columns: the source columns, at least one, all of one type.
        order: the pieces of the new column: the number of a source, and ordinals of its passages.

    Raises:
        DataError: there are 2^32 values or more.
    """
    column_type = columns[0].type
    strings = sorted(set().union(*(column.strings for column in columns)))
    pieces = [_take(columns[source], np.asarray(ordinals, np.int64)) for source, ordinals in order]
    lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for lengths, _ in pieces)])
    values = [values for _, values in pieces]
    if column_type is ColumnType.KEYWORD:
        codes = [_codes_in(strings, column.strings) for column in columns]
        values = [codes[source][piece] for (source, _), piece in zip(order, values, strict=True)]
    joined = np.concatenate([np.zeros(0, DTYPES[column_type]), *values])
    if column_type is ColumnType.KEYWORD:
        strings, joined = _without_unused(strings, joined)
    return sections(Column(column_type, starts_of(lengths), joined, strings))


def _take(column: Column, ordinals: NDArray[np.int64]) -> tuple[NDArray[np.int64], AnyArray]:
    """Return the number of values of each of these passages, and the values."""
    if column.starts is None:
        return np.ones(len(ordinals), np.int64), column.values[ordinals]
    starts = column.starts.astype(np.int64)
    lengths = np.diff(starts)[ordinals]
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        starts[ordinals] - ends + lengths, lengths
    )
    return lengths, column.values[places]


def _codes_in(all_strings: Sequence[str], strings: Sequence[str]) -> NDArray[np.uint32]:
    places = {string: code for code, string in enumerate(all_strings)}
    return np.array([places[string] for string in strings], np.uint32)


def _without_unused(
    strings: Sequence[str], codes: NDArray[np.uint32]
) -> tuple[list[str], NDArray[np.uint32]]:
    """Return the strings that occur, and the codes in them; deleted documents leave no strings."""
    used = np.zeros(len(strings), np.bool_)
    used[codes] = True
    renumbered = (np.cumsum(used) - 1).astype(np.uint32)
    kept = [string for string, is_used in zip(strings, used.tolist(), strict=True) if is_used]
    return kept, renumbered[codes]
