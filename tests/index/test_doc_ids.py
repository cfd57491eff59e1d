"""Ids in segments: equal to those of the catalog after merges, and refused if damaged."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_toys import SPACE, add_toys, make_toys, toy_vectors

from lexpand import Document, Index
from lexpand.errors import CorruptIndex
from lexpand.index.doc_ids import STARTS, TEXT, DocIds, concatenate

ids = st.lists(st.text(max_size=6).filter(lambda text: text.isprintable()), max_size=8)


@given(st.lists(ids, max_size=3), st.data())
def test_take_and_concatenate_agree_with_lists(lists: list[list[str]], data: st.DataObject) -> None:
    parts, expected = [], []
    for each in lists:
        kept = data.draw(
            st.lists(st.sampled_from(range(len(each))), unique=True).map(sorted)
            if each
            else st.just([])
        )
        parts.append(DocIds.of(each).take(np.array(kept, np.int64)))
        expected += [each[i] for i in kept]
    whole = concatenate(parts)
    assert whole.at(np.arange(len(expected), dtype=np.uint32)) == expected
    opened = DocIds.open(
        {kind: np.frombuffer(raw, np.uint8) for kind, raw in whole.sections}.get, len(expected)
    )
    assert opened is not None
    assert opened.at(np.arange(len(expected), dtype=np.uint32)[::-1]) == expected[::-1]


def test_hits_have_their_ids_after_replacements_deletions_and_merges(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [1, 2, 3], [4])
    with Index.open(path) as index:
        index.replace([Document("d2", "Zoë's")], toy_vectors([{0: 1.0, 5: 2.0}]))
        index.delete(["d3"])
        chunked = Document("dé", "first second")
        index.add([chunked], toy_vectors([{0: 1.0}, {0: 3.0}]), chunks=[[(0, 5), (6, 12)]])
        index.commit()
        for _ in range(2):
            (found,) = index.search(toy_vectors([{0: 1.0}]), 10)
            documents = index.documents([match.row for match in found])
            assert {match.doc_id for match in found} == {"d1", "d2", "d4", "dé"}
            assert [match.doc_id for match in found] == [
                documents[match.row].doc_id for match in found
            ]
            assert index.matching("not exists(x)") == ["d1", "d4", "d2", "dé"]
            assert index.check() == []
            index.compact()


def test_check_reports_an_id_that_differs_from_the_catalog(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", SPACE) as index:
        add_toys(index, 1, 2)
        index.commit()
    with sqlite3.connect(tmp_path / "i" / "catalog.sqlite") as database:
        database.execute("UPDATE documents SET doc_id = 'd9' WHERE doc_id = 'd2'")
    database.close()
    with Index.open(tmp_path / "i") as index:
        assert any("'d2'" in fault and "'d9'" in fault for fault in index.check())


def test_sections_of_another_size_are_refused() -> None:
    sections = {STARTS: np.zeros(24, np.uint8), TEXT: np.zeros(0, np.uint8)}
    assert DocIds.open(sections.get, 2) is not None
    with pytest.raises(
        CorruptIndex, match="sections 96 and 97, the ids of its documents, are missing"
    ):
        DocIds.open({}.get, 2)
    with pytest.raises(CorruptIndex, match="section 96 must have 32 bytes, got 24"):
        DocIds.open(sections.get, 3)


@pytest.mark.parametrize("starts", [[0, 5], [3, 1], [2**63, 2**64 - 1], [0, 2]])
def test_ids_outside_the_text_or_not_in_utf_8_are_refused(starts: list[int]) -> None:
    damaged = DocIds(np.array(starts, np.uint64), np.frombuffer(b"\xc3\xff\xff", np.uint8))
    with pytest.raises(CorruptIndex, match="string 0 is damaged"):
        damaged.at(np.zeros(1, np.uint32))
    with pytest.raises(CorruptIndex, match="string 1 is damaged"):
        damaged.at(np.ones(1, np.uint32))
