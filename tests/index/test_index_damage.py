"""Folders that are no index, and indexes that are damaged: each says which file and what to do."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
from index_toys import EVERYTHING, SPACE, RealCollection, add_toys, ids_in, make_toys
from segment_reader import PlainSegment

from lexpand import Index
from lexpand.errors import (
    CorruptIndex,
    IndexStateError,
    LexpandError,
    NewerFormat,
    NotAnIndex,
    OlderFormat,
    StorageError,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_toys(tmp_path / "toys.index", [1, 2], [3])


def segment_of(path: Path) -> Path:
    """The file of the first segment."""
    return min((path / "segments").iterdir())


def change(file: Path, at: int, *, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def refused(path: Path, error: type[LexpandError], *said: str) -> None:
    with pytest.raises(error) as raised:
        Index.open(path)
    assert type(raised.value) is error
    for words in said:
        assert words in str(raised.value), raised.value


# Folders that are no index


def test_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", NotAnIndex, str(tmp_path / "nowhere"), "`lexpand index SOURCE")
    assert not (tmp_path / "nowhere").exists()
    assert not Index.exists(tmp_path / "nowhere")


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    refused(file, NotAnIndex, str(file), "an index is a folder")
    assert not Index.exists(file)
    with pytest.raises(
        StorageError, match=r"cannot make an index at .*file: .*; choose another place"
    ):
        Index.create(file, SPACE)
    with pytest.raises(StorageError, match="choose another place"):
        Index.create(file / "below", SPACE)
    assert file.read_text() == "text"


@pytest.mark.parametrize("files", [(), ("thesis.txt",), ("segments",)])
def test_a_folder_without_a_catalog(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (tmp_path / name).write_text("text")
    refused(tmp_path, NotAnIndex, str(tmp_path), "has no catalog.sqlite", "`lexpand index SOURCE")
    assert not Index.exists(tmp_path)


def test_an_interrupted_creation_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    refused(tmp_path, NotAnIndex, str(tmp_path), "is no index")


def test_a_catalog_that_is_no_database(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite"
    catalog.write_text("A list of the things in the cellar. " * 100)
    refused(
        tmp_path, CorruptIndex, str(catalog), "is damaged", "restore it from a copy, or index again"
    )
    with pytest.raises(IndexStateError, match=r"catalog\.sqlite"):
        Index.create(tmp_path, SPACE)
    assert catalog.read_text().startswith("A list")


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    """It is not opened, and above all not taken for the left-over of an interrupted creation."""
    catalog = tmp_path / "catalog.sqlite"
    database = sqlite3.connect(catalog)
    database.execute("CREATE TABLE books (title TEXT)")
    database.execute("INSERT INTO books VALUES ('Moby-Dick')")
    database.commit()
    refused(tmp_path, NotAnIndex, str(tmp_path), "its catalog.sqlite is not one of Lexpand")
    with pytest.raises(IndexStateError, match="choose another folder"):
        Index.create(tmp_path, SPACE)
    assert database.execute("SELECT title FROM books").fetchall() == [("Moby-Dick",)]
    database.close()
    assert catalog.is_file()


# Catalogs


def test_a_newer_catalog(path: Path) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("PRAGMA user_version = 4")
    database.close()
    refused(path, NewerFormat, str(path), "format 4", "reads up to 3: upgrade lexpand")
    with pytest.raises(IndexStateError):
        Index.create(path, SPACE)


def test_a_catalog_cut_anywhere(path: Path, tmp_path: Path) -> None:
    whole = (path / "catalog.sqlite").read_bytes()
    for part in (1, 10, 50, 90, 99):
        (path / "catalog.sqlite").write_bytes(whole[: len(whole) * part // 100])
        refused(
            path,
            CorruptIndex,
            str(path / "catalog.sqlite"),
            "restore it from a copy, or index again",
        )
    (path / "catalog.sqlite").write_bytes(b"")
    refused(path, NotAnIndex, str(path))


def test_bits_that_flip_in_the_catalog(path: Path) -> None:
    """SQLite has no checksums, so not every flip can be seen; one that is seen is an error of ours."""
    catalog, places, seen = path / "catalog.sqlite", random.Random(1), 0
    whole = catalog.read_bytes()
    for _ in range(300):
        change(catalog, places.randrange(len(whole)), bit=places.randrange(8))
        seen += survives(path, verify=True)
        for name in ("-wal", "-shm"):
            (path / f"catalog.sqlite{name}").unlink(missing_ok=True)
        catalog.write_bytes(whole)
    assert seen


def survives(path: Path, *, verify: bool) -> bool:
    """Opens and uses a damaged index; whether an error was seen, which must be one of ours."""
    try:
        with Index.open(path, verify=verify) as index:
            for exhaustive in (False, True):
                for matches in index.search(EVERYTHING, 100, exhaustive=exhaustive):
                    index.documents([match.row for match in matches])
            index.vector("d1")
            index.document("d3")
            index.info()
    except LexpandError as error:
        assert str(path) in str(error), error
        return True
    return False


def test_a_document_that_the_catalog_lacks(path: Path) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("DELETE FROM documents WHERE doc_id = 'd2'")
    database.commit()
    database.close()
    with (
        Index.open(path) as index,
        pytest.raises(CorruptIndex, match=r"the catalog lacks row 1; restore it from a copy"),
    ):
        index.documents([match.row for match in index.search(EVERYTHING)[0]])


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM fields",
        "DELETE FROM settings",
        "DROP TABLE segments",
        "UPDATE fields SET vocabulary = '[1, 2'",
        "UPDATE fields SET vocabulary = '[1, 2]'",
        "UPDATE fields SET vocabulary = '[]'",
        "UPDATE segments SET checksum = 'no number'",
    ],
)
def test_a_catalog_that_lacks_something(path: Path, change: str) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(IndexStateError, match=r"catalog\.sqlite"):
        Index.open(path)


# Segments


def test_a_newer_segment(path: Path) -> None:
    file = segment_of(path)
    data = bytearray(file.read_bytes())
    data[8] = 3
    data[56:64] = xxhash.xxh3_64_intdigest(bytes(data[:56])).to_bytes(8, "little")
    file.write_bytes(data)
    refused(path, NewerFormat, str(file), "upgrade lexpand")


def test_an_older_segment(path: Path) -> None:
    file = segment_of(path)
    data = bytearray(file.read_bytes())
    data[8] = 1
    data[56:64] = xxhash.xxh3_64_intdigest(bytes(data[:56])).to_bytes(8, "little")
    file.write_bytes(data)
    refused(path, OlderFormat, str(file), "format 1, made before the first release: index again")


def test_a_file_of_another_kind(path: Path) -> None:
    file = segment_of(path)
    file.write_bytes(b"PK\x03\x04" + bytes(1000))
    refused(path, CorruptIndex, str(file))


def test_a_missing_segment(path: Path) -> None:
    file = segment_of(path)
    file.unlink()
    refused(path, CorruptIndex, str(file), "is gone")
    shutil.rmtree(path / "segments")
    refused(path, CorruptIndex, str(file))


def test_a_segment_of_another_index(path: Path, tmp_path: Path) -> None:
    """It is whole, and as long as its own: only the catalog knows that it does not belong here."""
    other = make_toys(tmp_path / "other", [8, 9])
    file = segment_of(path)
    assert segment_of(other).stat().st_size == file.stat().st_size
    shutil.copy(segment_of(other), file)
    refused(
        path,
        CorruptIndex,
        str(file),
        "is not the segment that the catalog names",
        "restore it from a copy",
    )
    with pytest.raises(CorruptIndex):
        Index.open(path, verify=False)


@pytest.mark.parametrize("verify", [True, False])
def test_a_segment_of_another_length(path: Path, verify: bool) -> None:
    file = segment_of(path)
    whole = file.read_bytes()
    for data in (
        b"",
        whole[:1],
        whole[:63],
        whole[:64],
        whole[:200],
        whole[: len(whole) // 2],
        whole[:-1],
        whole + b"\0",
    ):
        file.write_bytes(data)
        with pytest.raises(CorruptIndex) as error:
            Index.open(path, verify=verify)
        assert str(file) in str(error.value)


def test_bits_that_flip_in_a_segment(real: RealCollection, tmp_path: Path) -> None:
    """Every bit is under a checksum, so every flip is seen; without `verify`, none ends the process."""
    path = Path(shutil.copytree(real.path, tmp_path / "copy"))
    file = segment_of(path)
    whole, places = file.read_bytes(), random.Random(3)
    # Some in the header and the table, the rest anywhere.
    chosen = [places.randrange(64 + 13 * 32) for _ in range(15)] + [
        places.randrange(len(whole)) for _ in range(45)
    ]
    for place in chosen:
        change(file, place, bit=places.randrange(8))
        with pytest.raises((CorruptIndex, NewerFormat)) as error:
            Index.open(path)
        assert str(file) in str(error.value)
        search_unverified(path, real)
        file.write_bytes(whole)
    with Index.open(path) as index:
        assert len(index.search(real.queries[:1], 5)[0]) == 5


def search_unverified(path: Path, real: RealCollection) -> None:
    try:
        with Index.open(path, verify=False) as index:
            index.search(real.queries[:5], 50)
            for document in real.documents[:3]:
                index.vector(document.doc_id)
    except LexpandError:
        pass  # seen after all


def test_every_bit_of_a_small_segment(path: Path) -> None:
    """Without `verify`: whatever one flipped bit makes of it, the answer is a list or an error of ours."""
    file = segment_of(path)
    whole = file.read_bytes()
    assert PlainSegment.read(file).passages == 2
    seen = 0
    for place in range(0, len(whole), 3):
        change(file, place, bit=place % 8)
        seen += survives(path, verify=False)
        file.write_bytes(whole)
    assert seen > 64


@pytest.mark.parametrize(
    "spoil", [lambda path: segment_of(path).unlink(), lambda path: change(segment_of(path), 300)]
)
def test_a_refused_index_is_not_held(path: Path, spoil: Callable[[Path], object]) -> None:
    """Its files can be replaced at once: no connection, map or lock of a failed opening stays."""
    copy = Path(shutil.copytree(path, path.with_name("copy")))
    spoil(path)
    with pytest.raises(CorruptIndex) as kept:  # the error, and with it the frames that it passed
        Index.open(path)
    assert {entry.name for entry in path.iterdir()} == {"catalog.sqlite", "segments", "writer.lock"}
    assert str(path) in str(kept.value)
    shutil.copytree(copy, path, dirs_exist_ok=True)
    with Index.open(path) as index:
        assert ids_in(index) == ["d1", "d2", "d3"]


def test_a_writer_that_finds_damage_gives_its_lock_back(path: Path) -> None:
    with Index.open(path) as late:
        with Index.open(path) as writer:
            add_toys(writer, 4)
            writer.commit()
            new = max((path / "segments").iterdir())
        data = new.read_bytes()
        change(new, 300)
        with pytest.raises(CorruptIndex, match=new.name):
            add_toys(late, 5)
        new.write_bytes(data)
        with Index.open(path) as other:
            add_toys(other, 6)
        add_toys(late, 5)
        late.commit()
        assert ids_in(late) == ["d1", "d2", "d3", "d4", "d5"]
