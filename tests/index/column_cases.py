"""Columns that are encoded from lists and read back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lexpand import Document
from lexpand.index.columns import Column, ColumnType, column_values, encode_column, open_column

HELD: dict[ColumnType, st.SearchStrategy[Any]] = {
    ColumnType.INTEGER: st.integers(-3, 3)
    | st.sampled_from([-(2**63), 2**63 - 1, 2**53, 2**53 + 1, 2.0, -0.0, float(-(2**63))])
    | st.integers(-(2**63), 2**63 - 1),
    ColumnType.NUMBER: st.sampled_from(
        [0, 1, 2**53, 2**63, 0.1, -0.0, 5e-324, 1.7976931348623157e308]
    )
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False),
    ColumnType.KEYWORD: st.sampled_from(["", "a", "b", "B", "\U0001f600", "\uffff", "a\0"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    ColumnType.BOOLEAN: st.booleans(),
}


def documents_of(name: str, values: Sequence[Any]) -> list[Document]:
    return [Document(f"d{i}", "text", metadata={name: value}) for i, value in enumerate(values)]


def sections_of(column_type: ColumnType, values: Sequence[Any]) -> dict[int, bytes]:
    documents = documents_of("a", values)
    return dict(
        encode_column(
            column_type, [column_values("a", column_type, document) for document in documents]
        )
    )


def opened(column_type: ColumnType, sections: Mapping[int, bytes], passages: int) -> Column:
    arrays = {kind: np.frombuffer(raw, np.uint8) for kind, raw in sections.items()}
    return open_column(column_type, arrays.get, passages)


def column_of(column_type: ColumnType, values: Sequence[Any]) -> Column:
    return opened(column_type, sections_of(column_type, values), len(values))


def values_in(column: Column, passages: int) -> list[list[Any]]:
    """Return the values of each passage."""
    flat = column.values.tolist()
    if column.type is ColumnType.KEYWORD:
        flat = [column.strings[code] for code in flat]
    if column.type is ColumnType.BOOLEAN:
        flat = [bool(value) for value in flat]
    starts = range(passages + 1) if column.starts is None else column.starts.tolist()
    return [flat[starts[passage] : starts[passage + 1]] for passage in range(passages)]
