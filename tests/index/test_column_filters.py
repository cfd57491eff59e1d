"""Filters over columns, alone and with SQL, compared with the reference implementation."""

from typing import Any

import column_cases
import filter_cases
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexpand import Document
from lexpand.errors import DataError, FilterError
from lexpand.index.columns import (
    ColumnType,
    check_columns,
    check_filter,
    check_metadata,
    column_values,
    encode_column,
    evaluate,
)
from lexpand.index.filters import Expression, OneOf, Range, matches, matching_rows, parse_text

DECLARED = check_columns(
    {"i": "integer", "n": "number", "k": "keyword", "b": "boolean", "o.k": "keyword"}
)


def field_values(column_type: ColumnType) -> st.SearchStrategy[Any]:
    value = column_cases.HELD[column_type]
    return st.none() | value | st.lists(st.none() | value, max_size=3)


flat = {name: field_values(DECLARED[name]) for name in "inkb"}
documents = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **flat,
            "o": st.fixed_dictionaries({}, optional={"k": flat["k"], "u": flat["n"]}),
            "u": filter_cases.json_values,
        },
    ),
    max_size=8,
)


def compared(name: str) -> st.SearchStrategy[Expression]:
    """Return conditions on a column with values of its kind, which `check_filter` accepts."""
    column_type = DECLARED[name]
    near = {
        "number": filter_cases.numbers,
        "string": filter_cases.strings,
        "boolean": st.booleans(),
    }
    values = column_cases.HELD[column_type] | near[column_type.kind]
    kinds = filter_cases.conditions(st.just(tuple(name.split("."))), values)
    return kinds.filter(lambda condition: accepted(condition) and condition.name == name)


def accepted(expression: Expression) -> bool:
    try:
        check_filter(DECLARED, expression)
    except FilterError:
        return False
    return True


on_columns = st.one_of([compared(name) for name in DECLARED])
undeclared = filter_cases.conditions(st.sampled_from([("u",), ("o",), ("o", "u"), ("nowhere",)]))


def evaluate_rows(
    expression: Expression, metadata: list[dict[str, Any]], rows: list[int], sql: Any
) -> list[bool]:
    """Evaluate a filter over a segment whose passages are these rows."""
    made = [Document(f"d{row}", "text", metadata=each) for row, each in enumerate(metadata)]
    for document in made:
        check_metadata(DECLARED, document)
    columns = {}
    for name, column_type in DECLARED.items():
        sections = dict(
            encode_column(
                column_type, [column_values(name, column_type, made[row]) for row in rows]
            )
        )
        columns[name] = column_cases.opened(column_type, sections, len(rows))
    found = evaluate(expression, columns.get, np.array(rows, np.uint32), sql)
    assert found.dtype == np.bool_
    return found.tolist()


def no_sql(expression: Expression) -> Any:
    raise AssertionError(f"called SQL for {expression}")


@settings(max_examples=300)
@given(filter_cases.joined(on_columns), documents)
def test_columns_agree_with_the_reference(
    expression: Expression, metadata: list[dict[str, Any]]
) -> None:
    expected = [matches(expression, each) for each in metadata]
    assert evaluate_rows(expression, metadata, list(range(len(metadata))), no_sql) == expected, str(
        expression
    )


@settings(max_examples=200)
@given(filter_cases.joined(on_columns | undeclared), documents, st.data())
def test_columns_and_sql_together_agree_with_the_reference(
    expression: Expression, metadata: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = data.draw(st.permutations(range(len(metadata))))[
        : data.draw(st.integers(0, len(metadata)))
    ]
    db = filter_cases.catalog_of(metadata)
    expected = [matches(expression, metadata[row]) for row in rows]
    assert (
        evaluate_rows(expression, metadata, rows, lambda part: matching_rows(db, part)) == expected
    )
    db.close()


@settings(max_examples=200)
@given(
    st.sampled_from([ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.KEYWORD]),
    st.sampled_from([1, 3, 2**20, 2**40]),
    st.lists(st.integers(-60, 60), min_size=1, max_size=60),
    st.lists(st.integers(-60, 60), max_size=60),
)
@example(ColumnType.INTEGER, 2**57, list(range(-60, 60)), [0, 5])
@example(ColumnType.INTEGER, 1, [2**63 - 1, *range(20)], [-(2**63), 2**63 - 1, 3, 25])
@example(ColumnType.INTEGER, 1, [-(2**63) + n for n in range(20)], [-(2**63), 2**63 - 1, 3, 25])
def test_long_lists_of_values_agree_with_the_reference(
    column_type: ColumnType, step: int, targets: list[int], values: list[int]
) -> None:
    convert = str if column_type is ColumnType.KEYWORD else int
    metadata = [{"i": convert(value * step)} for value in values]
    column = column_cases.column_of(column_type, [each["i"] for each in metadata])
    expression = OneOf(("i",), tuple(convert(value * step) for value in targets))
    rows = np.arange(len(values), dtype=np.uint32)
    found = evaluate(expression, {"i": column}.get, rows, no_sql)
    assert found.tolist() == [matches(expression, each) for each in metadata]


@pytest.mark.parametrize("share", [0, 0.002, 0.01, 0.015, 0.02, 0.3, 1])
def test_lists_with_few_or_many_matching_values_agree_with_the_reference(share: float) -> None:
    random = np.random.default_rng(7)
    metadata = [
        {"i": (random.random(random.integers(0, 4)) < share).astype(int).tolist()}
        for _ in range(1_000)
    ]
    expression = parse_text("i = 1")
    expected = [1 in each["i"] for each in metadata]
    assert any(expected) == (share > 0)
    assert evaluate_rows(expression, metadata, list(range(1_000)), None) == expected


def test_parts_without_columns_are_one_sql_query() -> None:
    queries = []

    def sql(expression: Expression) -> Any:
        queries.append(str(expression))
        return np.array([0, 2, 7], np.uint32)

    expression = parse_text("i >= 1 and u = 1 and not exists(v) and (u = 2 or w = 3)")
    assert evaluate_rows(expression, [{"i": 1}, {"i": 1}, {"i": 0}], [2, 1, 0], sql) == [
        False,
        False,
        True,
    ]
    assert queries == ["not exists(v) and u = 1 and (u = 2 or w = 3)"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (
            {"i": "x"},
            r"document 'd': the integer column i must hold whole numbers .*, got 'x' \(str\)",
        ),
        ({"i": [1, 2**63]}, "9223372036854775808"),
        ({"i": 1.5}, "1.5"),
        ({"i": True}, "True"),
        ({"i": [[1]]}, "list"),
        ({"n": 2**53 + 1}, "a float64 holds exactly"),
        ({"n": 10**400}, "a float64 holds exactly"),
        ({"k": 1}, "must hold strings"),
        ({"k": {}}, "dict"),
        ({"b": 1}, "must hold true or false"),
        ({"o": {"k": False}}, r"column o\.k must hold strings, got False"),
    ],
)
def test_metadata_that_a_column_cannot_hold_are_refused(
    metadata: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        check_metadata(DECLARED, Document("d", "text", metadata=metadata))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "i = abc",
            r"i is an integer column and must be compared with a number, got abc \(string\)",
        ),
        ("u = 1 or not i in (1, true)", "true"),
        ("n < a", "n is a number column"),
        ("k >= 2020", "k is a keyword column"),
        ("b = 1", "b is a boolean column"),
        ("o.k = 1", "o.k is a keyword column"),
    ],
)
def test_comparing_a_column_with_another_type_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FilterError, match=reason):
        check_filter(DECLARED, parse_text(text))
    check_filter({}, parse_text(text))


def test_declarations_of_columns_are_checked() -> None:
    assert check_columns({"year": "integer", '"a.b".c': "keyword"}) == {
        "year": "integer",
        '"a.b".c': "keyword",
    }
    with pytest.raises(
        DataError, match="must be one of integer, number, keyword, boolean, got 'int'"
    ):
        check_columns({"year": "int"})
    with pytest.raises(DataError, match="twice"):
        check_columns({"year": "integer", '"year"': "number"})
    with pytest.raises(DataError, match="is not a valid field name"):
        check_columns({"a..b": "integer"})


def test_an_empty_range_matches_nothing() -> None:
    column = column_cases.column_of(ColumnType.INTEGER, [1, 2])
    for text in ("2 < i < 1", "i > 9223372036854775807", "1.2 <= i <= 1.8"):
        expression = parse_text(text)
        assert isinstance(expression, Range)
        assert not evaluate(
            expression, {"i": column}.get, np.arange(2, dtype=np.uint32), no_sql
        ).any()
