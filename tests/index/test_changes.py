"""Random sequences of changes, compared with a dictionary and with an index built at once."""

import shutil
import tempfile
from pathlib import Path

import pytest
from change_model import (
    QUERIES,
    Changes,
    State,
    all_results,
    assert_holds,
    chunks_of,
    create,
    create_with,
    put,
    rows_of,
    versioned,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from index_toys import SPACE, make_toys, toy_vectors

from lexpand import Document, Index, SparseVectors
from lexpand.errors import DuplicateDocument, UnknownDocument

numbers = st.integers(0, 11)
documents = st.lists(
    st.builds(versioned, numbers, st.integers(0, 2)), max_size=6, unique_by=lambda d: d.doc_id
)
ids = st.lists(numbers.map("d{}".format), max_size=6)
steps = st.one_of(
    st.tuples(st.just("add"), documents),
    st.tuples(st.just("replace"), documents),
    st.tuples(st.just("replace"), documents),
    st.tuples(st.just("delete"), ids),
    st.tuples(
        st.sampled_from(
            ["commit", "commit", "rollback", "reopen", "compact", "refresh", "compare", "burst"]
        )
    ),
)


class IndexHistory:
    """An index and a second reader, with their expected content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "i"
        self.model = Changes()
        self.index = create(self.path)
        self.reader = Index.open(self.path)
        self.seen: State = {}
        self._rebuilds = 0
        self._bursts = 0

    def do(self, name: str, *arguments: list) -> None:
        getattr(self, name)(*arguments)
        assert list(self.index.doc_ids()) == list(self.model.committed)
        assert len(self.index) == len(self.model.committed)
        assert len(self.reader) == len(self.seen)

    def add(self, documents: list[Document]) -> None:
        present = self.model.present()
        if any(present.get(document.doc_id, document) != document for document in documents):
            with pytest.raises(DuplicateDocument):
                put(self.index, documents, replace=False)
        else:
            expected = sum([self.model.put(document) for document in documents])
            assert put(self.index, documents, replace=False) == expected

    def replace(self, documents: list[Document]) -> None:
        expected = sum([self.model.put(document) for document in documents])
        assert put(self.index, documents) == expected

    def delete(self, doc_ids: list[str]) -> None:
        expected = sum([self.model.delete(doc_id) for doc_id in doc_ids])
        assert self.index.delete(doc_ids) == expected

    def commit(self) -> None:
        self.model.commit()
        assert self.index.commit().documents == len(self.model.committed)

    def burst(self) -> None:
        """Make so many small commits that segments are merged."""
        self._bursts += 1
        for number in range(8):
            self.replace([versioned(number, (self._bursts + number) % 3)])
            self.commit()
        assert self.index.info().segments < 8

    def rollback(self) -> None:
        self.model.rollback()
        self.index.rollback()

    def reopen(self) -> None:
        self.model.rollback()
        self.index.close()
        self.index = Index.open(self.path)

    def compact(self) -> None:
        self.model.commit()
        self.index.compact()
        info = self.index.info()
        assert info.segments == bool(self.model.committed)
        assert info.passages == info.live_passages

    def refresh(self) -> None:
        before = self.reader.commit_info
        assert self.reader.refresh() == (self.index.commit_info != before)
        self.seen = self.model.committed

    def compare(self) -> None:
        self._compare_with_rebuild(self.index, self.model.committed)
        self._compare_with_rebuild(self.reader, self.seen)

    def _compare_with_rebuild(self, index: Index, state: State) -> None:
        assert_holds(index, state)
        self._rebuilds += 1
        with create_with(self.folder / f"rebuilt{self._rebuilds}", state) as rebuilt:
            assert all_results(index) == all_results(rebuilt)

    def end(self) -> None:
        self.compare()
        for index in (self.index, self.reader):
            assert index.check() == []
            index.close()
        with Index.open(self.path) as index:
            assert_holds(index, self.model.committed)


@settings(max_examples=40)
@given(sequence=st.lists(steps, max_size=25))
def test_changes_match_the_model(sequence: list[tuple]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        history = IndexHistory(folder)
        for step in sequence:
            history.do(*step)
        history.end()
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
@settings(max_examples=1000)
@given(sequence=st.lists(steps, max_size=60))
def test_long_sequences_of_changes_match_the_model(sequence: list[tuple]) -> None:
    test_changes_match_the_model.hypothesis.inner_test(sequence)


# Chunks


def test_a_document_is_found_by_its_best_chunk(tmp_path: Path) -> None:
    long = Document("long", "one two three four", "")
    short = Document("short", "five", "")
    spans = [(0, 7), (4, 13), (14, 18)]
    with Index.create(tmp_path / "i", SPACE) as index:
        vectors = toy_vectors([{1: 1.0, 4: 1.0}, {1: 3.0, 2: 1.0}, {1: 2.0, 3: 8.0}, {1: 2.5}])
        assert index.add([long, short], vectors, chunks=[spans, [(0, 4)]]) == 2
        index.commit()
        queries = toy_vectors([{1: 1.0}, {3: 1.0}, {4: 1.0}, {1: 1.0, 4: 9.0}])
        found = index.search(queries, 10)
        assert found == index.search(queries, 10, exhaustive=True)
        assert [[(match.doc_id, match.span) for match in matches] for matches in found] == [
            [("long", (4, 13)), ("short", (0, 4))],
            [("long", (14, 18))],
            [("long", (0, 7))],
            [("long", (0, 7)), ("short", (0, 4))],
        ]
        assert index.search(queries, 1) == [matches[:1] for matches in found]
        assert [vector.terms.tolist() for vector in index.vectors("long")] == [
            [1, 4],
            [1, 2],
            [1, 3],
        ]
        assert index.delete(["long"]) == 1
        index.commit()
        assert [match.doc_id for match in index.search(queries, 10)[0]] == ["short"]
        assert index.check() == []


def test_k_documents_are_found_among_many_chunks(tmp_path: Path) -> None:
    """A document has more passages than k, so the search continues until it has k documents."""
    with Index.create(tmp_path / "i", SPACE) as index:
        documents = [Document(f"d{number}", "x" * 100) for number in range(4)]
        spans = [[(place, place + 1) for place in range(50)] for _ in documents]
        rows = [{1: 1.0 + number * 100 + place} for number in range(4) for place in range(50)]
        index.add(documents, toy_vectors(rows), chunks=spans)
        index.commit()
        for k in range(6):
            (found,) = index.search(toy_vectors([{1: 1.0}]), k)
            assert [(match.doc_id, match.span) for match in found] == [
                (f"d{number}", (49, 50)) for number in (3, 2, 1, 0)
            ][:k]
            assert [found] == index.search(toy_vectors([{1: 1.0}]), k, exhaustive=True)


# Merges


def test_a_merge_removes_many_dead_passages(tmp_path: Path) -> None:
    with create(tmp_path / "i") as index:
        put(index, [versioned(number, 0) for number in range(31) if number % 3])  # 20 passages
        index.commit()
        index.delete(["d1", "d2", "d4", "d5", "d7", "d8"])
        index.commit()
        assert (index.info().passages, index.info().live_passages) == (20, 14)
        index.delete(["d10"])
        index.commit()
        assert (index.info().passages, index.info().live_passages) == (13, 13)
        assert_holds(
            index, {f"d{number}": versioned(number, 0) for number in range(11, 31) if number % 3}
        )
        assert index.check() == []


def test_an_index_can_be_emptied_and_filled_again(tmp_path: Path) -> None:
    with create(tmp_path / "i") as index:
        put(index, [versioned(number, 0) for number in range(30)])
        index.commit()
        index.delete(list(index.doc_ids()))
        assert index.commit().documents == 0
        assert_holds(index, {})
        assert index.compact().documents == 0
        assert (index.info().segments, index.check()) == (0, [])
        assert list((tmp_path / "i" / "segments").iterdir()) == []
        put(index, [versioned(3, 1)])
        index.commit()
        (found,) = index.search(QUERIES[0:1])
        assert [match.row for match in found] == [30]  # row numbers are never reused


def test_an_old_snapshot_finds_deleted_documents(tmp_path: Path) -> None:
    state = {f"d{number}": versioned(number, 0) for number in range(12)}
    with create_with(tmp_path / "i", state) as index, Index.open(tmp_path / "i") as reader:
        before = all_results(reader)
        put(index, [versioned(number, 1) for number in range(6)])
        index.delete(["d9"])
        index.compact()
        assert_holds(reader, state)
        assert all_results(reader) == before
        with pytest.raises(UnknownDocument):
            index.document("d9")
        assert reader.refresh()
        with pytest.raises(UnknownDocument):
            reader.document("d9")


def test_a_replacement_has_its_own_chunks(tmp_path: Path) -> None:
    with create(tmp_path / "i") as index:
        put(index, [versioned(3, 0), versioned(4, 0)])
        put(index, [versioned(3, 1)])  # replaces a document that is not committed yet
        index.commit()
        put(index, [versioned(3, 2)])
        index.commit()
        assert len(index.vectors("d3")) == len(chunks_of(versioned(3, 2))) == 2
        assert [vector.terms.tolist() for vector in index.vectors("d3")] == [
            sorted(row) for row in rows_of(versioned(3, 2))
        ]


def test_an_interrupted_replacement_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ingest` commits after an interruption, which must keep the old document."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = make_toys(tmp_path / "i", [1])
    with Index.open(path) as index:
        new = Document("d1", "another text")
        vectors = toy_vectors([{1: 2.0}])
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(SparseVectors, "__getitem__", interrupt)
            index.replace([new], vectors)
        index.commit()
        assert index.document("d1") != new
        index.replace([new], vectors)
        index.commit()
        assert (index.document("d1"), len(index), index.check()) == (new, 1, [])
