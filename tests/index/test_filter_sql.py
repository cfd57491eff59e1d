"""Filters by SQL, compared with the reference implementation."""

import json
import math
import sqlite3
from typing import Any

import filter_cases as cases
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexpand.errors import CorruptIndex
from lexpand.index.filters import Expression, OneOf, matches, matching_rows, parse_text, to_sql


def check(expression: Expression, documents: list[dict[str, Any]]) -> None:
    expected = [row for row, metadata in enumerate(documents) if matches(expression, metadata)]
    db = cases.catalog_of(documents)
    found = matching_rows(db, expression)
    assert found.dtype == "uint32"
    assert found.tolist() == expected, str(expression)
    verdict, parameters = to_sql(expression)
    for row, known in db.execute(f"SELECT row, {verdict} FROM documents", parameters):
        assert known in (None, int(row in expected))
    db.close()


@settings(max_examples=300)
@given(cases.expressions, st.lists(cases.metadata, max_size=6))
@example(parse_text("a = 9007199254740993"), [{"a": 2**53}, {"a": 2**53 + 1}, {"a": float(2**53)}])
@example(parse_text("a = 1"), [{"a": True}, {"a": 1.0}, {"a": "1"}, {"a": [True, 1]}])
@example(
    parse_text("not a > 9223372036854775808"), [{"a": 2**63}, {"a": 2**63 + 1}, {"a": 2**80}, {}]
)
def test_sql_agrees_with_the_reference(
    expression: Expression, documents: list[dict[str, Any]]
) -> None:
    check(expression, documents)


@settings(max_examples=300)
@given(
    cases.conditions(st.just(("a",))),
    st.lists(cases.scalars | st.lists(cases.scalars, max_size=3), max_size=8),
)
def test_conditions_on_one_field_agree_with_the_reference(
    expression: Expression, values: list[Any]
) -> None:
    check(expression, [{"a": value} for value in values])


def neighbor(value: float, steps: int) -> float:
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.copysign(math.inf, steps))
    return value


@settings(max_examples=150)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(-2, 2), max_size=5),
    st.data(),
)
def test_neighboring_floats_are_distinguished(
    value: float, steps: list[int], data: st.DataObject
) -> None:
    near = [each for step in steps if math.isfinite(each := neighbor(value, step))]
    expression = data.draw(cases.conditions(st.just(("a",)), st.sampled_from([value, *near])))
    check(expression, [{"a": each} for each in [value, *near]])


def test_sql_decides_ordinary_documents() -> None:
    documents = [{"year": 2020 + i, "tags": ["x", "y"], "price": i / 2 + 0.1} for i in range(4)]
    verdict, parameters = to_sql(
        parse_text("year >= 2022 and tags = y and not price > 100.5 and exists(tags)")
    )
    found = (
        cases.catalog_of(documents)
        .execute(f"SELECT {verdict} FROM documents", parameters)
        .fetchall()
    )
    assert found == [(0,), (0,), (1,), (1,)]


def test_user_input_is_only_in_the_parameters() -> None:
    injection = "x'); DROP TABLE documents; --"
    plain, _ = to_sql(OneOf(("a",), ("b",)))
    hostile, parameters = to_sql(OneOf((injection,), (injection,)))
    assert plain == hostile
    assert sum(injection in str(parameter) for parameter in parameters) == 3


def test_the_largest_filter_is_within_the_limits_of_sqlite() -> None:
    ranges = [f"{n}.5 <= {key} < {n + 1}" for n in range(512) for key in ("a.b", "c")]
    expression = parse_text(" or ".join(ranges))
    check(expression, [{"a": {"b": 511.75}}, {"c": 3}, {"c": 600}])
    for rounds in (1, 4, 5, 15):
        deep = parse_text("not (a = 1 and not (b = 2 or " * rounds + "c = 3" + "))" * rounds)
        check(deep, [{"c": 3}, {"b": 2}, {"a": 1}, {"a": 1, "c": 3}, {}])
    check(
        parse_text(
            " or ".join(
                f"(a = {n} and not ({' and '.join(f'b > {n}{i}' for i in range(40))}))"
                for n in range(20)
            )
        ),
        [{"a": 1, "b": 3}, {"a": 1}],
    )
    check(OneOf(("a",), tuple(range(100_000))), [{"a": 99_999}, {"a": 100_000}])


def test_deleted_documents_are_found_too() -> None:
    assert matching_rows(
        cases.catalog_of([{"a": 1}, {"a": 1}], deleted=[0]), parse_text("a = 1")
    ).tolist() == [0, 1]


@pytest.mark.parametrize("metadata", ["[]", '{"a": 1', "7"])
@pytest.mark.parametrize("key", ["a", "nul\0"])
def test_damaged_metadata_is_an_error_or_matches_nothing(metadata: str, key: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE documents (row INTEGER PRIMARY KEY, metadata TEXT NOT NULL)")
    db.execute("INSERT INTO documents VALUES (0, ?)", (metadata,))
    if key == "a" and not metadata.startswith("{"):
        assert not matching_rows(db, OneOf((key,), (1,))).size
        return
    with pytest.raises(CorruptIndex, match=r"is not (a )?JSON"):
        matching_rows(db, OneOf((key,), (1,)))


def test_the_reference_on_examples() -> None:
    metadata = json.loads(
        '{"n": 1, "f": 2.5, "s": "x", "l": [1, "x", null], "o": {"k": [true]}, "z": null, "e": []}'
    )
    matching = (
        "n = 1 | n = 1.0 | n < 1.5 | s = x | l = 1 | l = x | o.k = true | exists(o) | exists(l)"
        " | 2 < f < 3"
    )
    failing = (
        'n = true | n = "1" | s > 0 | l = n | exists(z) | exists(e) | exists(q) | l.k = 1 | o = k'
        " | n.k = 1"
    )
    for text in matching.split(" | "):
        assert matches(parse_text(text), metadata), text
        assert not matches(parse_text(f"not {text}"), metadata), text
    for text in failing.split(" | "):
        assert not matches(parse_text(text), metadata), text
        assert matches(parse_text(f"not {text}"), metadata), text
