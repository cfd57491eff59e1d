"""Evaluation of a filter over a segment: columns for declared fields, SQL for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.index.columns.layout import Column
from lexpand.index.columns.match import Mask, match_column
from lexpand.index.filters import And, Condition, Expression, Not, Or, all_of, any_of

ColumnOf: TypeAlias = Callable[[str], Column | None]
"""Returns the column of a field by its canonical name; None if the field is not declared."""

RowsBySql: TypeAlias = Callable[[Expression], NDArray[np.uint32]]
"""Returns the rows of matching documents, ascending; called with equal arguments per segment."""


def evaluate(
    expression: Expression, column_of: ColumnOf, rows: NDArray[np.uint32], rows_by_sql: RowsBySql
) -> Mask:
    """Return whether each passage of a segment matches, bool [passages].

    A part without declared fields is one SQL query. Such parts of one `and` or `or` are joined into
    one query.

    Args:
        expression: the filter, which `check_filter` accepts.
        column_of: returns the segment's column of a field.
        rows: uint32 [passages], the row of each passage's document.
        rows_by_sql: returns matching rows by SQL; not called if every field is declared.
    """
    if not _has_column(expression, column_of):
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


def _has_column(expression: Expression, column_of: ColumnOf) -> bool:
    """Return whether any field of the expression is a column."""
    return any(column_of(condition.name) is not None for condition in expression.conditions)


def _grouped(expression: And | Or, column_of: ColumnOf) -> list[Expression]:
    """Return the parts with a declared field, and the others joined into one."""
    declared: list[Expression] = []
    others: list[Expression] = []
    for part in expression.parts:
        (declared if _has_column(part, column_of) else others).append(part)
    join = all_of if isinstance(expression, And) else any_of
    return [*declared, join(others)] if others else declared


def _among(rows: NDArray[np.uint32], matching: NDArray[np.uint32]) -> Mask:
    """Return whether each row is in ``matching``, by a table over the range of ``rows``."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    first, last = rows.min(), rows.max()
    start, end = np.searchsorted(matching, first), np.searchsorted(matching, last, side="right")
    table = np.zeros(int(last) - int(first) + 1, np.bool_)
    table[matching[start:end] - first] = True
    mask: Mask = table[rows - first]
    return mask
