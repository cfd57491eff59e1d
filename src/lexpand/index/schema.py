"""What does an index hold of each document? Fixed when it is made, and recorded in its catalog."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lexpand.data import DocumentEncoding, ModelId, VectorSpace, Vocabulary
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.index.columns import ColumnType, check_columns

SPARSE_FIELD = 0
"""The field of the model's vectors."""

WORD_FIELD = 1
"""The field of words, for BM25, where an index has one."""

_FIRST_COLUMN = 16


@dataclass(frozen=True, slots=True)
class Schema:
    """What an index holds of each document.

    Attributes:
        space: whose vectors.
        words: what a word is, where words are indexed for BM25.
        columns: metadata fields that are columns of the segments, so that filters over them are
            quick.
    """

    space: VectorSpace
    words: WordAnalyzer | None = None
    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def column_fields(self) -> dict[str, int]:
        """The number of each column's field in a segment."""
        return {name: _FIRST_COLUMN + i for i, name in enumerate(self.columns)}


def write_schema(db: sqlite3.Connection, schema: Schema, created_by: str) -> None:
    """Into the tables ``settings`` and ``fields``, which are empty."""
    space = schema.space
    settings = {
        "created_by": created_by,
        "model": space.location,
        "encoding": space.encoding.to_dict(),
        "columns": {name: column_type.value for name, column_type in schema.columns.items()},
        "words": schema.words.to_dict() if schema.words else None,
    }
    rows = (
        (key, json.dumps(value, ensure_ascii=False))
        for key, value in {**settings, "next_row": 0}.items()
    )
    db.executemany("INSERT INTO settings VALUES (?, ?)", rows)
    vocabulary = json.dumps(list(space.vocabulary.tokens), ensure_ascii=False)
    db.execute(
        "INSERT INTO fields VALUES (?, 'splade', 'closed', ?, ?, ?, ?)",
        (SPARSE_FIELD, len(space.vocabulary), vocabulary, space.model.name, space.model.hash),
    )
    if schema.words:
        db.execute("INSERT INTO fields VALUES (?, 'words', 'open', 0, '[]', '', '')", (WORD_FIELD,))
    _seal(db)


def read_schema(db: sqlite3.Connection) -> Schema:
    """What `write_schema` wrote.

    Raises:
        KeyError, TypeError, ValueError, DataError: it is not there, has not its form, or is not
            what was written.
    """
    settings = {
        key: json.loads(value) for key, value in db.execute("SELECT key, value FROM settings")
    }
    if settings["checksum"] != _checksum(db):
        raise DataError("its settings or its vocabulary are not what was written")
    row = db.execute(
        "SELECT vocabulary, contract_name, contract_hash FROM fields WHERE field = ?",
        (SPARSE_FIELD,),
    )
    vocabulary, name, contract_hash = row.fetchone()
    words = settings["words"]
    return Schema(
        space=VectorSpace(
            model=ModelId(name, contract_hash),
            vocabulary=Vocabulary(json.loads(vocabulary)),
            location=settings["model"],
            encoding=DocumentEncoding.from_dict(settings["encoding"]),
        ),
        words=WordAnalyzer.from_dict(words) if words else None,
        columns=check_columns(settings["columns"]),
    )


def read_source_fields(db: sqlite3.Connection) -> dict[str, Any]:
    """What `write_source_fields` wrote last; empty for nothing."""
    row = db.execute("SELECT value FROM settings WHERE key = 'source_fields'").fetchone()
    found: dict[str, Any] = json.loads(row[0]) if row else {}
    return found


def write_source_fields(db: sqlite3.Connection, fields: Mapping[str, Any]) -> None:
    """Which fields of a source make a document, so that they are given once."""
    db.execute(
        "INSERT OR REPLACE INTO settings VALUES ('source_fields', ?)", (json.dumps(dict(fields)),)
    )
    _seal(db)


def _seal(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT OR REPLACE INTO settings VALUES ('checksum', ?)", (json.dumps(_checksum(db)),)
    )


def _checksum(db: sqlite3.Connection) -> str:
    """SHA-256 over all settings that stay, and the fields with their vocabularies (docs/format.md)."""
    digest = hashlib.sha256()
    stay = "SELECT key, value FROM settings WHERE key NOT IN ('next_row', 'checksum') ORDER BY key"
    for row in [*db.execute(stay), *db.execute("SELECT * FROM fields ORDER BY field")]:
        digest.update(json.dumps(row, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()
