"""Filters: conditions on the metadata of documents, as a mapping, a text or an expression tree.

`matches` is the reference implementation, and `matching_rows` finds documents by SQL.
docs/filters.md is the page for users.

`lexpand.index.columns` evaluates filters over declared fields, as arrays over the passages of a
segment.
"""

from lexpand.index.filters.expression import (
    CONDITIONS,
    DEPTH,
    And,
    Bound,
    Condition,
    Exists,
    Expression,
    Not,
    OneOf,
    Or,
    Range,
    all_of,
    any_of,
    fields_of,
)
from lexpand.index.filters.mapping import parse_mapping
from lexpand.index.filters.names import format_field, parse_field
from lexpand.index.filters.parsing import Filter, parse_filter
from lexpand.index.filters.reference import matches
from lexpand.index.filters.sql import matching_rows, to_sql
from lexpand.index.filters.text import parse_text
from lexpand.index.filters.values import group_key

__all__ = [
    "CONDITIONS",
    "DEPTH",
    "And",
    "Bound",
    "Condition",
    "Exists",
    "Expression",
    "Filter",
    "Not",
    "OneOf",
    "Or",
    "Range",
    "all_of",
    "any_of",
    "fields_of",
    "format_field",
    "group_key",
    "matches",
    "matching_rows",
    "parse_field",
    "parse_filter",
    "parse_mapping",
    "parse_text",
    "to_sql",
]
