"""Filters as mappings: parsing, and errors."""

from typing import Any

import filter_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.errors import FilterError
from lexpand.index.filters import (
    Expression,
    OneOf,
    Range,
    all_of,
    parse_filter,
    parse_mapping,
    parse_text,
)


@given(cases.expressions, st.sampled_from(["", "$"]))
def test_mappings_of_expressions_are_parsed_back(expression: Expression, dollar: str) -> None:
    assert parse_mapping(cases.as_mapping(expression, dollar)) == expression


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"year": {"gte": 2020, "lt": 2024}}, "2020 <= year < 2024"),
        ({"tags": {"in": ["b", "a", "a"]}, "price": 3}, "price = 3 and tags in (a, b)"),
        (
            {"author.name": "x", '"or"': 1, '"a.b".c': 2},
            '"a.b".c = 2 and "or" = 1 and author.name = x',
        ),
        ({"doi": {"exists": False}, "public": True}, "not exists(doi) and public = true"),
        ({"or": [{"a": 1, "b": 2}, {"c": {"ne": 3}}], "not": {"d": {"nin": [1, 2]}}}, None),
        (
            {"$and": [{"year": {"$gt": 1, "$lte": 2.5, "$exists": True}}]},
            "1 < year <= 2.5 and exists(year)",
        ),
        ({"day": {"gte": "2024-01-31"}}, 'day >= "2024-01-31"'),
    ],
)
def test_a_mapping_is_parsed_to_its_expression(mapping: dict[str, Any], text: str | None) -> None:
    expected = text or "(a = 1 and b = 2 or not c = 3) and not not d in (1, 2)"
    assert parse_mapping(mapping) == parse_text(expected)


DEEP: Any = {"a": 1}
for _ in range(10_000):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({}, "must be a non-empty mapping"),
        ({"or": []}, "'or' must have at least one part"),
        ({"or": {"a": 1}}, "a list of mappings"),
        ({"or": 2**15_000}, "too large to show"),
        ({"or": [1]}, "must be a non-empty mapping"),
        ({"not": [{"a": 1}]}, "must be a non-empty mapping"),
        ({1: 2}, "keys of a filter must be strings"),
        ({"year": {}}, "the condition on year"),
        (
            {"year": {"after": 2020}},
            "must be one of gt, gte, lt, lte, eq, ne, in, nin, exists, got 'after'",
        ),
        ({"year": {"gt": 1, "$gt": 2}}, r"both with and without \$ \(\$gt, gt\)"),
        ({"year": {"gt": 1, "gte": 2}}, "both 'gt' and 'gte'"),
        ({"year": {"gt": 1, "lt": "b"}}, "two of one type"),
        ({"year": {"gt": None}}, "not exists"),
        ({"year": {"lt": True}}, "has no order"),
        ({"year": {"in": []}}, "empty list"),
        ({"year": {"in": "ab"}}, "need a list of values, got"),
        ({"year": {"in": [[1]]}}, "a boolean, a finite number or a string"),
        ({"year": [1, 2]}, "write {'in'"),
        ({"year": None}, "not exists"),
        ({"year": float("nan")}, "nan"),
        ({"year": 2**15_000}, "too large to show"),
        ({"year": "\ud800"}, "lone surrogate"),
        ({"year": {"exists": 1}}, "True or False"),
        ({"": 1}, "is not a valid field name"),
        (DEEP, "deeper than 64"),
    ],
)
def test_an_invalid_mapping_is_refused(mapping: Any, reason: str) -> None:
    with pytest.raises(FilterError, match=reason):
        parse_mapping(mapping)


def test_parse_filter_takes_every_form() -> None:
    tree = parse_text("a = 1")
    assert parse_filter(tree) is tree
    assert parse_filter("a = 1") == parse_filter({"a": 1}) == tree
    with pytest.raises(FilterError, match="int"):
        parse_filter(3)  # type: ignore[arg-type]


def test_expressions_are_checked() -> None:
    with pytest.raises(FilterError, match="one bound"):
        Range(("a",))
    with pytest.raises(FilterError, match="must have at least one part"):
        all_of([])
    with pytest.raises(FilterError, match="empty list"):
        OneOf(("a",), ())
