"""What cannot be used is refused in words, and nothing of it is added."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from change_model import QUERIES, WORD_QUERIES, assert_holds, create, create_with, put, versioned
from index_toys import toy_vectors

from lexpand import Document, Index
from lexpand.errors import DataError, FilterError, IndexLocked, VectorError

STATE = {f"d{number}": versioned(number, 0) for number in range(4)}


@pytest.mark.parametrize("spans", [[], [(0, 99)], [(-1, 2)], [(3, 2)], [(0, 2), (4, 99)]])
def test_chunks_outside_the_text(tmp_path: Path, spans: Sequence[tuple[int, int]]) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        vectors = toy_vectors([{0: 1.0}] * len(spans))
        with pytest.raises(DataError, match=r"document 'x' of 6 characters has the chunks \["):
            index.add([Document("x", "a text")], vectors, chunks=[spans])
        assert (index.waiting, index.commit().commit_id) == (0, 1)
        assert_holds(index, STATE)


def test_other_numbers_of_chunks(tmp_path: Path) -> None:
    documents = [Document("x", "a text"), Document("y", "a text")]
    with create_with(tmp_path / "i", STATE) as index:
        with pytest.raises(
            DataError, match="2 documents with chunks of 1: one list of chunks for each"
        ):
            index.add(documents, toy_vectors([{0: 1.0}]), chunks=[[(0, 1)]])
        with pytest.raises(VectorError, match="3 chunks with 2 vectors: one vector for each"):
            index.add(documents, toy_vectors([{0: 1.0}] * 2), chunks=[[(0, 1)], [(0, 1), (1, 2)]])
        assert index.waiting == 0


def test_the_same_chunk_twice(tmp_path: Path) -> None:
    """Neither wrong nor useful: the first of equal ones is named, and the document is found once."""
    with create(tmp_path / "i") as index:
        spans = [(0, 3), (0, 3), (0, 6), (2, 2)]
        index.add([Document("x", "a text")], toy_vectors([{0: 1.0}] * 4), chunks=[spans])
        index.commit()
        (found,) = index.search(QUERIES[0:1], 10)
        assert [(match.doc_id, match.span) for match in found] == [("x", (0, 3))]
        assert [found] == index.search(QUERIES[0:1], 10, exhaustive=True)
        assert len(index.search_words(["text"], 10)[0]) == 1
        assert index.check() == []


def test_no_documents_at_all(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for options in ({}, {"filter": "number > 1"}, {"group_by": "team"}):
            assert index.search(QUERIES, 0, **options) == [[]] * len(QUERIES)
            assert index.search_words(WORD_QUERIES, 0, **options) == [[]] * len(WORD_QUERIES)
        assert index.search(QUERIES[0:0], 5) == []
        assert index.search_words([], 5) == []


@pytest.mark.parametrize(
    "filter", ["number = red", "team = 5", "number in (1, two)", {"number": {"gte": "2020"}}]
)
def test_a_filter_that_a_column_cannot_answer(tmp_path: Path, filter: object) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for ask in (
            lambda: index.search(QUERIES, filter=filter),
            lambda: index.search_words(WORD_QUERIES, filter=filter),
            lambda: index.matching(filter),
        ):
            with pytest.raises(FilterError):
                ask()


@pytest.mark.parametrize("filter", [5, [], "", "number >", {"number": object()}])
def test_a_filter_that_is_none(tmp_path: Path, filter: object) -> None:
    with create_with(tmp_path / "i", STATE) as index, pytest.raises(FilterError):
        index.search(QUERIES, filter=filter)  # type: ignore[arg-type]


def test_values_that_a_column_cannot_hold(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        for metadata in ({"number": "soon"}, {"number": 1.5}, {"team": True}):
            with pytest.raises(DataError):
                index.replace([Document("x", "y", "", metadata)], toy_vectors([{0: 1.0}]))
        assert index.waiting == 0
        assert_holds(index, STATE)


def test_strings_that_should_be_lists(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        with pytest.raises(DataError, match="it must be a list of ids"):
            index.delete("d1")
        with pytest.raises(DataError, match="it must be a list of queries"):
            index.search_words("paper")


def test_a_second_writer_can_do_nothing_but_read(tmp_path: Path) -> None:
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
