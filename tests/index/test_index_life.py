"""An index from creation to closing: what its readers and writers see."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from index_toys import (
    EVERYTHING,
    SPACE,
    TERMS,
    RealCollection,
    add_toys,
    ids_in,
    make_toys,
    same_to_the_bit,
    space_of,
    toy_document,
    toy_rows,
    toy_vectors,
)

from lexpand import Document, Index, ModelId, SparseVectors
from lexpand.errors import (
    ContractMismatch,
    DataError,
    DuplicateDocument,
    IndexLocked,
    IndexStateError,
    UnknownDocument,
    VectorError,
)
from lexpand.index import Presence

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some folder" / "toys.index"


def run_python(code: str, *arguments: object) -> str:
    """Run code in another process that can import `index_toys`; return what it prints."""
    header = f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
    command = [sys.executable, "-c", header + code, *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


# Creation


def test_a_new_index_is_empty(path: Path) -> None:
    assert not Index.exists(path)
    with Index.create(path, SPACE) as index:
        assert (len(index), index.commit_info.commit_id, ids_in(index)) == (0, 0, [])
        assert index.space == SPACE
        assert repr(index) == f"<Index {str(path)!r}: 0 documents, toy (000000000000)>"
    assert Index.exists(path)
    with Index.open(path) as index:
        assert (len(index), index.space) == (0, SPACE)


def test_an_empty_folder_becomes_an_index(path: Path) -> None:
    path.mkdir(parents=True)
    Index.create(path, SPACE).close()
    assert Index.exists(path)


def test_an_existing_index_is_not_overwritten(path: Path) -> None:
    make_toys(path, [1])
    with pytest.raises(IndexStateError, match="already holds an index"):
        Index.create(path, SPACE)
    with Index.open(path) as index:
        assert ids_in(index) == ["d1"]
    (path.parent / "empty").mkdir()
    Index.create(path.parent / "empty index", SPACE).close()
    with pytest.raises(IndexStateError, match="already holds an index"):
        Index.create(path.parent / "empty index", SPACE)


def test_a_folder_with_other_files_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        IndexStateError, match="is not empty and holds no index: choose another folder"
    ):
        Index.create(path, SPACE)
    assert not Index.exists(path)
    assert [entry.name for entry in path.iterdir()] == ["thesis.txt"]


# Adding and committing


def test_additions_are_visible_after_commit(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        assert add_toys(index, 1, 2) == 2
        assert (len(index), ids_in(index)) == (0, [])
        with pytest.raises(UnknownDocument):
            index.document("d1")
        commit = index.commit()
        assert (commit.commit_id, commit.documents, len(index)) == (1, 2, 2)
        assert ids_in(index) == ["d1", "d2"]
        assert index.document("d1") == toy_document(1)
        add_toys(index, 3)
        assert index.commit().commit_id == 2
        assert ids_in(index) == ["d1", "d2", "d3"]
        assert (index.info().segments, index.info().passages, index.info().nnz) == (2, 3, 6)
    with Index.open(path) as index:
        assert ids_in(index) == ["d1", "d2", "d3"]
        assert index.commit_info.commit_id == 2
        add_toys(index, 4)
        assert index.commit().commit_id == 3
        assert {hit.doc_id: hit.row for hit in same_to_the_bit(index, EVERYTHING, 10)[0]}["d4"] == 3


def test_a_commit_without_changes_does_nothing(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        assert index.commit().commit_id == 0
        add_toys(index, 1)
        index.commit()
        assert index.commit().commit_id == 1
        assert index.add([], toy_vectors([])) == 0
        assert index.commit().commit_id == 1
        assert len(list((path / "segments").iterdir())) == 1


def test_uncommitted_changes_are_discarded(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        add_toys(index, 1)
        index.commit()
        add_toys(index, 2)
        index.rollback()
        assert index.commit().commit_id == 1
        add_toys(index, 3)
    with Index.open(path) as index:
        assert ids_in(index) == ["d1"]
        assert add_toys(index, 2, 3) == 2


def test_equal_content_is_skipped(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        assert add_toys(index, 1, 2) == 2
        assert add_toys(index, 2, 3) == 1  # 2 is not committed yet
        index.commit()
        assert add_toys(index, 1, 4, 3, 4) == 1  # 1 and 3 are committed, 4 is repeated
        index.commit()
        assert ids_in(index) == ["d1", "d2", "d3", "d4"]
        # A document has its own vector, although others before it were skipped.
        assert index.vector("d4").terms.tolist() == sorted(toy_rows([4])[0])
        source = Document(
            "d1", toy_document(1).text, toy_document(1).title, {"n": 1}, "elsewhere:7"
        )
        assert index.presence([source, toy_document(9), toy_document(1, "other")]) == [
            Presence.SAME,
            Presence.NEW,
            Presence.OTHER,
        ]


@pytest.mark.parametrize("committed", [True, False])
def test_other_content_for_an_id_is_refused(path: Path, committed: bool) -> None:
    with Index.create(path, SPACE) as index:
        add_toys(index, 1)
        if committed:
            index.commit()
        with pytest.raises(
            DuplicateDocument, match=r"doc_id 'd1' \(toys:1\) is already taken by a document with"
        ):
            index.add([toy_document(2), toy_document(1, "changed")], toy_vectors(toy_rows([2, 1])))
        index.commit()
        assert ids_in(index) == ["d1"]
        assert index.document("d1").text == "a text 1"


def test_two_contents_for_an_id_in_one_call_are_refused(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        with pytest.raises(DuplicateDocument, match="'d2'"):
            index.add(
                [toy_document(1), toy_document(2), toy_document(2, "changed")],
                toy_vectors(toy_rows([1, 2, 2])),
            )
        assert index.commit().documents == 0


def test_vectors_that_do_not_fit_the_index_are_refused(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        with pytest.raises(VectorError, match="got 1 rows for 2 documents"):
            index.add([toy_document(1), toy_document(2)], toy_vectors([{1: 1.0}]))
        with pytest.raises(VectorError, match=f"over the {TERMS} terms of .*, got 5 terms"):
            index.add([toy_document(1)], toy_vectors([{1: 1.0}], 5))
        other = SparseVectors([0, 1], [1], [1.0], TERMS, ModelId("other", "1" * 64))
        with pytest.raises(
            ContractMismatch, match=r"holds vectors of toy \(0{12}\), not of other \(1{12}\)"
        ):
            index.add([toy_document(1)], other)
        assert index.commit().documents == 0


def test_models_are_compared_by_hash(path: Path) -> None:
    """Vectors of an unknown model, and of a renamed model, can be added together."""
    with Index.create(path, SPACE) as index:
        for number, model in enumerate([None, SPACE.model, ModelId("renamed", SPACE.model.hash)]):
            index.add([toy_document(number)], SparseVectors([0, 1], [0], [1.0], TERMS, model))
        index.commit()
        assert ids_in(index) == ["d0", "d1", "d2"]


def test_unknown_documents_are_refused(path: Path) -> None:
    with Index.open(make_toys(path, [1])) as index:
        for call in (index.document, index.vector):
            with pytest.raises(UnknownDocument, match="has no document 'd2'"):
                call("d2")


def test_stored_vectors_are_returned(path: Path) -> None:
    with Index.create(path, SPACE) as index:
        index.add([toy_document(1)], toy_vectors([{2: 3.0, 7: 1.5, 9: 0.0}]))
        index.commit()
        stored = index.vector("d1")
        assert stored.terms.tolist() == [2, 7]
        assert stored.weights.tolist() == pytest.approx([3.0, 1.5], rel=1e-4)
        assert (stored.impacts * float(stored.scale)).tolist() == stored.weights.tolist()


def test_a_closed_index_is_refused(path: Path) -> None:
    index = Index.open(make_toys(path, [1]))
    index.close()
    index.close()
    for call in (
        lambda: index.search(EVERYTHING),
        lambda: index.document("d1"),
        lambda: add_toys(index, 2),
    ):
        with pytest.raises(IndexStateError, match="is closed: open it again"):
            call()
    with Index.open(path) as again:
        assert add_toys(again, 2) == 1


# Writers


def test_a_process_has_one_writer(path: Path) -> None:
    make_toys(path, [1])
    with Index.open(path) as one, Index.open(path) as two:
        add_toys(one, 2)
        with pytest.raises(
            IndexLocked, match="is being written by another process or Index object: wait"
        ):
            add_toys(two, 3)
        assert ids_in(two) == ["d1"]
        one.commit()
        with pytest.raises(IndexLocked):
            add_toys(two, 3)
        one.close()
        add_toys(two, 3)
        two.commit()
        assert ids_in(two) == ["d1", "d2", "d3"]


WRITE = """
from index_toys import *
from lexpand.errors import IndexLocked
index = Index.open(sys.argv[1])
try:
    print(add_toys(index, 50), index.commit().documents)
except IndexLocked as error:
    print("locked", sys.argv[1] in str(error))
"""


def test_processes_share_one_writer(path: Path) -> None:
    make_toys(path, [1])
    with Index.open(path) as index:
        add_toys(index, 2)
        assert run_python(WRITE, path) == "locked True"
    assert run_python(WRITE, path) == "1 2"


HOLD = """
from index_toys import *
index = Index.open(sys.argv[1])
add_toys(index, 70)
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_releases_its_lock(path: Path) -> None:
    make_toys(path, [1])
    code = f"import sys; sys.path.insert(0, {str(HERE)!r})\n" + HOLD
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        with Index.open(path) as index:
            with pytest.raises(IndexLocked):
                add_toys(index, 2)
            holder.kill()
            holder.wait()
            assert add_toys(index, 2) == 1
            index.commit()
            assert ids_in(index) == ["d1", "d2"]


def test_a_lock_taken_in_one_thread_is_released_in_another(path: Path) -> None:
    index = Index.create(path, SPACE)
    thread = Thread(target=add_toys, args=(index, 1))
    thread.start()
    thread.join()
    index.commit()
    index.close()
    with Index.open(path) as again:
        assert add_toys(again, 2) == 1


# Readers


def test_a_reader_keeps_its_commit(path: Path) -> None:
    make_toys(path, [1])
    with Index.open(path) as reader:
        with Index.open(path) as writer:
            add_toys(writer, 2)
            writer.commit()
            assert ids_in(writer) == ["d1", "d2"]
        assert ids_in(reader) == ["d1"]
        assert len(reader) == 1
        for call in (reader.document, reader.vector):
            with pytest.raises(UnknownDocument, match="'d2'"):
                call("d2")
        assert reader.document("d1") == toy_document(1)
    with Index.open(path) as reader:
        assert ids_in(reader) == ["d1", "d2"]


def test_a_reader_that_writes_sees_the_newest_commit(path: Path) -> None:
    make_toys(path, [1])
    with Index.open(path) as late, Index.open(path) as writer:
        add_toys(writer, 2)
        writer.commit()
        writer.close()
        assert add_toys(late, 2, 3) == 1
        late.commit()
        assert ids_in(late) == ["d1", "d2", "d3"]


def test_threads_can_share_an_index(real: RealCollection) -> None:
    with Index.open(real.path) as index, ThreadPoolExecutor(8) as pool:
        expected = index.search(real.queries, 20)

        def call(i: int) -> bool:
            (found,) = index.search(real.queries[i : i + 1], 20)
            documents = index.documents([match.row for match in found])
            vector = index.vector(found[0].doc_id)
            named = [documents[match.row].doc_id for match in found] == [
                match.doc_id for match in found
            ]
            return found == expected[i] and named and len(vector.terms) > 0

        assert all(pool.map(call, [i % 50 for i in range(400)]))


FORK = """
import os, signal
from threading import Event, Thread
from index_toys import *
from lexpand.errors import IndexLocked

def open_files():
    # The open files of SQLite; none if the system does not list them.
    links = []
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return [link for link in links if "catalog.sqlite" in link]

def child(index, before):
    signal.alarm(20)  # limits the wait for a lock
    passed = open_files() == [] and ids_in(index) == before
    passed = passed and index.document("d1") == toy_document(1)
    passed = passed and index.vector("d2").terms.tolist() == [0, 3]
    index.close()
    os._exit(0 if passed else 1)

index = Index.open(sys.argv[1])
before = ids_in(index)
add_toys(index, 70)
done = Event()
def read():
    while not done.is_set():
        index.document("d2")
thread = Thread(target=read)
thread.start()
codes = set()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        child(index, before)
    codes.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if codes != {0}:
        break
done.set()
thread.join()
print(codes, ids_in(index) == before)
try:
    add_toys(Index.open(sys.argv[1]), 71)
    print("a child released the lock of its parent")
except IndexLocked:
    print(index.commit().documents)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_searches(path: Path) -> None:
    make_toys(path, [1], [2])
    assert run_python(FORK, path).split() == ["{0}", "True", "3"]


def test_a_pickle_opens_the_path(path: Path) -> None:
    with Index.open(make_toys(path, [1], [2]), verify=False) as index:
        add_toys(index, 3)
        with pickle.loads(pickle.dumps(index)) as again:
            assert again.path == path
            assert again._verify is False
            assert ids_in(again) == ["d1", "d2"]


def test_info_has_the_counts_and_sizes(path: Path) -> None:
    with Index.open(make_toys(path, [1], [2, 3])) as index:
        info = index.info()
        files = list((path / "segments").iterdir())
        assert (info.segments, info.passages, info.nnz, info.commit.documents) == (2, 3, 6, 3)
        assert info.segment_bytes == sum(file.stat().st_size for file in files)
        assert info.catalog_bytes >= (path / "catalog.sqlite").stat().st_size > 0
        assert info.space == space_of(TERMS)
        assert info.commit == index.commit_info
        assert info.commit.created_at.endswith("+00:00")


@pytest.mark.parametrize(
    ("k", "threads", "message"),
    [
        (-1, 1, "k must be >= 0, got -1"),
        (1, 0, "threads must be >= 1, got 0"),
        (1, -1, "threads must be >= 1, got -1"),
    ],
)
def test_invalid_numbers_are_refused(path: Path, k: int, threads: int, message: str) -> None:
    with Index.create(path, SPACE) as index, pytest.raises(DataError, match=message):
        index.search(SparseVectors.empty(1, len(SPACE.vocabulary)), k, threads=threads)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": "3"}, "k must be an integer >= 0, got '3' .str."),
        ({"threads": 1.5}, "threads must be an integer >= 1, got 1.5 .float."),
        ({"effort": "all"}, "effort must be a number, got 'all' .str."),
        ({"effort": float("nan")}, "effort must be > 0 and <= 1 .exact., got nan"),
        ({"filter": 5}, "a filter must be a mapping or a text, got 5 .int."),
        ({"queries": "a text"}, "vectors must be SparseVectors, got 'a text' .str.: encode texts"),
    ],
    ids=str,
)
def test_arguments_of_another_type_are_refused(
    path: Path, settings: dict[str, object], message: str
) -> None:
    queries = SparseVectors.empty(1, len(SPACE.vocabulary))
    with Index.create(path, SPACE) as index, pytest.raises(DataError, match=message):
        index.search(**{"queries": queries, **settings})  # type: ignore[arg-type]
