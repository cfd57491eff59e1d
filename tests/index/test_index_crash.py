"""Writers that are killed or interrupted: commits are complete or absent."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from index_toys import EVERYTHING, SPACE, add_toys, ids_in, make_toys, same_to_the_bit, toy_document

from lexpand import Index, _native
from lexpand.errors import IndexLocked
from lexpand.index.catalog import Catalog

HERE = Path(__file__).parent


@contextmanager
def killed_writers(path: Path) -> Iterator[Callable[[float], list[int]]]:
    """Yield a function that runs a writer for some seconds, kills it, and returns its commits."""
    command = [sys.executable, str(HERE / "crash_rounds.py"), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def one_round(seconds: float) -> list[int]:
            stdin.write(f"{seconds}\n")
            stdin.flush()
            return [int(number) for number in stdout.readline().split()]

        yield one_round
        stdin.close()
    assert process.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_killed_writer_keeps_its_commits(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [0])
    moments = random.Random(7)
    reported = {0}
    with killed_writers(path) as one_round:
        for _ in range(30):
            reported.update(one_round(moments.uniform(0.0, 0.1)))
            with Index.open(path) as index:
                found = ids_in(index)
                assert found == [f"d{number}" for number in range(len(index))]
                # No reported commit is missing. A writer may be killed before it reports its last
                # commit.
                assert reported <= set(range(len(index)))
                assert len(index) % 2 == 1
                documents = index.documents(range(len(index)))
                assert documents == {number: toy_document(number) for number in range(len(index))}
                assert index.vector(f"d{len(index) - 1}").terms.tolist()[0] == 0
                same_to_the_bit(index, EVERYTHING, 1000)
    assert len(reported) > 30
    with Index.open(path) as index:
        add_toys(index, 1_000_000)
        index.commit()
    assert {file.name for file in (path / "segments").iterdir()} == segment_names(path)


def segment_names(path: Path) -> set[str]:
    """Return the files that the catalog names."""
    catalog = Catalog.open(path)
    try:
        return catalog.segment_files()
    finally:
        catalog.close()


def test_the_next_writer_removes_unnamed_files(tmp_path: Path) -> None:
    path = make_toys(tmp_path / "i", [1])
    other = make_toys(tmp_path / "other", [2])
    segments = path / "segments"
    (segments / "00000002-0123456789abcdef.tmp").write_bytes(b"half")
    shutil.copy(next((other / "segments").iterdir()), segments / "00000002-fedcba9876543210.seg")
    (segments / "note.txt").write_text("a person's")
    with Index.open(path) as index:
        assert ids_in(index) == ["d1"]
        assert len(list(segments.iterdir())) == 4  # a reader removes nothing
        add_toys(index, 3)
        assert {file.name for file in segments.iterdir()} == {"note.txt", *segment_names(path)}
        index.commit()
        assert ids_in(index) == ["d1", "d3"]


def test_a_writer_without_the_lock_removes_nothing(tmp_path: Path) -> None:
    """A file that the catalog does not name may belong to a commit of the other writer."""
    path = make_toys(tmp_path / "i", [1])
    with Index.open(path) as writer, Index.open(path) as other:
        add_toys(writer, 2)
        (path / "segments" / "00000002-0123456789abcdef.tmp").write_bytes(b"half")
        with pytest.raises(IndexLocked):
            add_toys(other, 3)
        assert len(list((path / "segments").iterdir())) == 2


@pytest.mark.parametrize("left", ["nothing", "empty file", "empty database", "log"])
def test_an_interrupted_creation_can_be_repeated(tmp_path: Path, left: str) -> None:
    path = tmp_path / "i"
    path.mkdir()
    catalog = path / "catalog.sqlite"
    if left == "empty file":
        catalog.touch()
    elif left != "nothing":
        database = sqlite3.connect(catalog, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        if left == "log":
            database.execute("BEGIN")
            database.execute("CREATE TABLE settings (key TEXT)")
            shutil.copytree(path, tmp_path / "copy")
            path = tmp_path / "copy"
        database.close()
    assert not Index.exists(path)
    with Index.create(path, SPACE) as index:
        add_toys(index, 1)
        index.commit()
        assert ids_in(index) == ["d1"]


def test_an_interruption_after_the_commit_point_keeps_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Catalog.commit

    def commit_and_be_interrupted(*arguments: object) -> None:
        commit(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    path = make_toys(tmp_path / "i", [1])
    with Index.open(path) as index:
        add_toys(index, 2)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Catalog, "commit", commit_and_be_interrupted)
            index.commit()
        assert ids_in(index) == ["d1", "d2"]
        assert index.commit().commit_id == 2  # no change is waiting
        assert add_toys(index, 2, 3) == 1
        index.commit()
    with Index.open(path) as index:
        assert ids_in(index) == ["d1", "d2", "d3"]


@pytest.mark.parametrize("moment", ["before the segment", "before the commit point"])
def test_an_interruption_before_the_commit_point_keeps_the_changes_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = make_toys(tmp_path / "i", [1])
    with Index.open(path) as index:
        add_toys(index, 2)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            if moment == "before the segment":
                patch.setattr(_native, "write_segment", interrupt)
            else:
                patch.setattr(Catalog, "commit", interrupt)
            index.commit()
        assert ids_in(index) == ["d1"]
        assert len(list((path / "segments").iterdir())) == 1
        with Index.open(path) as reader:
            assert ids_in(reader) == ["d1"]
        index.commit()  # the addition still waits
        assert ids_in(index) == ["d1", "d2"]
