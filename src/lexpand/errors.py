"""Every error that Lexpand raises on purpose.

    LexpandError                 the root: `except LexpandError` catches all below
    ├── DataError                what was handed in cannot be used
    │   ├── SourceError          a whole source: missing, empty, of an unknown kind
    │   ├── RowError             one row of a source; knows its place and its reason
    │   ├── VectorError          a sparse vector outside its limits
    │   └── FilterError          a filter that cannot be read, or that its columns cannot answer
    ├── ModelError               a model folder that cannot be used
    │   └── ContractMismatch     the vectors of one model offered to the index of another
    ├── IndexStateError          an index that cannot do what was asked
    │   ├── NotAnIndex           the folder holds no index
    │   ├── NewerFormat          written by a version of Lexpand newer than this one
    │   ├── OlderFormat          written by a version of Lexpand before the first release
    │   ├── CorruptIndex         a file of the index is damaged or gone
    │   ├── DuplicateDocument    the doc_id is taken by another content
    │   ├── UnknownDocument      no document has that doc_id
    │   └── IndexLocked          another writer is at work
    ├── StorageError             the disk: full, read-only, or failing
    └── MissingExtra             an optional dependency is not installed

A message says what is wrong, with which value, and what to do about it. What is only warned of is a
LexpandWarning.
"""

from __future__ import annotations


class LexpandError(Exception):
    """The root of every error that Lexpand raises on purpose."""


class LexpandWarning(UserWarning):
    """Something failed that Lexpand can do without: the answer is another than was asked for."""


class DataError(LexpandError):
    """What was handed in cannot be used."""


class SourceError(DataError):
    """A whole source cannot be read: it is missing, empty or of an unknown kind."""


class RowError(DataError):
    """One row of a source cannot be used.

    Attributes:
        place: where the row is, e.g. ``docs.jsonl:12`` (file and line, from 1).
        reason: what is wrong with it, with the value.
        doc_id: the row's id, where it could be read.
    """

    def __init__(self, place: str, reason: str, doc_id: str | None = None) -> None:
        self.place = place
        self.reason = reason
        self.doc_id = doc_id
        super().__init__(place, reason, doc_id)

    def to_dict(self) -> dict[str, str | None]:
        """What JSON can hold."""
        return {"place": self.place, "doc_id": self.doc_id, "reason": self.reason}

    def __str__(self) -> str:
        named = "" if self.doc_id is None else f" (id {self.doc_id!r})"
        return f"{self.place}{named}: {self.reason}"


class VectorError(DataError):
    """A sparse vector breaks a limit: weights finite and >= 0, terms ascending and in the vocabulary."""


class FilterError(DataError):
    """A filter over metadata cannot be read, or compares a declared column with what it cannot hold."""


class ModelError(LexpandError):
    """A model folder cannot be used."""


class ContractMismatch(ModelError):
    """The vectors of one model were offered to an index that holds another's."""


class IndexStateError(LexpandError):
    """An index cannot do what was asked of it."""


class NotAnIndex(IndexStateError):
    """The folder holds no Lexpand index."""


class NewerFormat(IndexStateError):
    """The index was written by a newer version of Lexpand."""


class OlderFormat(IndexStateError):
    """The index was written by a version of Lexpand before the first release."""


class CorruptIndex(IndexStateError):
    """A file of the index is damaged or gone."""


class DuplicateDocument(IndexStateError):
    """The doc_id is in the index already, with another content."""


class UnknownDocument(IndexStateError):
    """No document of the index has that doc_id."""


class IndexLocked(IndexStateError):
    """Another writer has the index open."""


class StorageError(LexpandError):
    """The disk refused: it is full, read-only, or failing."""


class MissingExtra(LexpandError):
    """An optional dependency is not installed.

    Args:
        package: the import that failed.
        extra: the extra of Lexpand that brings it.
        purpose: what it is needed for, e.g. ``reading Parquet files``.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'lexpand[{extra}]'")
