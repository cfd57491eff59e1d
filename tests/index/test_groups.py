"""Groups of search results: values that are equal in filters are one group."""

from pathlib import Path

from index_toys import SPACE, toy_vectors

from lexpand import Document, Index


def test_values_equal_in_filters_are_one_group(tmp_path: Path) -> None:
    values = [1, 1.0, True, "1", 0, -0.0, False, None, None, [1], [1.0]]
    with Index.create(tmp_path / "i", SPACE) as index:
        documents = [
            Document(f"d{n}", text="a text", metadata={"v": value})
            for n, value in enumerate(values)
        ]
        index.add(documents, toy_vectors([{0: 20.0 - n} for n in range(len(values))]))
        index.commit()
        (found,) = index.search(toy_vectors([{0: 1.0}]), 20, group_by="v")
    assert [match.doc_id for match in found] == ["d0", "d2", "d3", "d4", "d6", "d7", "d8", "d9"]
