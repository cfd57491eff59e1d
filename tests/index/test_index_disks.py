"""Read-only and full disks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from index_toys import (
    EVERYTHING,
    SPACE,
    add_toys,
    ids_in,
    make_toys,
    same_to_the_bit,
    toy_document,
    toy_vectors,
)

from lexpand import Index
from lexpand.errors import StorageError


def test_a_read_only_index_can_be_searched(
    tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    place = read_only(make_toys(tmp_path / "i", [1, 2], [3]))
    before = {entry.name for entry in place.iterdir()}
    assert Index.exists(place)
    with Index.open(place) as index:
        assert ids_in(index) == ["d1", "d2", "d3"]
        same_to_the_bit(index, EVERYTHING, 2)
        assert index.document("d3") == toy_document(3)
        with pytest.raises(
            StorageError, match=r"read only 0 is not writable .*: choose a writable folder"
        ):
            add_toys(index, 4)
        assert ids_in(index) == ["d1", "d2", "d3"]
        assert index.commit().commit_id == 2
    assert {entry.name for entry in place.iterdir()} == before


def test_a_read_only_empty_index_can_be_opened(
    tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    place = read_only(make_toys(tmp_path / "i"))
    assert Index.exists(place)
    with Index.open(place) as index:
        assert ids_in(index) == []
        with pytest.raises(StorageError, match="is not writable"):
            add_toys(index, 4)


def test_a_read_only_mount_shows_commits_of_a_writer(
    tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    """SQLite's log is in use, and its commits are visible."""
    path = make_toys(tmp_path / "i", [1])
    with Index.open(path) as writer:
        add_toys(writer, 2)
        writer.commit()
        assert (path / "catalog.sqlite-wal").stat().st_size > 0
        with Index.open(read_only(path)) as index:
            assert ids_in(index) == ["d1", "d2"]


def test_creating_an_index_in_a_read_only_folder_is_refused(
    tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    (tmp_path / "empty").mkdir()
    place = read_only(tmp_path / "empty")
    for path in (place, place / "new"):
        with pytest.raises(StorageError, match=r"read only 0"):
            Index.create(path, SPACE)
    assert not Index.exists(place)
    assert list(place.iterdir()) == []


def big_documents(first: int) -> list:
    return [toy_document(first + i, "some text " * 200) for i in range(20)]


def add_big(index: Index, first: int) -> None:
    index.add(big_documents(first), toy_vectors([{0: 1.0, 1: 2.0}] * 20))


def fill(index: Index) -> int:
    """Commit twenty documents at a time until the disk is full; return the number committed."""
    for number in range(0, 2000, 20):
        add_big(index, number)
        try:
            index.commit()
        except StorageError as error:
            assert "free some space and run it again; earlier commits are safe" in str(error)
            return number
    raise AssertionError("the disk never filled")


def test_a_full_disk_keeps_earlier_commits(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(700_000))
    path = small_disk / "i"
    with Index.create(path, SPACE) as index:
        committed = fill(index)
        assert committed > 0
        assert len(index) == committed == len(ids_in(index))
        # The folder holds no files other than those that the catalog names.
        assert len(list((path / "segments").iterdir())) == index.info().segments
        with Index.open(path) as reader:
            assert ids_in(reader) == [f"d{number}" for number in range(committed)]
            same_to_the_bit(reader, EVERYTHING, 1000)
        with pytest.raises(StorageError):
            index.commit()
        filler.unlink()
        assert index.commit().documents == committed + 20
        add_toys(index, 1_000_000)
        index.commit()
    with Index.open(path) as reader:
        assert len(ids_in(reader)) == committed + 21
        same_to_the_bit(reader, EVERYTHING, 1000)
        assert reader.documents([committed + 5])[committed + 5] == big_documents(committed)[5]


def test_an_index_of_a_full_disk_can_be_copied_and_continued(
    small_disk: Path, tmp_path: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(1_000_000))
    with Index.create(small_disk / "i", SPACE) as index:
        committed = fill(index)
    path = Path(shutil.copytree(small_disk / "i", tmp_path / "moved"))
    with Index.open(path) as index:
        assert len(ids_in(index)) == committed
        add_big(index, committed)
        assert index.commit().documents == committed + 20


def test_creating_an_index_on_a_full_disk_is_refused(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(StorageError, match=str(small_disk / "i")):
        Index.create(small_disk / "i", SPACE)
    filler.unlink()
    assert not Index.exists(small_disk / "i")
    Index.create(small_disk / "i", SPACE).close()
    assert Index.exists(small_disk / "i")
