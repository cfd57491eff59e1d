"""An index for documents to go into: made as the caller wishes, or opened and compared with the wishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lexpand.data import DocumentEncoding, Fields
from lexpand.encode import Encoder, Rules, WordAnalyzer
from lexpand.errors import IndexStateError
from lexpand.index import Index

LANGUAGE = "english"
"""The language of an index's words where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a caller says of an index. What is left out is the default of a new index, and as it is in an old one.

    Attributes:
        model: ``default`` or the path of a model folder.
        encoding: fields of `DocumentEncoding` with their values.
        rules: edits of vectors, or the path of a rules file.
        words: the language of the words that are indexed for BM25, or an analyzer; ``none`` for no
            words.
        columns: metadata fields that become columns, with their types; see `Index.create`.
        fields: which fields of a source make a document; the index records them.
    """

    model: str | Path | None = None
    encoding: Mapping[str, Any] = field(default_factory=dict)
    rules: Rules | str | Path | None = None
    words: str | WordAnalyzer | None = None
    columns: Mapping[str, str] | None = None
    fields: Fields | None = None


def make_index(path: Path, wishes: Wishes, threads: int | None) -> tuple[Index, Encoder]:
    """A new index with the encoder of its documents.

    Raises:
        IndexStateError: the folder holds something.
        ModelError, DataError, StorageError: see `Encoder.load` and `Index.create`.
    """
    encoder = Encoder.load(
        wishes.model or "default",
        documents=DocumentEncoding(**wishes.encoding),
        rules=wishes.rules,
        threads=threads,
    )
    index = Index.create(path, encoder.space, words=_analyzer(wishes.words), columns=wishes.columns)
    if wishes.fields is not None and wishes.fields != Fields():
        index.keep_source_fields(wishes.fields.to_dict())
    return index, encoder


def open_index(path: Path, wishes: Wishes) -> Index:
    """An index that is there, whose settings are those of the wishes.

    Raises:
        IndexStateError: it was made with other settings; the message names both.
        NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
    """
    index = Index.open(path)
    try:
        _check_encoding(index, wishes)
        _check_schema(index, wishes)
        if wishes.fields is not None and wishes.fields != Fields():
            index.keep_source_fields(wishes.fields.to_dict())
    except BaseException:
        index.close()
        raise
    return index


def recorded_source(path: Path) -> tuple[Fields, dict[str, str]]:
    """Which fields of a source make a document, and the declared columns with their types, as an index records them.

    Those of a folder without an index are the usual fields and no columns.
    """
    if not Index.exists(path):
        return Fields(), {}
    with Index.open(path, verify=False) as index:
        columns = {name: column_type.value for name, column_type in index.schema.columns.items()}
        return Fields.from_dict(index.source_fields), columns


def _analyzer(words: str | WordAnalyzer | None) -> WordAnalyzer | None:
    if isinstance(words, WordAnalyzer):
        return words
    return None if words == "none" else WordAnalyzer(words or LANGUAGE)


def _check_encoding(index: Index, wishes: Wishes) -> None:
    """How documents are encoded is fixed when an index is made; another wish is refused."""
    recorded = index.space.encoding
    wished = replace(recorded, **wishes.encoding)
    if wishes.rules is not None:
        rules = wishes.rules if isinstance(wishes.rules, Rules) else Rules.load(wishes.rules)
        wished = wished.with_rules(rules.record())
    vocabulary = index.space.vocabulary
    if isinstance(wished.pruning, str) and "special" in wished.pruning:
        # An index records its tokens, but not which of them are special: the model knows.
        vocabulary = Encoder.load(wishes.model or index.space.location or "default").vocabulary
    recorded.check_same(index.path, wished.resolved(vocabulary))


def _check_schema(index: Index, wishes: Wishes) -> None:
    """Words and columns are fixed when an index is made; another wish is refused."""
    has = index.schema.words
    language = "none" if has is None else has.language
    columns = {name: column_type.value for name, column_type in index.schema.columns.items()}
    other_words = (
        has != wishes.words
        if isinstance(wishes.words, WordAnalyzer)
        else wishes.words not in (None, language)
    )
    if other_words or (wishes.columns and dict(wishes.columns) != columns):
        listed = " ".join(f"--column {name}={column_type}" for name, column_type in columns.items())
        raise IndexStateError(
            f"{index.path} was made with --words {language} {listed or 'and no columns'}: "
            "leave the options out, or make a new index"
        )
