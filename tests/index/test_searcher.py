"""A searcher owns its snapshot: its results stay readable as long as it exists."""

import gc
import os
import threading
from pathlib import Path

import pytest
from change_model import QUERIES, Changes, create, create_with, put, versioned
from snapshot_rounds import read_during_writes

from lexpand import Index
from lexpand.errors import IndexStateError, UnknownDocument

STATE = {f"d{number}": versioned(number, 0) for number in range(12)}


def lease_count(path: Path) -> int:
    folder = path / "leases"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def check_reads_during_writes(path: Path, seconds: float) -> None:
    model = Changes()
    with create(path) as index:
        for document in STATE.values():
            model.put(document)
        put(index, STATE.values())
        index.commit()
        model.commit()
        observed = read_during_writes(index, model, seconds)
        assert observed.errors == []
        assert observed.wrong() == []
        assert observed.rounds > 20 and len(observed.commits) > 5 and len(observed.states) > 20, (
            observed.rounds
        )
        assert index.check() == []
        gc.collect()
        index.compact()
        assert lease_count(path) == 1, "the index's own"
        assert len(list((path / "segments").iterdir())) == 1


def test_threads_read_their_snapshot_during_writes(tmp_path: Path) -> None:
    check_reads_during_writes(tmp_path / "i", 4)


@pytest.mark.slow
def test_threads_read_their_snapshot_during_a_minute_of_writes(tmp_path: Path) -> None:
    check_reads_during_writes(
        tmp_path / "i", float(os.environ.get("LEXPAND_SEARCHER_SECONDS", "60"))
    )


def test_texts_stay_while_a_searcher_exists(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        searcher = index.searcher()
        (found,) = searcher.search(QUERIES[0:1], 100)
        index.delete(list(STATE))
        index.compact()
        assert len(index) == 0
        documents = searcher.documents([match.row for match in found])
        assert {document.doc_id: document for document in documents.values()} == STATE
        assert searcher.search(QUERIES[0:1], 100) == [found]
        assert len(searcher) == 12
        del searcher
        index.compact()
        assert lease_count(tmp_path / "i") == 1
        assert not (tmp_path / "i" / "segments").exists() or not list(
            (tmp_path / "i" / "segments").iterdir()
        )


def test_a_deleted_row_is_not_reported_as_damage(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        rows = [match.row for match in index.search(QUERIES[0:1], 100)[0]]
        index.delete(["d3"])
        index.compact()
        with pytest.raises(
            UnknownDocument,
            match=r"deleted since: read the results of a search through the `Index\.sea",
        ):
            index.documents(rows)
        assert index.check() == []


def test_a_searcher_survives_a_refresh_but_not_close(tmp_path: Path) -> None:
    index = create_with(tmp_path / "i", STATE)
    searcher = index.searcher()
    put(index, [versioned(70, 0)])
    index.commit()
    assert (len(searcher), len(index)) == (12, 13)
    index.close()
    with pytest.raises(IndexStateError, match="is closed: open it again"):
        searcher.document("d1")


def test_threads_read_texts_concurrently(tmp_path: Path) -> None:
    """Each thread has a connection of its own, so that no reader waits for another."""
    with create_with(tmp_path / "i", STATE) as index:
        catalog, done = index._catalog, threading.Event()

        def read() -> None:
            assert index.document("d1") == STATE["d1"]
            done.set()

        with catalog.database.read():
            thread = threading.Thread(target=read)
            thread.start()
            assert done.wait(10), "a reader waits for another reader"
            thread.join()


def test_a_child_reads_after_a_fork_during_reads(tmp_path: Path) -> None:
    with create_with(tmp_path / "i", STATE) as index:
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                index.document("d1")

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    os._exit(0 if index.document("d2") == STATE["d2"] else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_a_reopened_index_has_a_searcher(tmp_path: Path) -> None:
    create_with(tmp_path / "i", STATE).close()
    with Index.open(tmp_path / "i") as index:
        assert list(index.searcher().doc_ids()) == list(STATE)
