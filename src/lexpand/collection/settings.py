"""Create an index with the requested settings, or open one and compare its settings."""

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
"""The default language of the BM25 field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """Requested settings of an index.

    A setting that is left out is the default in a new index, and is not compared in an existing
    one.

    Attributes:
        model: ``default`` or the path of a model folder.
        encoding: fields of `DocumentEncoding` with their values.
        rules: edits of vectors, or the path of a rules file.
        words: the language or the analyzer of the BM25 field; ``none`` for no BM25 field.
        columns: metadata fields that become columns, with their types; see `Index.create`.
        fields: the fields of a source that make a document; the index records them.
    """

    model: str | Path | None = None
    encoding: Mapping[str, Any] = field(default_factory=dict)
    rules: Rules | str | Path | None = None
    words: str | WordAnalyzer | None = None
    columns: Mapping[str, str] | None = None
    fields: Fields | None = None


def make_index(path: Path, settings: IndexSettings, threads: int | None) -> tuple[Index, Encoder]:
    """Create an index, and return it with its encoder.

    Raises:
        IndexStateError: the folder is not empty.
        ModelError, DataError, StorageError: see `Encoder.load` and `Index.create`.
    """
    encoder = Encoder.load(
        settings.model or "default",
        documents=DocumentEncoding(**settings.encoding),
        rules=settings.rules,
        threads=threads,
    )
    index = Index.create(
        path, encoder.space, words=_analyzer(settings.words), columns=settings.columns
    )
    if settings.fields is not None and settings.fields != Fields():
        index.record_source_fields(settings.fields.to_dict())
    return index, encoder


def open_index(path: Path, settings: IndexSettings) -> Index:
    """Open an existing index, and check that it has the requested settings.

    Raises:
        IndexStateError: the index was made with other settings; the message names both.
        NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
    """
    index = Index.open(path)
    try:
        _check_encoding(index, settings)
        _check_schema(index, settings)
        if settings.fields is not None and settings.fields != Fields():
            index.record_source_fields(settings.fields.to_dict())
    except BaseException:
        index.close()
        raise
    return index


def recorded_source(path: Path) -> tuple[Fields, dict[str, str]]:
    """Return the source fields and the declared columns with their types that an index records.

    A folder without an index has the default fields and no columns.
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


def _check_encoding(index: Index, settings: IndexSettings) -> None:
    """Check the document encoding, which is fixed when an index is made."""
    recorded = index.space.encoding
    requested = replace(recorded, **settings.encoding)
    if settings.rules is not None:
        rules = settings.rules if isinstance(settings.rules, Rules) else Rules.load(settings.rules)
        requested = requested.with_rules(rules.record())
    vocabulary = index.space.vocabulary
    if isinstance(requested.pruning, str) and "special" in requested.pruning:
        # An index records the tokens, but not which of them are special. The model does.
        vocabulary = Encoder.load(settings.model or index.space.location or "default").vocabulary
    recorded.check_same(index.path, requested.resolved(vocabulary))


def _check_schema(index: Index, settings: IndexSettings) -> None:
    """Check the BM25 field and the columns, which are fixed when an index is made."""
    recorded = index.schema.words
    language = "none" if recorded is None else recorded.language
    columns = {name: column_type.value for name, column_type in index.schema.columns.items()}
    other_words = (
        recorded != settings.words
        if isinstance(settings.words, WordAnalyzer)
        else settings.words not in (None, language)
    )
    if other_words or (settings.columns and dict(settings.columns) != columns):
        listed = ", ".join(f"{name}={column_type}" for name, column_type in columns.items())
        raise IndexStateError(
            f"{index.path} was made with words {language} and columns {listed or 'none'}: leave out"
            " words and columns (--words and --column on the command line), or make a new index"
        )
