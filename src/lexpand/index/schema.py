"""The schema of an index, which is fixed at creation and recorded in the catalog."""

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
"""The number of the field with the model's vectors."""

WORD_FIELD = 1
"""The number of the lexical (BM25) field, if the index has one."""

_FIRST_COLUMN = 16


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of an index.

    Attributes:
        space: the vector space of the vectors.
        words: the analyzer of the lexical (BM25) field; None without one.
        columns: the metadata fields that are columns, over which filters are fast.
    """

    space: VectorSpace
    words: WordAnalyzer | None = None
    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def column_fields(self) -> dict[str, int]:
        """Return the field number of each column in a segment."""
        return {name: _FIRST_COLUMN + i for i, name in enumerate(self.columns)}


def write_schema(db: sqlite3.Connection, schema: Schema, created_by: str) -> None:
    """Write the schema to the tables ``settings`` and ``fields``, which are empty."""
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
    """Read what `write_schema` wrote.

    Raises:
        KeyError, TypeError, ValueError, DataError: the schema is missing, malformed, or differs
            from what was written.
    """
    settings = {
        key: json.loads(value) for key, value in db.execute("SELECT key, value FROM settings")
    }
    if settings["checksum"] != _checksum(db):
        raise DataError("its settings or vocabulary do not match their checksum")
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
    """Read what `write_source_fields` wrote last; empty if it was never called."""
    row = db.execute("SELECT value FROM settings WHERE key = 'source_fields'").fetchone()
    fields: dict[str, Any] = json.loads(row[0]) if row else {}
    return fields


def write_source_fields(db: sqlite3.Connection, fields: Mapping[str, Any]) -> None:
    """Record which fields of a source make a document."""
    db.execute(
        "INSERT OR REPLACE INTO settings VALUES ('source_fields', ?)", (json.dumps(dict(fields)),)
    )
    _seal(db)


def _seal(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT OR REPLACE INTO settings VALUES ('checksum', ?)", (json.dumps(_checksum(db)),)
    )


def _checksum(db: sqlite3.Connection) -> str:
    """Return the SHA-256 of the settings and the fields, as docs/format.md defines it."""
    digest = hashlib.sha256()
    settings = (
        "SELECT key, value FROM settings WHERE key NOT IN ('next_row', 'checksum') ORDER BY key"
    )
    for row in [*db.execute(settings), *db.execute("SELECT * FROM fields ORDER BY field")]:
        digest.update(json.dumps(row, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()
