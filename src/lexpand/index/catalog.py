"""The catalog: documents, texts, commits and the list of segments, in SQLite. docs/format.md is its specification.

Its transaction is the commit point of the whole index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document
from lexpand.errors import CorruptIndex, NewerFormat, NotAnIndex, OlderFormat
from lexpand.index.database import RESTORE, Database, transaction
from lexpand.index.filters import Expression, matching_rows
from lexpand.index.schema import (
    Schema,
    read_schema,
    read_source_fields,
    write_schema,
    write_source_fields,
)

APPLICATION_ID = 0x4C585044  # "LXPD"
FORMAT = 3
FILE = "catalog.sqlite"

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
CREATE INDEX deleted_documents ON documents (deleted) WHERE deleted IS NOT NULL;
CREATE TABLE texts (row INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, retired INTEGER,
    passages INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL
);
"""

# The names of SQLite's `json_type` for what a filter can compare with.
_JSON_TYPES = {"number": ("integer", "real"), "string": ("text",), "boolean": ("true", "false")}

# SQLite's default limit of variables in a statement is 32,766 since 3.32 and was 999 before.
_VARIABLES = 900


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as the catalog names it."""

    file: str
    passages: int
    bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its number, its time (UTC, ISO 8601), the live documents after it. Number 0 is the empty index."""

    commit_id: int = 0
    created_at: str = ""
    documents: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does.

    Attributes:
        documents: new ones, in the order of their rows.
        first_row: the row of the first.
        deleted: rows that are deleted.
        segments: new ones.
        retired: files that later snapshots do not read.
    """

    documents: Sequence[Document] = ()
    first_row: int = 0
    deleted: Sequence[int] = ()
    segments: Sequence[SegmentEntry] = ()
    retired: Sequence[str] = ()


class Catalog:
    """An open catalog; it may be shared by threads.

    Attributes:
        database: the SQLite file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.database = Database(self._path)

    @classmethod
    def create(cls, folder: Path, schema: Schema, created_by: str) -> Catalog:
        """Make the file, in one transaction.

        Raises:
            StorageError: the disk refuses.
        """
        catalog = cls(folder)
        try:
            catalog._write_tables(schema, created_by)
        except BaseException:
            catalog.close()
            raise
        return catalog

    @classmethod
    def open(cls, folder: Path) -> Catalog:
        """Open the catalog of an index.

        Raises:
            NotAnIndex: the folder has none.
            NewerFormat, OlderFormat: a version wrote it whose format this one does not read.
            CorruptIndex: SQLite cannot read it.
        """
        catalog = cls(folder)
        if not catalog._path.is_file():
            if folder.is_file():
                raise NotAnIndex(f"{folder} is no index but a file: an index is a folder")
            raise NotAnIndex(
                f"{folder} is no index: it has no {FILE}; `lexpand index SOURCE {folder}` makes one"
            )
        try:
            catalog._check_identity(folder)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def is_blank(self) -> bool:
        """Whether the file is a database that nobody has written anything to."""
        with self.database.use() as db:
            return (
                _value(db, "PRAGMA application_id") == 0
                and _value(db, "SELECT COUNT(*) FROM sqlite_master") == 0
            )

    def _check_identity(self, folder: Path) -> None:
        with self.database.use() as db:
            application, version = (
                _value(db, "PRAGMA application_id"),
                _value(db, "PRAGMA user_version"),
            )
            page = _value(db, "PRAGMA page_size")
        if application != APPLICATION_ID:
            raise NotAnIndex(f"{folder} is no index: its {FILE} is not one of Lexpand")
        if version > FORMAT:
            raise NewerFormat(
                f"{folder} has format {version}; this version of Lexpand reads up to {FORMAT}: upgrade lexpand"
            )
        if version < FORMAT:
            raise OlderFormat(
                f"{folder} has format {version}, made before the first release: index its source again into a new"
                f" folder; its texts are in the tables documents and texts of {FILE}"
            )
        # SQLite misses whole pages by itself, but reads a page that is cut as if it ended in zeros.
        if self._path.stat().st_size % page:
            raise CorruptIndex(f"{self._path} is cut short; {RESTORE}")

    def _write_tables(self, schema: Schema, created_by: str) -> None:
        with self.database.use(writable=True) as db:
            db.execute("PRAGMA journal_mode = WAL")
            with transaction(db):
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                write_schema(db, schema, created_by)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {FORMAT}")

    def schema(self) -> Schema:
        """What the index holds of a document."""
        with self.database.read() as db:
            return read_schema(db)

    def source_fields(self) -> dict[str, Any]:
        """Which fields of a source make a document, as they were given last; empty for the usual ones."""
        with self.database.read() as db:
            return read_source_fields(db)

    def keep_source_fields(self, fields: Mapping[str, Any]) -> None:
        """Record them."""
        with self.database.use(writable=True) as db, transaction(db):
            write_source_fields(db, fields)

    def check_in_place(self) -> None:
        """Nothing, where this catalog is still the one in its folder.

        Raises:
            IndexStateError: the folder was removed, or holds another index by now.
        """
        self.database.check_in_place()

    def last_commit(self) -> Commit:
        """The newest commit."""
        with self.database.use() as db:
            return _last_commit(db)

    def segments(self, commit_id: int) -> list[SegmentEntry]:
        """The segments that a snapshot reads, oldest rows first."""
        with self.database.read() as db:
            rows = db.execute(
                "SELECT file, passages, bytes, checksum FROM segments"
                " WHERE created <= ?1 AND (retired IS NULL OR retired > ?1) ORDER BY segment",
                (commit_id,),
            )
            return [
                SegmentEntry(file, passages, size, int(checksum, 16))
                for file, passages, size, checksum in rows
            ]

    def segment_files(self) -> set[str]:
        """The file of every segment that any commit names."""
        with self.database.use() as db:
            return {file for (file,) in db.execute("SELECT file FROM segments")}

    def forget_segments(self, oldest: int) -> None:
        """Drop the rows of segments that no snapshot from commit ``oldest`` on reads."""
        with self.database.use() as db:
            if db.execute(
                "SELECT 1 FROM segments WHERE retired <= ? LIMIT 1", (oldest,)
            ).fetchone():
                with transaction(db):
                    db.execute("DELETE FROM segments WHERE retired <= ?", (oldest,))

    def forget_documents(self, rows: Sequence[int]) -> None:
        """Drop deleted documents with their texts; no segment may have a passage of them."""
        with self.database.use() as db, transaction(db):
            # A number is never used again, so the largest ever given must be known when its row is
            # gone.
            _set(db, "next_row", _next_row(db))
            gone = [(int(row),) for row in rows]
            db.executemany("DELETE FROM texts WHERE row = ?", gone)
            db.executemany("DELETE FROM documents WHERE row = ? AND deleted IS NOT NULL", gone)

    def next_row(self) -> int:
        """The number of the next document."""
        with self.database.use() as db:
            return _next_row(db)

    def deleted_rows(self, commit_id: int) -> NDArray[np.uint32]:
        """The rows of documents that are deleted in a snapshot, ascending."""
        with self.database.read() as db:
            rows = db.execute(
                "SELECT row FROM documents WHERE deleted <= ? ORDER BY row", (commit_id,)
            )
            return np.array([row for (row,) in rows], np.uint32)

    def matching_rows(self, expression: Expression) -> NDArray[np.uint32]:
        """The rows whose metadata matches, ascending; those of deleted documents too."""
        with self.database.read() as db:
            return matching_rows(db, expression)

    def has_field(self, path: Sequence[str], kinds: Collection[str] = ()) -> bool:
        """Whether any live document has a metadata field, given by its keys.

        Args:
            path: the keys.
            kinds: of ``number``, ``string`` and ``boolean``, those that its value, or a value in
                its list, may have; any by default.
        """
        types = [name for kind in kinds for name in _JSON_TYPES[kind]]
        if any(
            character in key for key in path for character in '"\\\0'
        ):  # SQLite's paths cannot spell these
            return any(_has(metadata, path) for metadata in self.metadata())
        where = "$" + "".join(f'."{key}"' for key in path)
        there = (
            f"json_type(metadata, ?1) IN ({', '.join(map(repr, [*types, 'array']))})"
            if types
            else "1"
        )
        query = f"SELECT 1 FROM documents WHERE deleted IS NULL AND json_type(metadata, ?1) IS NOT NULL AND {there} LIMIT 1"
        with self.database.read() as db:
            return db.execute(query, (where,)).fetchone() is not None

    def metadata(self) -> Iterator[dict[str, Any]]:
        """The metadata of every live document, in order of adding, some thousands at a time."""
        query = "SELECT row, metadata FROM documents WHERE deleted IS NULL AND row > ? ORDER BY row LIMIT 10000"
        last = -1
        while True:
            with self.database.read() as db:
                found = db.execute(query, (last,)).fetchall()
                parsed = [json.loads(metadata) for _, metadata in found]
            if not found:
                return
            last = found[-1][0]
            yield from parsed

    def content_hashes(self, doc_ids: Collection[str]) -> dict[str, tuple[int, bytes]]:
        """Row and content hash of each of these documents that is live."""
        query = "SELECT doc_id, row, content_hash FROM documents WHERE deleted IS NULL AND doc_id"
        with self.database.use() as db:
            found = _select_in(db, query, [doc_id for doc_id in doc_ids if _can_be_there(doc_id)])
            return {doc_id: (row, digest) for doc_id, row, digest in found}

    def doc_ids(self, rows: Collection[int]) -> dict[int, str]:
        """The doc_id of each row.

        Raises:
            CorruptIndex: there is no such row.
        """
        with self.database.read() as db:
            found = dict(_select_in(db, "SELECT row, doc_id FROM documents WHERE row", rows))
            return {row: found[row] for row in rows}

    def row_of(self, doc_id: str, commit_id: int) -> int | None:
        """The row of a document that is live in a snapshot."""
        if not _can_be_there(doc_id):
            return None
        query = (
            "SELECT row FROM documents WHERE doc_id = ?1 AND created <= ?2 AND (deleted IS NULL OR deleted > ?2)"
            " ORDER BY row DESC LIMIT 1"
        )
        live = "SELECT row FROM documents WHERE doc_id = ?1 AND created <= ?2 AND deleted IS NULL"
        with self.database.read() as db:
            # The first has an index to go by; only documents deleted since the snapshot need the
            # other.
            found = db.execute(live, (doc_id, commit_id)).fetchone() or (
                db.execute(query, (doc_id, commit_id)).fetchone()
                if self._has_newer(db, commit_id)
                else None
            )
        return None if found is None else int(found[0])

    @staticmethod
    def _has_newer(db: sqlite3.Connection, commit_id: int) -> bool:
        return _last_commit(db).commit_id > commit_id

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """The document of each row that there is."""
        query = "SELECT row, doc_id, text, title, metadata FROM documents JOIN texts USING (row) WHERE row"
        with self.database.read() as db:
            return {
                row: Document(doc_id, text, title, json.loads(metadata))
                for row, doc_id, text, title, metadata in _select_in(db, query, rows)
            }

    def each_document(self) -> Iterator[tuple[int, int, int | None, Document, bytes]]:
        """Row, commits of creation and deletion, document and recorded content hash of every document, by row."""
        query = (
            "SELECT row, created, deleted, doc_id, text, title, metadata, content_hash"
            " FROM documents LEFT JOIN texts USING (row) WHERE row > ? ORDER BY row LIMIT 1000"
        )
        last = -1
        while True:
            with self.database.read() as db:
                found = db.execute(query, (last,)).fetchall()
                parts = [
                    (
                        row,
                        created,
                        deleted,
                        Document(doc_id, text, title, json.loads(metadata)),
                        digest,
                    )
                    for row, created, deleted, doc_id, text, title, metadata, digest in found
                ]
            if not found:
                return
            last = found[-1][0]
            yield from parts

    def commit(self, change: Change) -> Commit:
        """Insert a commit with all that it does, or nothing.

        Raises:
            StorageError: the disk refuses.
            IndexLocked: another process holds the catalog.
        """
        with self.database.use(writable=True) as db, transaction(db):
            before = _last_commit(db)
            commit = replace(
                before,
                commit_id=before.commit_id + 1,
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                documents=before.documents + len(change.documents) - len(change.deleted),
            )
            db.execute(
                "INSERT INTO commits VALUES (?, ?, ?)",
                (commit.commit_id, commit.created_at, commit.documents),
            )
            _write_change(db, change, commit.commit_id)
        return commit

    def copy_to(self, folder: Path) -> None:
        """Write the newest commit's catalog into another folder, while others may write here."""
        target = Database(folder / FILE)
        try:
            with self.database.use() as db, target.use(writable=True) as copy:
                db.backup(copy, pages=1024)
                with transaction(copy):
                    copy.execute("DELETE FROM segments WHERE retired IS NOT NULL")
                copy.execute("PRAGMA journal_mode = WAL")
        finally:
            target.close()

    def close(self) -> None:
        """Close the connection for good."""
        self.database.close()


def _write_change(db: sqlite3.Connection, change: Change, commit_id: int) -> None:
    db.executemany(
        "UPDATE documents SET deleted = ? WHERE row = ?",
        ((commit_id, row) for row in change.deleted),
    )
    db.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (
            _document_row(document, change.first_row + i, commit_id)
            for i, document in enumerate(change.documents)
        ),
    )
    texts = ((change.first_row + i, document.text) for i, document in enumerate(change.documents))
    db.executemany("INSERT INTO texts VALUES (?, ?)", texts)
    db.executemany(
        "UPDATE segments SET retired = ? WHERE file = ?",
        ((commit_id, file) for file in change.retired),
    )
    db.executemany(
        "INSERT INTO segments (file, created, passages, bytes, checksum) VALUES (?, ?, ?, ?, ?)",
        (
            (new.file, commit_id, new.passages, new.bytes, f"{new.checksum:016x}")
            for new in change.segments
        ),
    )


def _last_commit(db: sqlite3.Connection) -> Commit:
    row = db.execute("SELECT * FROM commits ORDER BY commit_id DESC LIMIT 1").fetchone()
    return Commit(*row) if row else Commit()


def _next_row(db: sqlite3.Connection) -> int:
    recorded = db.execute("SELECT value FROM settings WHERE key = 'next_row'").fetchone()
    return max(
        int(recorded[0]) if recorded else 0,
        _value(db, "SELECT COALESCE(MAX(row) + 1, 0) FROM documents"),
    )


def _set(db: sqlite3.Connection, key: str, value: object) -> None:
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))


def _value(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _select_in(
    db: sqlite3.Connection, query: str, values: Iterable[str | int]
) -> Iterator[tuple[Any, ...]]:
    """Rows of ``query IN (values)``, as many values at a time as SQLite takes."""
    values = list(values)
    for start in range(0, len(values), _VARIABLES):
        part = values[start : start + _VARIABLES]
        yield from db.execute(f"{query} IN ({','.join('?' * len(part))})", part)


def _document_row(
    document: Document, row: int, commit_id: int
) -> tuple[int, str, str, str, bytes, int]:
    metadata = json.dumps(document.metadata, ensure_ascii=False)
    return row, document.doc_id, document.title, metadata, document.content_hash, commit_id


def _has(metadata: Mapping[str, Any], path: Sequence[str]) -> bool:
    value: object = metadata
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _can_be_there(doc_id: str) -> bool:
    """Whether an id is UTF-8, as all ids are: bytes of a command line may be none."""
    return doc_id.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in doc_id)
