"""A filter in any of its forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from lexpand.errors import FilterError
from lexpand.index.filters.expression import Expression
from lexpand.index.filters.mapping import parse_mapping
from lexpand.index.filters.text import parse_text

Filter: TypeAlias = "Expression | str | Mapping[str, object]"
"""What a caller may hand in: a mapping, a text, or the tree that either is read as."""


def parse_filter(given: Filter) -> Expression:
    """The tree of a filter.

    Raises:
        FilterError: it cannot be read.
    """
    if isinstance(given, Expression):
        return given
    if isinstance(given, str):
        return parse_text(given)
    if isinstance(given, Mapping):
        return parse_mapping(given)
    raise FilterError(f"a filter is a {type(given).__name__}: it must be a mapping or a text")
