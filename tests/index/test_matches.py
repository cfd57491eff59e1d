"""`Matches` behaves as a list of `Match`, and gives access to its arrays."""

from pathlib import Path

import pytest
from index_toys import EVERYTHING, make_toys, toy_vectors

from lexpand import Document, Index
from lexpand.index import Match, Matches


@pytest.fixture
def found(tmp_path: Path) -> Matches:
    with Index.open(make_toys(tmp_path / "i", [1, 2], [3])) as index:
        (found,) = index.search(EVERYTHING, 10)
    return found


def test_matches_behave_as_a_list(found: Matches) -> None:
    plain = list(found)
    assert len(plain) == len(found) == 3
    assert all(type(match) is Match for match in plain)
    assert [found[i] for i in range(3)] == plain == [found[i] for i in (-3, -2, -1)]
    assert found == plain == found[:]
    assert plain == found
    assert found[1:] == plain[1:] != plain[:2]
    assert found != plain[:2]
    assert found[:0] == []
    assert repr(found) == repr(plain)
    assert plain[1] in found
    assert found.index(plain[2]) == 2
    assert list(reversed(found)) == plain[::-1]
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(TypeError):
        hash(found)


def test_matches_have_arrays(found: Matches) -> None:
    assert found.doc_ids == [match.doc_id for match in found]
    assert found.scores.tolist() == [match.score for match in found]
    assert found.rows.tolist() == [match.row for match in found]
    assert found.spans is None
    assert type(found[0].score) is float
    assert type(found[0].row) is int


def test_matches_have_the_spans_of_chunks(tmp_path: Path) -> None:
    with Index.open(make_toys(tmp_path / "i", [1])) as index:
        index.add(
            [Document("x", "one two")], toy_vectors([{5: 1.0}, {5: 2.0}]), chunks=[[(0, 3), (4, 7)]]
        )
        index.commit()
        (found,) = index.search(toy_vectors([{5: 1.0}]), 10)
    assert found.spans == [match.span for match in found]
    assert found[0].span == found[:1][0].span == (4, 7)
