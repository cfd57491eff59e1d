"""Reader processes during writes, and the files and texts that their leases keep."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from change_model import Changes, all_results, assert_holds, create, create_with, put, versioned
from index_toys import ids_in, make_toys

from lexpand import Index, SparseVectors
from lexpand.errors import IndexStateError

HERE = Path(__file__).parent


@contextmanager
def reader(path: Path, warm_up: float) -> Iterator[subprocess.Popen]:
    command = [sys.executable, str(HERE / "reader_rounds.py"), str(path), str(warm_up)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def write_for(index: Index, seconds: float) -> int:
    """Make random changes; return the number of commits."""
    model, choices, end = Changes(), random.Random(5), time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(choices.randrange(4)):
            documents = [versioned(choices.randrange(60), choices.randrange(3)) for _ in range(2)]
            for doc_id in dict.fromkeys(document.doc_id for document in documents):
                assert index.delete([doc_id]) == model.delete(doc_id)
        versions = {
            number: versioned(number, choices.randrange(3))
            for number in choices.choices(range(60), k=6)
        }
        assert put(index, versions.values()) == sum(
            [model.put(document) for document in versions.values()]
        )
        model.commit()
        index.compact() if choices.random() < 0.05 else index.commit()
        time.sleep(0.01)
    assert_holds(index, model.committed)
    return index.commit_info.commit_id


def check_readers_during_writes(path: Path, readers: int, seconds: float) -> None:
    with create(path) as index, ExitStack() as stack:
        processes = [stack.enter_context(reader(path, seconds / 4)) for _ in range(readers)]
        commits = write_for(index, seconds)
        assert commits > 10
        for process in processes:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            counts = json.loads(output)
            assert counts["rounds"] >= 3, counts
            assert counts["newer"] >= 2, counts
            assert counts["end"] <= counts["warm"] * 1.2 + 20e6, counts
        assert index.check() == []
        index.compact()
        assert len(list((path / "segments").iterdir())) == 1
        assert len(list((path / "leases").iterdir())) == 1  # that of the index


def test_readers_see_consistent_commits_during_writes(tmp_path: Path) -> None:
    check_readers_during_writes(tmp_path / "i", readers=3, seconds=5)


@pytest.mark.slow
def test_readers_see_consistent_commits_during_long_writes(tmp_path: Path) -> None:
    check_readers_during_writes(
        tmp_path / "i", readers=8, seconds=float(os.environ.get("LEXPAND_READERS_SECONDS", "600"))
    )


# Leases


STATE = {f"d{number}": versioned(number, 0) for number in range(12)}


def segments(path: Path) -> set[str]:
    return {file.name for file in (path / "segments").iterdir()}


def test_a_retired_segment_stays_while_it_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with create_with(path, STATE) as writer, Index.open(path) as old:
        before, found = segments(path), all_results(old)
        writer.delete(["d1"])
        writer.compact()
        assert before < segments(path)
        with Index.open(path) as newer:  # its lease is of a later commit
            put(writer, [versioned(70, 0)])
            writer.compact()
            assert before < segments(path)
            assert all_results(old) == found
            old.refresh()
            writer.compact()
            assert not before & segments(path)
            assert len(segments(path)) > 1
            assert_holds(newer, {i: d for i, d in STATE.items() if i != "d1"})
        writer.compact()
        assert len(segments(path)) == 1
    assert not (path / "leases").exists()


def test_a_closed_reader_releases_its_lease(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with create_with(path, STATE) as writer:
        old = Index.open(path)
        writer.delete(["d1"])
        writer.compact()
        assert len(segments(path)) == 2
        old.close()
        writer.compact()
        assert len(segments(path)) == 1


HOLD = """
import sys
from lexpand import Index
index = Index.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_killed_reader_releases_its_lease(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with create_with(path, STATE) as writer:
        command = [sys.executable, "-c", HOLD, str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            writer.delete(["d1"])
            writer.compact()
            assert len(segments(path)) == 2
            process.kill()
        assert len(list((path / "leases").iterdir())) == 2
        writer.compact()
        assert len(segments(path)) == 1
        assert len(list((path / "leases").iterdir())) == 1
        assert b"number1. " not in bytes_of_catalog(path)


# Deleted texts


def bytes_of_catalog(path: Path) -> bytes:
    return b"".join(
        file.read_bytes() for file in path.glob("catalog.sqlite*") if not file.name.endswith("-shm")
    )


@pytest.mark.parametrize("everything", [False, True])
def test_compact_removes_deleted_texts_from_the_disk(tmp_path: Path, everything: bool) -> None:
    path = tmp_path / "i"
    with create_with(path, STATE) as index:
        assert b"number1. " in bytes_of_catalog(path)
        index.delete(list(STATE) if everything else ["d1"])
        put(index, [versioned(2, 1)])
        index.compact()
        found = bytes_of_catalog(path)
        assert b"number1. " not in found
        assert b"paper blue version0. Paper number2. " not in found
        assert (b"number3. " in found) == (not everything)
    assert b"number1. " not in bytes_of_catalog(path)


def test_a_deleted_text_stays_until_its_last_reader_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with create_with(path, STATE) as index:
        with Index.open(path) as old:
            index.delete(["d1"])
            index.compact()
            assert old.document("d1") == STATE["d1"]
            (row,) = [
                match.row for match in old.search(one_term(0), 100)[0] if match.doc_id == "d1"
            ]
            assert old.documents([row])[row] == STATE["d1"]
        index.compact()
        assert b"number1. " not in bytes_of_catalog(path)
        assert index.check() == []


def one_term(term: int) -> SparseVectors:
    return SparseVectors.from_rows([{term: 1.0}], 16)


# Removed and replaced folders


def test_a_reader_refuses_to_write_to_a_removed_folder(tmp_path: Path) -> None:
    path = tmp_path / "i"
    create_with(path, STATE).close()
    reader = Index.open(path)
    found = reader.search(one_term(0), 3)
    shutil.rmtree(path)
    assert reader.search(one_term(0), 3) == found  # the mapped segments stay readable
    for change in (
        reader.refresh,
        lambda: put(reader, [versioned(1, 1)]),
        lambda: reader.delete(["d1"]),
    ):
        with pytest.raises(
            IndexStateError, match="was removed or replaced since it was opened: open it again"
        ):
            change()
    reader.close()
    assert not path.exists()


def test_an_open_index_does_not_touch_its_replacement(tmp_path: Path) -> None:
    """It neither removes files of the new index nor writes to the removed one."""
    path = tmp_path / "i"
    create_with(path, STATE).close()
    with Index.open(path) as old, Index.open(path) as writer:
        put(writer, [versioned(70, 0)])
        shutil.rmtree(path)
        create_with(path, STATE).close()
        before = segments(path)
        for change in (
            old.refresh,
            lambda: put(old, [versioned(1, 1)]),
            old.compact,
            writer.commit,
            writer.compact,
        ):
            with pytest.raises(IndexStateError, match="was removed or replaced"):
                change()
    assert segments(path) == before
    with Index.open(path) as index:
        assert_holds(index, STATE)
        assert index.check() == []


def test_a_forked_child_takes_its_own_lease(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [1, 2])
    with Index.open(path) as index:
        child = os.fork()
        if child == 0:
            held = ids_in(index) == ["d1", "d2"] and len(list((path / "leases").iterdir())) == 2
            os._exit(0 if held else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
