"""Folders without an index, and damaged indexes: the error names the file and the remedy."""

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
    """Return the file of the first segment."""
    return min((path / "segments").iterdir())


def flip_bit(file: Path, at: int, *, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def assert_refused(path: Path, error: type[LexpandError], *parts: str) -> None:
    """Assert that opening raises this error, with a message that has all parts."""
    with pytest.raises(error) as raised:
        Index.open(path)
    assert type(raised.value) is error
    for part in parts:
        assert part in str(raised.value), raised.value


# Folders without an index


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert_refused(
        tmp_path / "nowhere", NotAnIndex, str(tmp_path / "nowhere"), "`lexpand index SOURCE"
    )
    assert not (tmp_path / "nowhere").exists()
    assert not Index.exists(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    assert_refused(file, NotAnIndex, str(file), "an index is a folder")
    assert not Index.exists(file)
    with pytest.raises(
        StorageError, match=r"cannot create an index at .*file \(.*\): choose another place"
    ):
        Index.create(file, SPACE)
    with pytest.raises(StorageError, match="choose another place"):
        Index.create(file / "below", SPACE)
    assert file.read_text() == "text"


@pytest.mark.parametrize("files", [(), ("thesis.txt",), ("segments",)])
def test_a_folder_without_a_catalog_is_refused(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (tmp_path / name).write_text("text")
    assert_refused(
        tmp_path, NotAnIndex, str(tmp_path), "has no catalog.sqlite", "`lexpand index SOURCE"
    )
    assert not Index.exists(tmp_path)


def test_an_interrupted_creation_leaves_no_index(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    assert_refused(tmp_path, NotAnIndex, str(tmp_path), "is not an index")


def test_a_catalog_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite"
    catalog.write_text("A list of the things in the cellar. " * 100)
    assert_refused(
        tmp_path, CorruptIndex, str(catalog), "is damaged", "restore it from a copy, or index again"
    )
    with pytest.raises(IndexStateError, match=r"catalog\.sqlite"):
        Index.create(tmp_path, SPACE)
    assert catalog.read_text().startswith("A list")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """It is neither opened nor mistaken for the rest of an interrupted creation."""
    catalog = tmp_path / "catalog.sqlite"
    database = sqlite3.connect(catalog)
    database.execute("CREATE TABLE books (title TEXT)")
    database.execute("INSERT INTO books VALUES ('Moby-Dick')")
    database.commit()
    assert_refused(tmp_path, NotAnIndex, str(tmp_path), "Lexpand did not write its catalog.sqlite")
    with pytest.raises(IndexStateError, match="choose another folder"):
        Index.create(tmp_path, SPACE)
    assert database.execute("SELECT title FROM books").fetchall() == [("Moby-Dick",)]
    database.close()
    assert catalog.is_file()


# Catalogs


def test_a_newer_catalog_is_refused(path: Path) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("PRAGMA user_version = 4")
    database.close()
    assert_refused(path, NewerFormat, str(path), "format 4", "reads up to 3: upgrade lexpand")
    with pytest.raises(IndexStateError):
        Index.create(path, SPACE)


def test_a_truncated_catalog_is_refused(path: Path, tmp_path: Path) -> None:
    whole = (path / "catalog.sqlite").read_bytes()
    for part in (1, 10, 50, 90, 99):
        (path / "catalog.sqlite").write_bytes(whole[: len(whole) * part // 100])
        assert_refused(
            path,
            CorruptIndex,
            str(path / "catalog.sqlite"),
            "restore it from a copy, or index again",
        )
    (path / "catalog.sqlite").write_bytes(b"")
    assert_refused(path, NotAnIndex, str(path))


def test_flipped_bits_in_the_catalog_raise_only_our_errors(path: Path) -> None:
    """SQLite has no checksums, so some flips go unnoticed; the others raise a LexpandError."""
    catalog, places, seen = path / "catalog.sqlite", random.Random(1), 0
    whole = catalog.read_bytes()
    for _ in range(300):
        flip_bit(catalog, places.randrange(len(whole)), bit=places.randrange(8))
        seen += raises_an_error(path, verify=True)
        for name in ("-wal", "-shm"):
            (path / f"catalog.sqlite{name}").unlink(missing_ok=True)
        catalog.write_bytes(whole)
    assert seen


def raises_an_error(path: Path, *, verify: bool) -> bool:
    """Open and use a damaged index; return whether that raised a LexpandError."""
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


def test_a_document_missing_from_the_catalog_is_damage(path: Path) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute("DELETE FROM documents WHERE doc_id = 'd2'")
    database.commit()
    database.close()
    with (
        Index.open(path) as index,
        pytest.raises(CorruptIndex, match=r"the catalog of .* lacks row 1: restore it from a copy"),
    ):
        index.documents([match.row for match in index.search(EVERYTHING)[0]])


@pytest.mark.parametrize(
    "statement",
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
def test_an_incomplete_catalog_is_refused(path: Path, statement: str) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(IndexStateError, match=r"catalog\.sqlite"):
        Index.open(path)


# Segments


def test_a_newer_segment_is_refused(path: Path) -> None:
    file = segment_of(path)
    data = bytearray(file.read_bytes())
    data[8] = 3
    data[56:64] = xxhash.xxh3_64_intdigest(bytes(data[:56])).to_bytes(8, "little")
    file.write_bytes(data)
    assert_refused(path, NewerFormat, str(file), "upgrade lexpand")


def test_an_older_segment_is_refused(path: Path) -> None:
    file = segment_of(path)
    data = bytearray(file.read_bytes())
    data[8] = 1
    data[56:64] = xxhash.xxh3_64_intdigest(bytes(data[:56])).to_bytes(8, "little")
    file.write_bytes(data)
    assert_refused(
        path, OlderFormat, str(file), "format 1, made before the first release: index again"
    )


def test_a_segment_of_another_file_type_is_refused(path: Path) -> None:
    file = segment_of(path)
    file.write_bytes(b"PK\x03\x04" + bytes(1000))
    assert_refused(path, CorruptIndex, str(file))


def test_a_missing_segment_is_refused(path: Path) -> None:
    file = segment_of(path)
    file.unlink()
    assert_refused(path, CorruptIndex, str(file), "is gone")
    shutil.rmtree(path / "segments")
    assert_refused(path, CorruptIndex, str(file))


def test_a_segment_of_another_index_is_refused(path: Path, tmp_path: Path) -> None:
    """The file is sound and of the right length, but its checksum differs from the catalog's."""
    other = make_toys(tmp_path / "other", [8, 9])
    file = segment_of(path)
    assert segment_of(other).stat().st_size == file.stat().st_size
    shutil.copy(segment_of(other), file)
    assert_refused(
        path,
        CorruptIndex,
        str(file),
        "is not the segment that the catalog names",
        "restore it from a copy",
    )
    with pytest.raises(CorruptIndex):
        Index.open(path, verify=False)


@pytest.mark.parametrize("verify", [True, False])
def test_a_segment_of_another_length_is_refused(path: Path, verify: bool) -> None:
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


def test_flipped_bits_in_a_segment_are_found(real: RealCollection, tmp_path: Path) -> None:
    """Checksums cover every bit; without `verify`, no flip ends the process."""
    path = Path(shutil.copytree(real.path, tmp_path / "copy"))
    file = segment_of(path)
    whole, places = file.read_bytes(), random.Random(3)
    # Some are in the header and the table, the others anywhere.
    chosen = [places.randrange(64 + 13 * 32) for _ in range(15)] + [
        places.randrange(len(whole)) for _ in range(45)
    ]
    for place in chosen:
        flip_bit(file, place, bit=places.randrange(8))
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
        pass  # a LexpandError is allowed, a crash is not


def test_flipped_bits_without_verify_raise_only_our_errors(path: Path) -> None:
    """Without `verify`, a flipped bit leads to a result or to a LexpandError."""
    file = segment_of(path)
    whole = file.read_bytes()
    assert PlainSegment.read(file).passages == 2
    seen = 0
    for place in range(0, len(whole), 3):
        flip_bit(file, place, bit=place % 8)
        seen += raises_an_error(path, verify=False)
        file.write_bytes(whole)
    assert seen > 64


@pytest.mark.parametrize(
    "damage", [lambda path: segment_of(path).unlink(), lambda path: flip_bit(segment_of(path), 300)]
)
def test_a_refused_index_is_released(path: Path, damage: Callable[[Path], object]) -> None:
    """A failed opening leaves no connection, map or lock, so the files can be replaced at once."""
    copy = Path(shutil.copytree(path, path.with_name("copy")))
    damage(path)
    with pytest.raises(CorruptIndex) as kept:  # keeps the error, and with it its frames
        Index.open(path)
    assert {entry.name for entry in path.iterdir()} == {"catalog.sqlite", "segments", "writer.lock"}
    assert str(path) in str(kept.value)
    shutil.copytree(copy, path, dirs_exist_ok=True)
    with Index.open(path) as index:
        assert ids_in(index) == ["d1", "d2", "d3"]


def test_a_writer_that_finds_damage_releases_its_lock(path: Path) -> None:
    with Index.open(path) as late:
        with Index.open(path) as writer:
            add_toys(writer, 4)
            writer.commit()
            new = max((path / "segments").iterdir())
        data = new.read_bytes()
        flip_bit(new, 300)
        with pytest.raises(CorruptIndex, match=new.name):
            add_toys(late, 5)
        new.write_bytes(data)
        with Index.open(path) as other:
            add_toys(other, 6)
        add_toys(late, 5)
        late.commit()
        assert ids_in(late) == ["d1", "d2", "d3", "d4", "d5"]
