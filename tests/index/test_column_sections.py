"""Columns on disk: round trips, merges and damage."""

from typing import Any

import column_cases as cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexpand.errors import CorruptIndex
from lexpand.index.columns import Column, ColumnType, encode_column, merge_columns

types = st.sampled_from(list(ColumnType))


def per_passage(column_type: ColumnType) -> st.SearchStrategy[list[Any]]:
    value = cases.HELD[column_type]
    return st.lists(value, max_size=8) | st.lists(
        value | st.none() | st.lists(value, max_size=3), max_size=8
    )


def as_lists(values: list[Any]) -> list[list[Any]]:
    lists = [value if isinstance(value, list) else [value] for value in values]
    return [[value for value in each if value is not None] for each in lists]


@given(types, st.data())
def test_a_column_is_read_back(column_type: ColumnType, data: st.DataObject) -> None:
    values = data.draw(per_passage(column_type))
    column = cases.column_of(column_type, values)
    assert cases.values_in(column, len(values)) == as_lists(values)
    assert (column.starts is None) == all(len(each) == 1 for each in as_lists(values))


@given(types, st.data())
def test_a_merge_equals_a_new_encoding(column_type: ColumnType, data: st.DataObject) -> None:
    sources = data.draw(st.lists(per_passage(column_type), min_size=1, max_size=3))
    columns = [cases.column_of(column_type, values) for values in sources]
    order = []
    for _ in range(data.draw(st.integers(0, 4))):
        source = data.draw(st.integers(0, len(sources) - 1))
        passages = range(len(sources[source]))
        order.append(
            (
                source,
                np.array(
                    data.draw(st.lists(st.sampled_from(passages))) if passages else [], np.uint32
                ),
            )
        )
    expected = [
        as_lists(sources[source])[passage] for source, passages in order for passage in passages
    ]
    found = merge_columns(columns, order)
    again = cases.opened(column_type, dict(found), len(expected))
    assert cases.values_in(again, len(expected)) == expected
    assert found == encode_column(column_type, expected)


def test_the_bytes_follow_the_format() -> None:
    found = dict(encode_column(ColumnType.KEYWORD, [["b", "a"], [], ["é"]]))
    assert np.frombuffer(found[80], "<u4").tolist() == [3, 1, 3, 3]
    assert np.frombuffer(found[81], "<u4").tolist() == [0, 2, 2, 3]
    assert np.frombuffer(found[82], "<u4").tolist() == [1, 0, 2]
    assert np.frombuffer(found[83], "<u8").tolist() == [0, 1, 2, 4]
    assert found[84] == "abé".encode()
    found = dict(encode_column(ColumnType.INTEGER, [[-1], [2**63 - 1]]))
    assert np.frombuffer(found[80], "<u4").tolist() == [1, 0, 2, 0]
    assert np.frombuffer(found[82], "<i8").tolist() == [-1, 2**63 - 1]
    assert found.keys() == {80, 82}
    assert dict(encode_column(ColumnType.NUMBER, [[0.5]]))[82] == np.float64(0.5).tobytes()
    assert dict(encode_column(ColumnType.BOOLEAN, [[True], [False]]))[82] == b"\1\0"


def assert_sound(column: Column, passages: int) -> None:
    """Check the invariants that a reader relies on."""
    lists = cases.values_in(column, passages)
    assert len(lists) == passages
    assert sum(map(len, lists)) == len(column.values)
    assert list(column.strings) == sorted(set(column.strings))


@settings(max_examples=300)
@given(types, st.data())
def test_damage_raises_an_error_or_gives_a_sound_column(
    column_type: ColumnType, data: st.DataObject
) -> None:
    values = data.draw(per_passage(column_type))
    sections = cases.sections_of(column_type, values)
    kind = data.draw(st.sampled_from(sorted(sections)))
    raw = bytearray(sections[kind])
    match data.draw(st.sampled_from(["flip", "cut", "add", "remove"])):
        case "flip" if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        case "cut":
            raw = raw[: data.draw(st.integers(0, len(raw)))]
        case "add":
            raw += data.draw(st.binary(min_size=1, max_size=9))
        case "remove":
            del sections[kind]
    if kind in sections:
        sections[kind] = bytes(raw)
    try:
        column = cases.opened(column_type, sections, len(values))
    except CorruptIndex as error:
        assert "damaged" in str(error)
    else:
        assert_sound(column, len(values))


def pack(dtype: str, *numbers: float) -> bytes:
    return np.array(numbers, dtype).tobytes()


@pytest.mark.parametrize(
    ("column_type", "changes", "reason"),
    [
        ("keyword", {80: pack("<u4", 1, 1, 3, 3)}, r"type must be 3 \(keyword\), got 1"),
        ("keyword", {80: pack("<u4", 3, 2, 3, 3)}, "layout must be 0 or 1, got 2"),
        ("keyword", {80: pack("<u4", 3, 0, 3, 3)}, "must have 2 values, one per passage, got 3"),
        ("keyword", {81: pack("<u4", 1, 2, 3)}, "starts of its values"),
        ("keyword", {81: pack("<u4", 0, 4, 3)}, "starts of its values"),
        ("keyword", {81: pack("<u4", 0, 3)}, "section 81 must have 12 bytes, got 8 bytes"),
        ("keyword", {82: pack("<u4", 0, 1, 3)}, "must be numbers of its 3 strings"),
        ("keyword", {83: pack("<u8", 0, 1, 2, 2**63)}, "starts of its strings"),
        ("keyword", {83: pack("<u8", 0, 1, 3, 4)}, "UTF-8"),
        ("keyword", {84: b"baxx"}, "strings must ascend"),
        ("keyword", {84: b"aaxx"}, "strings must ascend"),
        ("boolean", {82: b"\2\1\0"}, "must be 0 or 1"),
        ("boolean", {80: pack("<u4", 4, 1, 3, 1)}, "not a keyword column"),
        ("number", {82: pack("<f8", 1, 2, np.inf)}, "must be finite"),
        ("number", {82: pack("<f8", 1, 2, np.nan)}, "must be finite"),
        ("integer", {82: b""}, "section 82 must have 24 bytes, got 0 bytes"),
    ],
)
def test_each_invariant_is_checked(
    column_type: str, changes: dict[int, bytes], reason: str
) -> None:
    values: dict[str, list[Any]] = {
        "keyword": [["a", "b"], ["é"]],
        "boolean": [[True, False], [True]],
        "number": [[1, 2], [3]],
        "integer": [[1, 2], [3]],
    }
    sections = cases.sections_of(ColumnType(column_type), values[column_type])
    cases.opened(ColumnType(column_type), sections, 2)
    with pytest.raises(CorruptIndex, match=reason):
        cases.opened(ColumnType(column_type), {**sections, **changes}, 2)
