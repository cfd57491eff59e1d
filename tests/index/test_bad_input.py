"""Invalid input is refused with a readable message, and nothing of it is added."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from change_model import QUERIES, WORD_QUERIES, assert_holds, create, create_with, put, versioned
from index_toys import toy_vectors

from lexpand import Document, Index
from lexpand.errors import DataError, FilterError, IndexLocked, VectorError

STATE = {f"d{number}": versioned(number, 0) for number in range(4)}


@pytest.mark.parametrize("spans", [[], [(0, 99)], [(-1, 2)], [(3, 2)], [(0, 2), (4, 99)]])
def test_chunks_outside_the_text_are_refused(
    tmp_path: Path, spans: Sequence[tuple[int, int]]
) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        vectors = toy_vectors([{0: 1.0}] * len(spans))
        with pytest.raises(DataError, match=r"within its 6 characters, got \["):
            index.add([Document("x", "a text")], vectors, chunks=[spans])
        assert (index.waiting, index.commit().commit_id) == (0, 1)
        assert_holds(index, STATE)


def test_wrong_numbers_of_chunks_and_vectors_are_refused(tmp_path: Path) -> None:
    documents = [Document("x", "a text"), Document("y", "a text")]
    with create_with(tmp_path / "i", STATE) as index:
        with pytest.raises(DataError, match="one list per document, got 1 lists for 2 documents"):
            index.add(documents, toy_vectors([{0: 1.0}]), chunks=[[(0, 1)]])
        with pytest.raises(VectorError, match="one row per chunk, got 2 rows for 3 chunks"):
            index.add(documents, toy_vectors([{0: 1.0}] * 2), chunks=[[(0, 1)], [(0, 1), (1, 2)]])
        assert index.waiting == 0


def test_a_repeated_chunk_finds_its_document_once(tmp_path: Path) -> None:
    """This is allowed but useless: the hit has the span of the first of equal chunks."""
    with create(tmp_path / "i") as index:
        spans = [(0, 3), (0, 3), (0, 6), (2, 2)]
        index.add([Document("x", "a text")], toy_vectors([{0: 1.0}] * 4), chunks=[spans])
        index.commit()
        (found,) = index.search(QUERIES[0:1], 10)
        assert [(match.doc_id, match.span) for match in found] == [("x", (0, 3))]
        assert [found] == index.search(QUERIES[0:1], 10, exhaustive=True)
        assert len(index.search_words(["text"], 10)[0]) == 1
        assert index.check() == []


def test_k_0_and_no_queries_give_no_hits(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for options in ({}, {"filter": "number > 1"}, {"group_by": "team"}):
            assert index.search(QUERIES, 0, **options) == [[]] * len(QUERIES)
            assert index.search_words(WORD_QUERIES, 0, **options) == [[]] * len(WORD_QUERIES)
        assert index.search(QUERIES[0:0], 5) == []
        assert index.search_words([], 5) == []


@pytest.mark.parametrize(
    "filter", ["number = red", "team = 5", "number in (1, two)", {"number": {"gte": "2020"}}]
)
def test_a_filter_with_a_value_of_another_type_is_refused(tmp_path: Path, filter: object) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for call in (
            lambda: index.search(QUERIES, filter=filter),
            lambda: index.search_words(WORD_QUERIES, filter=filter),
            lambda: index.matching(filter),
        ):
            with pytest.raises(FilterError):
                call()


@pytest.mark.parametrize("filter", [5, [], "", "number >", {"number": object()}])
def test_an_invalid_filter_is_refused(tmp_path: Path, filter: object) -> None:
    with create_with(tmp_path / "i", STATE) as index, pytest.raises(FilterError):
        index.search(QUERIES, filter=filter)  # type: ignore[arg-type]


def test_values_that_a_column_cannot_hold_are_refused(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for metadata in ({"number": "soon"}, {"number": 1.5}, {"team": True}):
            with pytest.raises(DataError):
                index.replace([Document("x", "y", "", metadata)], toy_vectors([{0: 1.0}]))
        assert index.waiting == 0
        assert_holds(index, STATE)


def test_a_string_instead_of_a_list_is_refused(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        with pytest.raises(DataError, match="must be a list of ids"):
            index.delete("d1")
        with pytest.raises(DataError, match="must be a list of queries"):
            index.search_words("paper")


def test_a_second_writer_can_only_read(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as first, Index.open(tmp_path / "i") as second:
        first.delete(["d1"])
        for change in (
            lambda: put(second, [versioned(9, 0)]),
            lambda: second.delete(["d2"]),
            second.compact,
        ):
            with pytest.raises(IndexLocked, match="wait until it is done"):
                change()
        assert_holds(second, STATE)
        first.rollback()
        first.close()
        assert second.delete(["d2"]) == 1
