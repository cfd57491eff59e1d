"""A filter over a segment: declared fields by its columns, the others by the rows that SQL finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.index.columns.layout import Column
from lexpand.index.columns.match import Mask, match_column
from lexpand.index.filters import And, Condition, Expression, Not, Or, all_of, any_of

ColumnOf: TypeAlias = Callable[[str], Column | None]
"""The column of a field by its canonical name; None where none is declared."""

RowsOf: TypeAlias = Callable[[Expression], NDArray[np.uint32]]
"""The rows of the documents that match, ascending; asked with the same expressions for every segment."""


def evaluate(
    expression: Expression, column_of: ColumnOf, rows: NDArray[np.uint32], rows_by_sql: RowsOf
) -> Mask:
    """Whether each passage of a segment matches.

    Parts without a declared field are asked of SQL whole, and those of one `and` or `or` together.

    Args:
        expression: the filter, which `check_filter` accepts.
        column_of: the segment's column of a field.
        rows: uint32 [passages], the row of each passage's document.
        rows_by_sql: never called where every field is declared.

    Returns:
        bool [passages].
    """
    if not _is_declared(expression, column_of):
        return _among(rows, rows_by_sql(expression))
    if isinstance(expression, Not):
        return ~evaluate(expression.part, column_of, rows, rows_by_sql)
    if isinstance(expression, And | Or):
        masks = [
            evaluate(part, column_of, rows, rows_by_sql) for part in _grouped(expression, column_of)
        ]
        return (np.logical_and if isinstance(expression, And) else np.logical_or).reduce(masks)  # type: ignore[no-any-return]
    assert isinstance(expression, Condition)
    column = column_of(expression.name)
    assert column is not None
    return match_column(column, expression, len(rows))


def _is_declared(expression: Expression, column_of: ColumnOf) -> bool:
    """Whether any of its fields is a column."""
    return any(column_of(condition.name) is not None for condition in expression.conditions)


def _grouped(expression: And | Or, column_of: ColumnOf) -> list[Expression]:
    """The parts with a declared field, and the others as one."""
    declared: list[Expression] = []
    others: list[Expression] = []
    for part in expression.parts:
        (declared if _is_declared(part, column_of) else others).append(part)
    join = all_of if isinstance(expression, And) else any_of
    return [*declared, join(others)] if others else declared


def _among(rows: NDArray[np.uint32], wanted: NDArray[np.uint32]) -> Mask:
    """Whether each row is a wanted one; by a table over the rows from the least to the greatest."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    first, last = rows.min(), rows.max()
    near = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last, side="right")]
    table = np.zeros(int(last) - int(first) + 1, np.bool_)
    table[near - first] = True
    found: Mask = table[rows - first]
    return found
