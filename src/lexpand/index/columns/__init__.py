"""Columns: declared metadata fields, stored as typed arrays in a segment for fast filters.

`encode_column` writes a column, `open_column` checks it, `merge_columns` merges columns, and
`evaluate` returns the passages of a segment that match a filter.

Fields that are not declared have no columns: `lexpand.index.filters` finds their documents by SQL.
"""

from lexpand.index.columns.layout import Column, encode_column
from lexpand.index.columns.mask import evaluate
from lexpand.index.columns.merge import merge_columns
from lexpand.index.columns.opening import open_column
from lexpand.index.columns.types import (
    ColumnType,
    check_columns,
    check_filter,
    check_metadata,
    column_values,
)

__all__ = [
    "Column",
    "ColumnType",
    "check_columns",
    "check_filter",
    "check_metadata",
    "column_values",
    "encode_column",
    "evaluate",
    "merge_columns",
    "open_column",
]
