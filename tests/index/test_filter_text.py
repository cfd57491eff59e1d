"""Filters as texts: parsing, canonical texts, and errors with their places."""

from enum import Enum, IntEnum

import filter_cases as cases
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexpand.errors import FilterError
from lexpand.index.filters import (
    Bound,
    Exists,
    Expression,
    Not,
    OneOf,
    Range,
    all_of,
    any_of,
    fields_of,
    format_field,
    group_key,
    matches,
    parse_field,
    parse_text,
)

YEAR, TAGS = ("year",), ("tags",)


@given(cases.expressions)
def test_the_canonical_text_is_read_back(expression: Expression) -> None:
    again = parse_text(str(expression))
    assert again == expression
    assert hash(again) == hash(expression)
    assert type(again) is type(expression)
    assert str(again) == str(expression)


@given(cases.paths)
def test_names_of_fields_are_read_back(path: tuple[str, ...]) -> None:
    assert parse_field(format_field(path)) == path


@given(st.text() | st.text('abin 01."\\()<>=!,tdo\n').map(lambda text: f"a {text}"))
def test_any_text_is_parsed_or_refused_with_its_place(text: str) -> None:
    try:
        expression = parse_text(text)
    except FilterError as error:
        *_, shown, pointer = str(error).splitlines()
        assert pointer.strip() == "^"
        assert len(pointer) <= len(shown) + 1
    else:
        assert parse_text(str(expression)) == expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year >= 2020", Range(YEAR, Bound(2020, True))),
        ("2020 <= year", Range(YEAR, Bound(2020, True))),
        ("-1.5 > year", Range(YEAR, None, Bound(-1.5, False))),
        ("2020 = year", OneOf(YEAR, (2020,))),
        ("not 2021 != year", Not(Not(OneOf(YEAR, (2021,))))),
        ("(2024-01-31 < tags)", Range(TAGS, Bound("2024-01-31", False))),
        ('"2024-01-31" >= tags', Range(TAGS, None, Bound("2024-01-31", True))),
        ("'a b' = tags", OneOf(TAGS, ("a b",))),
        ("true = year", OneOf(YEAR, (True,))),
        ('"2020" = 2021', OneOf(("2020",), (2021,))),
        ("tags = 'it''s \\'x\\' \"y\" \\u00e9'", OneOf(TAGS, ("it's 'x' \"y\" é",))),
        ("tags in ('2020', it's)", OneOf(TAGS, ("2020", "it's"))),
        ("'a' <= tags < 'b'", Range(TAGS, Bound("a", True), Bound("b", False))),
        ('"a b" = x', OneOf(("a b",), ("x",))),
        ("2020 <= year < 2024.5", Range(YEAR, Bound(2020, True), Bound(2024.5, False))),
        ("year = 1e3", OneOf(YEAR, (1000,))),
        ("year = 007", OneOf(YEAR, ("007",))),
        ("year = TRUE", OneOf(YEAR, (True,))),
        ('year = "true"', OneOf(YEAR, ("true",))),
        ("year != -1.5", Not(OneOf(YEAR, (-1.5,)))),
        ('tags IN (a, "b c", "d\\u00e9\\n")', OneOf(TAGS, ("a", "b c", "dé\n"))),
        ("tags not in(a)", Not(OneOf(TAGS, ("a",)))),
        ("tags > 2024-01-31", Range(TAGS, Bound("2024-01-31", False))),
        ("not exists ( tags )", Not(Exists(TAGS))),
        ('"or"."a.b".c = x', OneOf(("or", "a.b", "c"), ("x",))),
    ],
)
def test_a_text_is_parsed_to_its_expression(text: str, expected: Expression) -> None:
    assert parse_text(text) == expected


def test_a_filter_has_fields_and_kinds() -> None:
    expression = parse_text(
        "2020 <= year and not (author.name = x or exists(doi) or year in (a, true, 1))"
    )
    assert fields_of(expression) == {("year",), ("author", "name"), ("doi",)}
    assert {tuple(sorted(condition.kinds)) for condition in expression.conditions} == {
        ("number",),
        ("string",),
        (),
        ("boolean", "number", "string"),
    }


@given(cases.json_values.filter(lambda value: value is not None), cases.scalars)
def test_group_keys_are_equal_if_values_are_equal_in_filters(
    value: object, other: bool | int | float | str
) -> None:
    equal = isinstance(value, bool | int | float | str) and matches(
        OneOf(("a",), (other,)), {"a": value}
    )
    assert (group_key(value) == group_key(other)) == equal
    assert hash(group_key(value)) == hash(group_key(value))


def test_group_keys_of_numbers_and_objects() -> None:
    assert group_key(1) == group_key(1.0) != group_key(True)
    assert group_key(0.0) == group_key(-0.0)
    assert group_key(2**53 + 1) != group_key(float(2**53))
    assert (
        group_key({"a": [1, {"b": 0}]})
        == group_key({"a": [1.0, {"b": -0.0}]})
        != group_key({"a": [1, {"b": False}]})
    )
    assert group_key([]) != group_key({})


def test_and_binds_more_tightly_than_or_and_case_does_not_matter() -> None:
    a, b, c = (Exists((key,)) for key in "abc")
    assert parse_text("exists(a) or exists(b) AND NOT exists(c)") == any_of(
        [a, all_of([b, Not(c)])]
    )
    assert parse_text("(Exists(a) Or exists(b)) and exists(c)") == all_of([any_of([a, b]), c])
    assert str(parse_text("(exists(a) or exists(b)) and not (exists(c) and exists(a))")) == (
        "(exists(a) or exists(b)) and not (exists(a) and exists(c))"
    )


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("year >=", "expected a value", 8),
        ("", "expected a condition, found the end", 1),
        ("year", "expected 'in' or one of", 5),
        ("year = 2020 tags = a", "expected 'and', 'or' or the end, found 'tags'", 13),
        ("(year = 2020", r"expected '\)', found the end", 13),
        ("year in ()", "expected a value", 10),
        ("year in (1, )", "expected a value", 13),
        ('tags = "a', "this quote is not closed", 8),
        ("year ! 3", "expected '!='", 6),
        ("2020 < year > 3", "with '<' or '<=' twice", 13),
        ("2020 > year > 3", "with '<' or '<=' twice", 13),
        ("year = null", r"write not exists\(field\)", 8),
        ("and = 3", "expected a field", 1),
        ("team == finance", "expected a value after '=' .write = for equality., found '='", 7),
        ("a === b", "write = for equality", 4),
        ("year => 2020", "expected a value after '=' .write >=., found '>'", 7),
        ("year =< 2020", "write <=", 7),
        ("a <> b", "write != for inequality", 4),
        ("a !== b", "write != for inequality", 5),
        ("a = (b, c)", r"write in \(a, b\) for a list of values", 5),
        ("a != (b, c)", r"write not in \(a, b\) for a list of values", 6),
        ("!a = b", "to negate a condition, write 'not' before it", 1),
        ("a = 1 && b = 2", "expected 'and', 'or' or the end .write 'and'., found '&&'", 7),
        ("a = 1 || b = 2", "expected 'and', 'or' or the end .write 'or'., found '||'", 7),
        ("a = 1 & b = 2", "write 'and'", 7),
        ("a = )", r"expected a value, found '\)'", 5),
        ("not = 3", "expected a condition", 5),
        ("lang = or", "a string like this needs quotes", 8),
        ("1 < year < b", "two of one type", 1),
        ("year < true", "has no order", 8),
        ("2020 <= 2021", "'2020' and '2021' are two values", 1),
        ("exists(a) and not 2020 = '2021'", "are two values", 19),
        ('2020-01-01 < "2021"', "are two values", 1),
        ('2020 = "2021"', "are two values", 1),
        ("2020 in (2020)", "expected a field", 1),
        ("exists(2020)", "expected a field", 8),
        ("1 < 2 < 3", "expected a field", 5),
        ("a = 'x", "this quote is not closed", 5),
        ("a = 'x'y", "only partly in quotes", 5),
        ("a..b = 1", "is not a valid field name", 1),
        ('a = "\\q"', "use the escapes of JSON", 5),
        ('a = "\\ud800"', "lone surrogate", 5),
        ('a = x"y"', "only partly in quotes", 5),
        ("a = 1e999", "a finite number", 5),
        ("a = " + "9" * 5000, "5000 digits", 5),
        ("not " * 65 + "a = 1", "deeper than 64", 261),
        ("(" * 100_000, "deeper than 64", 66),
        (" or ".join(f"a = {n}" for n in range(1025)), "more than 1024 conditions", 1),
    ],
)
def test_an_invalid_text_is_refused_with_its_place(text: str, reason: str, place: int) -> None:
    with pytest.raises(FilterError, match=reason) as caught:
        parse_text(text)
    assert f"at character {place}:" in str(caught.value)


def test_an_error_has_a_line_that_points_at_the_place() -> None:
    with pytest.raises(FilterError) as caught:
        parse_text("year >= 2020\nand )")
    assert str(caught.value).splitlines()[1:] == ["  year >= 2020 and )", "                   ^"]
    with pytest.raises(FilterError) as caught:
        parse_text("a = 1 and " * 100 + ")")
    _, shown, pointer = str(caught.value).splitlines()
    assert len(shown) < 130
    assert shown[len(pointer) - 1] == ")"


def test_equal_values_are_merged_and_types_are_distinguished() -> None:
    assert OneOf(YEAR, (1, 1.0)) == OneOf(YEAR, (1,))
    assert OneOf(YEAR, (0.0,)) == OneOf(YEAR, (-0.0,))
    different = {
        OneOf(YEAR, (1,)),
        OneOf(YEAR, (True,)),
        OneOf(YEAR, ("1",)),
        OneOf(YEAR, (2**53,)),
    }
    assert len({*different, OneOf(YEAR, (2**53 + 1,))}) == 5
    assert all_of([Exists(YEAR), all_of([Exists(TAGS), Exists(YEAR)])]) == all_of(
        [Exists(TAGS), Exists(YEAR)]
    )
    assert Exists(YEAR) != "exists(year)"


def test_enums_and_numpy_numbers_become_plain_values() -> None:
    class Language(str, Enum):  # noqa: UP042
        ENGLISH = "en"

    class Place(IntEnum):
        FIRST = 1

    expression = OneOf(YEAR, (Language.ENGLISH, Place.FIRST, np.float64(0.5), np.float64(2)))
    assert str(expression) == "year in (0.5, 1, 2, en)"
    assert matches(expression, {"year": "en"})
