"""Which passages of a segment match a filter? Declared fields of metadata, as typed arrays beside the postings.

`encode_column` writes a column, `open_column` checks it, `merge_columns` makes one of several,
`evaluate` answers.

The room is not for fields that nobody declared: `lexpand.index.filters` finds those by SQL.
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
