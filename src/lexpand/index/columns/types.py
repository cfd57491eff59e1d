"""The types of columns, and the checks of metadata and filters against them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lexpand.data import Document
from lexpand.data.documents import shown
from lexpand.errors import DataError, FilterError
from lexpand.index.filters import Exists, Expression, OneOf, Range, format_field, parse_field
from lexpand.index.filters.intervals import INT64, nearest_float
from lexpand.index.filters.values import Scalar, format_value, kind_of, values_at


class ColumnType(StrEnum):
    """The type of a column, of which a document may have any number of values."""

    INTEGER = "integer"
    NUMBER = "number"
    KEYWORD = "keyword"
    BOOLEAN = "boolean"

    @property
    def kind(self) -> str:
        """The kind of value that compares with this type: ``number``, ``string`` or ``boolean``."""
        return _KINDS[self]

    def holds(self, value: object) -> bool:
        """Return whether a column of this type can hold a value exactly."""
        if kind_of(value) != self.kind:
            return False
        if isinstance(value, str | bool):
            return True
        assert isinstance(value, int | float)
        if self is ColumnType.INTEGER:
            return INT64[0] <= value <= INT64[1] and value == int(value)
        return nearest_float(value) == value


_KINDS = {
    ColumnType.INTEGER: "number",
    ColumnType.NUMBER: "number",
    ColumnType.KEYWORD: "string",
    ColumnType.BOOLEAN: "boolean",
}

_ACCEPTED_VALUES = {
    ColumnType.INTEGER: "whole numbers from -2^63 to 2^63 - 1",
    ColumnType.NUMBER: "numbers that a float64 holds exactly",
    ColumnType.KEYWORD: "strings",
    ColumnType.BOOLEAN: "true or false",
}


def check_columns(declared: Mapping[str, str]) -> dict[str, ColumnType]:
    """Return the declared columns by their canonical names, in order of declaration.

    Args:
        declared: types by field name, e.g. ``{"year": "integer", "author.name": "keyword"}``.

    Raises:
        DataError: a type is unknown, a name is invalid, or a column is declared twice.
    """
    columns: dict[str, ColumnType] = {}
    for declared_name, type_name in declared.items():
        name = format_field(parse_field(declared_name))
        if type_name not in list(ColumnType):
            known = ", ".join(ColumnType)
            raise DataError(f"the type of column {name} must be one of {known}, got {type_name!r}")
        if name in columns:
            raise DataError(f"column {name} is declared twice: leave one out")
        columns[name] = ColumnType(type_name)
    return columns


def check_metadata(columns: Mapping[str, ColumnType], document: Document) -> None:
    """Check that the columns can hold the values of a document; missing values and null are fine.

    Raises:
        DataError: a column cannot hold a value. The message has the document, field and value.
    """
    for name, column_type in columns.items():
        for value in values_at(document.metadata, parse_field(name)):
            if not column_type.holds(value):
                raise DataError(
                    f"document {document.doc_id!r}: the {column_type} column {name} must hold"
                    f" {_ACCEPTED_VALUES[column_type]}, got {shown(value)}:"
                    " change the value, or declare another type"
                )


def column_values(name: str, column_type: ColumnType, document: Document) -> list[Scalar]:
    """Return the values of a column in a document that `check_metadata` accepts."""
    values = values_at(document.metadata, parse_field(name))
    if column_type is ColumnType.INTEGER:
        return [int(value) for value in values]  # type: ignore[arg-type]
    return values  # type: ignore[return-value]


def check_filter(columns: Mapping[str, ColumnType], expression: Expression) -> None:
    """Check that a filter compares columns only with values of their type.

    Raises:
        FilterError: a column is compared with a value of another type.
    """
    for condition in expression.conditions:
        column_type = columns.get(condition.name)
        if column_type is None or isinstance(condition, Exists):
            continue
        for value in _compared_with(condition):
            if kind_of(value) != column_type.kind:
                article = "an" if column_type is ColumnType.INTEGER else "a"
                raise FilterError(
                    f"{condition.name} is {article} {column_type} column and must be compared with"
                    f" a {column_type.kind}, got {format_value(value)} ({kind_of(value)})"
                )


def _compared_with(condition: Expression) -> list[Scalar]:
    if isinstance(condition, OneOf):
        return list(condition.values)
    assert isinstance(condition, Range)
    return [bound.value for bound in condition.bounds]
