"""The parser of filters in any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from lexpand.data.documents import shown
from lexpand.errors import FilterError
from lexpand.index.filters.expression import Expression
from lexpand.index.filters.mapping import parse_mapping
from lexpand.index.filters.text import parse_text

Filter: TypeAlias = "Expression | str | Mapping[str, object]"
"""A filter as a mapping, as a text, or as an expression tree."""


def parse_filter(given: Filter) -> Expression:
    """Return the expression tree of a filter.

    Raises:
        FilterError: the filter is invalid.
    """
    if isinstance(given, Expression):
        return given
    if isinstance(given, str):
        return parse_text(given)
    if isinstance(given, Mapping):
        return parse_mapping(given)
    raise FilterError(
        f"a filter must be a mapping or a text, got {shown(given)}: write a condition on a field,"
        " such as 'year >= 2020' or {'year': 2020}"
    )
