"""The catalog: documents, texts, commits and the list of segments, in SQLite.

docs/format.md is the specification. The transaction of the catalog is the commit point of the
whole index.
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
    field INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    vocabulary_size INTEGER NOT NULL, vocabulary TEXT NOT NULL, contract_name TEXT NOT NULL,
    contract_hash TEXT NOT NULL
);
CREATE TABLE commits (
    commit_id INTEGER PRIMARY KEY, created_at TEXT NOT NULL, documents INTEGER NOT NULL
);
CREATE TABLE documents (
    row INTEGER PRIMARY KEY, doc_id TEXT NOT NULL, title TEXT NOT NULL, metadata TEXT NOT NULL,
    content_hash BLOB NOT NULL, created INTEGER NOT NULL, deleted INTEGER
);
CREATE UNIQUE INDEX live_documents ON documents (doc_id) WHERE deleted IS NULL;
CREATE INDEX deleted_documents ON documents (deleted) WHERE deleted IS NOT NULL;
CREATE TABLE texts (row INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
    retired INTEGER, passages INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL
);
"""

# SQLite's `json_type` names for the kinds of value that a filter compares with.
_JSON_TYPES = {"number": ("integer", "real"), "string": ("text",), "boolean": ("true", "false")}

# SQLite's default limit of variables per statement is 32,766 since 3.32, and was 999 before.
_VARIABLES = 900


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as the catalog records it."""

    file: str
    passages: int
    bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of an index. Number 0 is the empty index.

    Attributes:
        commit_id: the number, ascending.
        created_at: the time (UTC, ISO 8601).
        documents: the number of live documents after the commit.
    """

    commit_id: int = 0
    created_at: str = ""
    documents: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of one commit.

    Attributes:
        documents: the new documents, in the order of their rows.
        first_row: the row of the first new document.
        deleted: the rows of deleted documents.
        segments: the new segments.
        retired: the segment files that later snapshots do not read.
    """

    documents: Sequence[Document] = ()
    first_row: int = 0
    deleted: Sequence[int] = ()
    segments: Sequence[SegmentEntry] = ()
    retired: Sequence[str] = ()


class Catalog:
    """An open catalog. Threads may share it.

    Attributes:
        database: the SQLite file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.database = Database(self._path)

    @classmethod
    def create(cls, folder: Path, schema: Schema, created_by: str) -> Catalog:
        """Create the file, in one transaction.

        Raises:
            StorageError: the disk is full, read-only or failing.
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
            NotAnIndex: the folder has no catalog.
            NewerFormat, OlderFormat: this version does not read the format of the catalog.
            CorruptIndex: SQLite cannot read the catalog.
        """
        catalog = cls(folder)
        if not catalog._path.is_file():
            if folder.is_file():
                raise NotAnIndex(f"{folder} is a file, not an index: an index is a folder")
            raise NotAnIndex(
                f"{folder} is not an index, because it has no {FILE}:"
                " create one with lexpand.create"
                f" (`lexpand index SOURCE {folder}` on the command line)"
            )
        try:
            catalog._check_identity(folder)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def is_blank(self) -> bool:
        """Return whether the file is a database without any content."""
        with self.database.use() as db:
            return (
                _value(db, "PRAGMA application_id") == 0
                and _value(db, "SELECT COUNT(*) FROM sqlite_master") == 0
            )

    def _check_identity(self, folder: Path) -> None:
        with self.database.use() as db:
            application = _value(db, "PRAGMA application_id")
            version = _value(db, "PRAGMA user_version")
            page_size = _value(db, "PRAGMA page_size")
        if application != APPLICATION_ID:
            raise NotAnIndex(
                f"{folder} is not an index, because Lexpand did not write its {FILE}:"
                " check the path"
            )
        if version > FORMAT:
            raise NewerFormat(
                f"{folder} has format {version}, but this version of Lexpand reads up to {FORMAT}:"
                " upgrade lexpand"
            )
        if version < FORMAT:
            raise OlderFormat(
                f"{folder} has format {version}, made before the first release:"
                " index its source again into a new folder;"
                f" its texts are in the tables documents and texts of {FILE}"
            )
        # SQLite notices missing pages, but reads a truncated page as if it ended in zeros.
        if self._path.stat().st_size % page_size:
            raise CorruptIndex(f"{self._path} is truncated: {RESTORE}")

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
        """Return the schema of the index."""
        with self.database.read() as db:
            return read_schema(db)

    def source_fields(self) -> dict[str, Any]:
        """Return the recorded source fields that make a document; empty for the default ones."""
        with self.database.read() as db:
            return read_source_fields(db)

    def record_source_fields(self, fields: Mapping[str, Any]) -> None:
        """Record which fields of a source make a document."""
        with self.database.use(writable=True) as db, transaction(db):
            write_source_fields(db, fields)

    def check_in_place(self) -> None:
        """Check that this catalog is still the one in its folder.

        Raises:
            IndexStateError: the folder was removed, or now holds another index.
        """
        self.database.check_in_place()

    def last_commit(self) -> Commit:
        """Return the newest commit."""
        with self.database.use() as db:
            return _last_commit(db)

    def segments(self, commit_id: int) -> list[SegmentEntry]:
        """Return the segments that a snapshot reads, by segment number."""
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
        """Return the file names of all segments in the catalog."""
        with self.database.use() as db:
            return {file for (file,) in db.execute("SELECT file FROM segments")}

    def drop_segments(self, oldest: int) -> None:
        """Delete the rows of segments that snapshots of commit ``oldest`` and later do not read."""
        with self.database.use() as db:
            if db.execute(
                "SELECT 1 FROM segments WHERE retired <= ? LIMIT 1", (oldest,)
            ).fetchone():
                with transaction(db):
                    db.execute("DELETE FROM segments WHERE retired <= ?", (oldest,))

    def drop_documents(self, rows: Sequence[int]) -> None:
        """Delete the rows and texts of deleted documents, of which no segment has a passage."""
        with self.database.use() as db, transaction(db):
            # Row numbers are never reused, so the largest one must be recorded before its row is
            # deleted.
            _set(db, "next_row", _next_row(db))
            keys = [(int(row),) for row in rows]
            db.executemany("DELETE FROM texts WHERE row = ?", keys)
            db.executemany("DELETE FROM documents WHERE row = ? AND deleted IS NOT NULL", keys)

    def next_row(self) -> int:
        """Return the row of the next document."""
        with self.database.use() as db:
            return _next_row(db)

    def deleted_rows(self, commit_id: int) -> NDArray[np.uint32]:
        """Return the rows of documents that are deleted in a snapshot, ascending."""
        with self.database.read() as db:
            rows = db.execute(
                "SELECT row FROM documents WHERE deleted <= ? ORDER BY row", (commit_id,)
            )
            return np.array([row for (row,) in rows], np.uint32)

    def matching_rows(self, expression: Expression) -> NDArray[np.uint32]:
        """Return the rows whose metadata match, ascending; rows of deleted documents included."""
        with self.database.read() as db:
            return matching_rows(db, expression)

    def has_field(self, path: Sequence[str], kinds: Collection[str] = ()) -> bool:
        """Return whether any live document has a metadata field.

        Args:
            path: the keys of the field.
            kinds: the kinds of value that count (``number``, ``string``, ``boolean``); all if
                empty. A list counts for every kind.
        """
        types = [name for kind in kinds for name in _JSON_TYPES[kind]]
        # SQLite's JSON paths cannot contain these characters.
        if any(character in key for key in path for character in '"\\\0'):
            return any(_has(metadata, path) for metadata in self.metadata())
        json_path = "$" + "".join(f'."{key}"' for key in path)
        query = (
            "SELECT 1 FROM documents WHERE deleted IS NULL AND json_type(metadata, ?1) IS NOT NULL"
        )
        if types:
            names = ", ".join(map(repr, [*types, "array"]))
            query += f" AND json_type(metadata, ?1) IN ({names})"
        with self.database.read() as db:
            return db.execute(f"{query} LIMIT 1", (json_path,)).fetchone() is not None

    def metadata(self) -> Iterator[dict[str, Any]]:
        """Yield the metadata of every live document, in order of insertion."""
        query = (
            "SELECT row, metadata FROM documents"
            " WHERE deleted IS NULL AND row > ? ORDER BY row LIMIT 10000"
        )
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
        """Return the row and content hash of each of these documents that is live, by doc_id."""
        query = "SELECT doc_id, row, content_hash FROM documents WHERE deleted IS NULL AND doc_id"
        with self.database.use() as db:
            found = _select_in(db, query, [doc_id for doc_id in doc_ids if _is_valid_utf8(doc_id)])
            return {doc_id: (row, digest) for doc_id, row, digest in found}

    def fingerprints(self, commit_id: int) -> Iterator[tuple[str, bytes]]:
        """Yield the doc_id and content hash of each document that is live in a snapshot."""
        query = (
            "SELECT row, doc_id, content_hash FROM documents WHERE created <= ?1"
            " AND (deleted IS NULL OR deleted > ?1) AND row > ?2 ORDER BY row LIMIT 10000"
        )
        last = -1
        while True:
            with self.database.read() as db:
                found = db.execute(query, (commit_id, last)).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield from ((doc_id, digest) for _, doc_id, digest in found)

    def doc_ids(self, rows: Collection[int]) -> dict[int, str]:
        """Return the doc_id of each row.

        Raises:
            CorruptIndex: a row does not exist.
        """
        with self.database.read() as db:
            found = dict(_select_in(db, "SELECT row, doc_id FROM documents WHERE row", rows))
            return {row: found[row] for row in rows}

    def row_of(self, doc_id: str, commit_id: int) -> int | None:
        """Return the row of a document that is live in a snapshot; None if there is none."""
        if not _is_valid_utf8(doc_id):
            return None
        since_deleted = (
            "SELECT row FROM documents WHERE doc_id = ?1 AND created <= ?2"
            " AND (deleted IS NULL OR deleted > ?2) ORDER BY row DESC LIMIT 1"
        )
        live = "SELECT row FROM documents WHERE doc_id = ?1 AND created <= ?2 AND deleted IS NULL"
        with self.database.read() as db:
            found = db.execute(live, (doc_id, commit_id)).fetchone()
            # A full scan, needed only for documents that were deleted since the snapshot.
            if found is None and self._has_newer(db, commit_id):
                found = db.execute(since_deleted, (doc_id, commit_id)).fetchone()
        return None if found is None else int(found[0])

    @staticmethod
    def _has_newer(db: sqlite3.Connection, commit_id: int) -> bool:
        return _last_commit(db).commit_id > commit_id

    def documents(self, rows: Sequence[int]) -> dict[int, Document]:
        """Return the documents of these rows, without rows that do not exist."""
        query = (
            "SELECT row, doc_id, text, title, metadata"
            " FROM documents JOIN texts USING (row) WHERE row"
        )
        with self.database.read() as db:
            return {
                row: Document(doc_id, text, title, json.loads(metadata))
                for row, doc_id, text, title, metadata in _select_in(db, query, rows)
            }

    def each_document(self) -> Iterator[tuple[int, int, int | None, Document, bytes]]:
        """Yield all documents by row, deleted ones included.

        Yields:
            The row, the commits of creation and deletion (None while live), the document, and its
            recorded content hash.
        """
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
        """Insert a commit with its changes, in one transaction.

        Raises:
            StorageError: the disk is full, read-only or failing.
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
        """Copy the catalog of the newest commit to a folder, while others may write to this one."""
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
        """Close all connections for good."""
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
    """Yield the rows of ``query IN (values)``, with as many values at a time as SQLite takes."""
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


def _is_valid_utf8(doc_id: str) -> bool:
    """Return whether an id can be UTF-8, as all stored ids are; a command line may pass others."""
    return doc_id.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in doc_id)
