"""The catalogue: documents, texts, commits and the list of segments, in SQLite. docs/format.md is its specification.

Its transaction is the commit point of the whole index.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexpand.data import Document, ModelId, VectorSpace, Vocabulary
from lexpand.errors import (
    CorruptIndex,
    DataError,
    IndexLocked,
    IndexStateError,
    NewerFormat,
    NotAnIndex,
    StorageError,
)

APPLICATION_ID = 0x4C585044  # "LXPD"
FORMAT = 1
FILE = "catalogue.sqlite"

_SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fields (
    field INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, vocabulary_size INTEGER NOT NULL,
    vocabulary TEXT NOT NULL, contract_name TEXT NOT NULL, contract_hash TEXT NOT NULL
);
CREATE TABLE commits (commit_id INTEGER PRIMARY KEY, created_at TEXT NOT NULL, documents INTEGER NOT NULL);
CREATE TABLE documents (
    row INTEGER PRIMARY KEY, doc_id TEXT NOT NULL, title TEXT NOT NULL, metadata TEXT NOT NULL,
    content_hash BLOB NOT NULL, created INTEGER NOT NULL, deleted INTEGER
);
CREATE UNIQUE INDEX live_documents ON documents (doc_id) WHERE deleted IS NULL;
CREATE TABLE texts (row INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, retired INTEGER,
    units INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL
);
"""

# SQLite's default limit of variables in a statement is 32,766 since 3.32 and was 999 before.
_VARIABLES = 900

_RESTORE = "restore it from a copy, or index again"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as the catalogue names it."""

    file: str
    units: int
    bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its number, its time (UTC, ISO 8601), the live documents after it. Number 0 is the empty index."""

    commit_id: int = 0
    created_at: str = ""
    documents: int = 0


class Catalogue:
    """An open catalogue. Threads take turns; a fork waits for its turn, and both sides then connect anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        _catalogues.add(self)

    @classmethod
    def create(cls, folder: Path, space: VectorSpace, created_by: str) -> Catalogue:
        """Make the file, in one transaction.

        Raises:
            StorageError: the disk refuses.
        """
        catalogue = cls(folder)
        try:
            catalogue._write_schema(space, created_by)
        except BaseException:
            catalogue.close()
            raise
        return catalogue

    @classmethod
    def open(cls, folder: Path) -> Catalogue:
        """Open the catalogue of an index.

        Raises:
            NotAnIndex: the folder has none.
            NewerFormat: a newer version wrote it.
            CorruptIndex: SQLite cannot read it.
        """
        catalogue = cls(folder)
        if not catalogue._path.is_file():
            if folder.is_file():
                raise NotAnIndex(f"{folder} is no index but a file: an index is a folder")
            raise NotAnIndex(f"{folder} is no index: it has no {FILE}; `lexpand index SOURCE {folder}` makes one")
        try:
            catalogue._check_identity(folder)
        except BaseException:
            catalogue.close()
            raise
        return catalogue

    def is_blank(self) -> bool:
        """Whether the file is a database that nobody has written anything to."""
        with self._use() as db:
            return _value(db, "PRAGMA application_id") == 0 and _value(db, "SELECT COUNT(*) FROM sqlite_master") == 0

    def _check_identity(self, folder: Path) -> None:
        with self._use() as db:
            application, version = _value(db, "PRAGMA application_id"), _value(db, "PRAGMA user_version")
            page = _value(db, "PRAGMA page_size")
        if application != APPLICATION_ID:
            raise NotAnIndex(f"{folder} is no index: its {FILE} is not one of Lexpand")
        if version > FORMAT:
            raise NewerFormat(
                f"{folder} has format {version}; this version of Lexpand reads up to {FORMAT}: upgrade lexpand"
            )
        # SQLite misses whole pages by itself, but reads a page that is cut as if it ended in zeros.
        if self._path.stat().st_size % page:
            raise CorruptIndex(f"{self._path} is cut short; {_RESTORE}")

    def _write_schema(self, space: VectorSpace, created_by: str) -> None:
        with self._use(writable=True) as db:
            db.execute("PRAGMA journal_mode = WAL")
            with _transaction(db):
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                _insert_space(db, space, created_by)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {FORMAT}")

    def space(self) -> VectorSpace:
        """Whose vectors the index holds."""
        with self._read() as db:
            settings = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM settings")}
            row = db.execute("SELECT vocabulary, contract_name, contract_hash FROM fields WHERE field = 0")
            vocabulary, name, contract_hash = row.fetchone()
            return VectorSpace(
                model=ModelId(name, contract_hash),
                vocabulary=Vocabulary(json.loads(vocabulary)),
                location=settings["model"],
                document_max_tokens=settings["document_max_tokens"],
            )

    def last_commit(self) -> Commit:
        """The newest commit."""
        with self._use() as db:
            row = db.execute("SELECT * FROM commits ORDER BY commit_id DESC LIMIT 1").fetchone()
        return Commit(*row) if row else Commit()

    def segments(self, commit_id: int) -> list[SegmentEntry]:
        """The segments that a snapshot reads, oldest first."""
        with self._read() as db:
            rows = db.execute(
                "SELECT file, units, bytes, checksum FROM segments"
                " WHERE created <= ?1 AND (retired IS NULL OR retired > ?1) ORDER BY segment",
                (commit_id,),
            )
            return [SegmentEntry(file, units, size, int(checksum, 16)) for file, units, size, checksum in rows]

    def segment_files(self) -> set[str]:
        """The file of every segment that any commit names."""
        with self._use() as db:
            return {file for (file,) in db.execute("SELECT file FROM segments")}

    def next_row(self) -> int:
        """The number of the next document."""
        with self._use() as db:
            return _value(db, "SELECT COALESCE(MAX(row) + 1, 0) FROM documents")

    def content_hashes(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """The content hash of each of these documents that is live."""
        with self._use() as db:
            return dict(
                _select_in(db, "SELECT doc_id, content_hash FROM documents WHERE deleted IS NULL AND doc_id", doc_ids)
            )

    def doc_ids(self, rows: Sequence[int]) -> dict[int, str]:
        """The doc_id of each row.

        Raises:
            CorruptIndex: there is no such row.
        """
        with self._read() as db:
            found = dict(_select_in(db, "SELECT row, doc_id FROM documents WHERE row", rows))
            return {row: found[row] for row in rows}

    def row_of(self, doc_id: str, commit_id: int) -> int | None:
        """The row of a document that is live in a snapshot."""
        query = "SELECT row FROM documents WHERE doc_id = ? AND deleted IS NULL AND created <= ?"
        with self._use() as db:
            found = db.execute(query, (doc_id, commit_id)).fetchone()
        return None if found is None else int(found[0])

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """The document of each row.

        Raises:
            CorruptIndex: there is no such row.
        """
        query = "SELECT row, doc_id, text, title, metadata FROM documents JOIN texts USING (row) WHERE row"
        with self._read() as db:
            found = {
                row: Document(doc_id, text, title, json.loads(metadata))
                for row, doc_id, text, title, metadata in _select_in(db, query, rows)
            }
            return {row: found[row] for row in rows}

    def commit(self, documents: Sequence[Document], first_row: int, segment: SegmentEntry) -> Commit:
        """Insert a commit with its documents and its segment: all of it, or nothing.

        Raises:
            StorageError: the disk refuses.
            IndexLocked: another process holds the catalogue.
        """
        before = self.last_commit()
        commit = Commit(
            before.commit_id + 1,
            datetime.now(UTC).isoformat(timespec="seconds"),
            before.documents + len(documents),
        )
        with self._use(writable=True) as db, _transaction(db):
            db.execute(
                "INSERT INTO commits VALUES (?, ?, ?)",
                (commit.commit_id, commit.created_at, commit.documents),
            )
            db.executemany(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (_document_row(document, first_row + i, commit.commit_id) for i, document in enumerate(documents)),
            )
            texts = ((first_row + i, document.text) for i, document in enumerate(documents))
            db.executemany("INSERT INTO texts VALUES (?, ?)", texts)
            db.execute(
                "INSERT INTO segments (file, created, units, bytes, checksum) VALUES (?, ?, ?, ?, ?)",
                (segment.file, commit.commit_id, segment.units, segment.bytes, f"{segment.checksum:016x}"),
            )
        return commit

    def close(self) -> None:
        """Close the connection for good; SQLite then folds its log into the file where it can."""
        with self._turn:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def _use(self, *, writable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._turn, _translating_errors(self._path):
            if self._closed:
                raise IndexStateError(f"{self._path.parent} is closed: open it again")
            if self._connection is None:
                self._connection = _connect(self._path, writable)
            yield self._connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._use() as db:
            try:
                yield db
            except KeyError as error:
                what = f"it lacks row {error}" if isinstance(error.args[0], int) else f"it lacks {error}"
                raise CorruptIndex(f"{self._path} is damaged ({what}); {_RESTORE}") from error
            except (DataError, TypeError, ValueError) as error:
                raise CorruptIndex(f"{self._path} is damaged ({error}); {_RESTORE}") from error


_catalogues: weakref.WeakSet[Catalogue] = weakref.WeakSet()
_waiting: list[Catalogue] = []


def _before_fork() -> None:
    # Neither a connection nor SQLite's own record of its locks must cross a fork (sqlite.org/howtocorrupt.html, 2.6),
    # nor a turn that a thread holds which the child will not have.
    for catalogue in list(_catalogues):
        catalogue._turn.acquire()
        catalogue._disconnect()
        _waiting.append(catalogue)


def _after_fork() -> None:
    while _waiting:
        _waiting.pop()._turn.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _connect(path: Path, create: bool) -> sqlite3.Connection:
    if os.access(path.parent, os.W_OK):
        mode = "mode=rwc" if create else "mode=rw"
    elif path.with_name(FILE + "-wal").exists():
        mode = "mode=ro"  # another process is at work, or one ended without closing
    else:
        mode = "immutable=1"  # SQLite's log needs a folder that can be written; without a log the file is whole
    uri = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        # A commit returns when it is on the disk: a power cut after it loses nothing.
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors, a full disk among them, SQLite has rolled back itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


_REFUSED_BY_DISK = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and run it again: what was committed is safe",
    sqlite3.SQLITE_READONLY: "it cannot be written; choose a folder that can",
    sqlite3.SQLITE_IOERR: "the disk fails; what was committed is as safe as the disk",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the folder and its permissions",
}


@contextmanager
def _translating_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest says where
        if code in _REFUSED_BY_DISK:
            raise StorageError(f"{path}: {_REFUSED_BY_DISK[code]} ({error})") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise IndexLocked(f"{path} is in use by another process; try again when it has ended") from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptIndex(f"{path} is damaged ({error}); {_RESTORE}") from error
        raise IndexStateError(f"{path}: SQLite says: {error}") from error


def _value(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _select_in(db: sqlite3.Connection, query: str, values: Sequence[str] | Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Rows of ``query IN (values)``, as many values at a time as SQLite takes."""
    for start in range(0, len(values), _VARIABLES):
        part = values[start : start + _VARIABLES]
        yield from db.execute(f"{query} IN ({','.join('?' * len(part))})", part)


def _insert_space(db: sqlite3.Connection, space: VectorSpace, created_by: str) -> None:
    settings = {
        "created_by": created_by,
        "model": space.location,
        "document_max_tokens": space.document_max_tokens,
    }
    rows = ((key, json.dumps(value, ensure_ascii=False)) for key, value in settings.items())
    db.executemany("INSERT INTO settings VALUES (?, ?)", rows)
    vocabulary = json.dumps(list(space.vocabulary.tokens), ensure_ascii=False)
    db.execute(
        "INSERT INTO fields VALUES (0, 'splade', 'closed', ?, ?, ?, ?)",
        (len(space.vocabulary), vocabulary, space.model.name, space.model.hash),
    )


def _document_row(document: Document, row: int, commit_id: int) -> tuple[int, str, str, str, bytes, int]:
    metadata = json.dumps(document.metadata, ensure_ascii=False)
    return row, document.doc_id, document.title, metadata, document.content_hash, commit_id
