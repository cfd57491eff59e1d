"""What does an index hold of each document? Fixed when it is made, and recorded in its catalogue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from lexpand.data import ModelId, VectorSpace, Vocabulary
from lexpand.encode import WordAnalyzer
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
        columns: metadata fields that are columns of the segments, so that filters over them are quick.
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
        "document_max_tokens": space.document_max_tokens,
        "columns": {name: column_type.value for name, column_type in schema.columns.items()},
        "words": schema.words.to_dict() if schema.words else None,
        "next_row": 0,
    }
    if space.document_settings:
        settings["document_settings"] = dict(space.document_settings)
    rows = ((key, json.dumps(value, ensure_ascii=False)) for key, value in settings.items())
    db.executemany("INSERT INTO settings VALUES (?, ?)", rows)
    vocabulary = json.dumps(list(space.vocabulary.tokens), ensure_ascii=False)
    db.execute(
        "INSERT INTO fields VALUES (?, 'splade', 'closed', ?, ?, ?, ?)",
        (SPARSE_FIELD, len(space.vocabulary), vocabulary, space.model.name, space.model.hash),
    )
    if schema.words:
        db.execute("INSERT INTO fields VALUES (?, 'words', 'open', 0, '[]', '', '')", (WORD_FIELD,))


def read_schema(db: sqlite3.Connection) -> Schema:
    """What `write_schema` wrote; format 1 has neither words nor columns.

    Raises:
        KeyError, TypeError, ValueError, DataError: it is not there, or has not its form.
    """
    settings = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM settings")}
    row = db.execute("SELECT vocabulary, contract_name, contract_hash FROM fields WHERE field = ?", (SPARSE_FIELD,))
    vocabulary, name, contract_hash = row.fetchone()
    words = settings.get("words")
    return Schema(
        space=VectorSpace(
            model=ModelId(name, contract_hash),
            vocabulary=Vocabulary(json.loads(vocabulary)),
            location=settings["model"],
            document_max_tokens=settings["document_max_tokens"],
            document_settings=settings.get("document_settings") or {},
        ),
        words=WordAnalyzer.from_dict(words) if words else None,
        columns=check_columns(settings.get("columns") or {}),
    )
