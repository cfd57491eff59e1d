"""The errors that Lexpand raises on purpose.

    LexpandError                 the root: `except LexpandError` catches all of them
    ├── DataError                the input is invalid
    │   ├── SourceError          a whole source is missing, empty or has an unknown format
    │   ├── RowError             one row of a source is invalid; has its place and the reason
    │   ├── VectorError          a sparse vector is outside its limits
    │   └── FilterError          a filter is invalid, or compares a column with a wrong type
    ├── ModelError               a model folder is invalid
    │   └── ContractMismatch     vectors of one model meet the index of another
    ├── IndexStateError          the index is not in a state for this operation
    │   ├── NotAnIndex           the folder holds no index
    │   ├── NewerFormat          written by a version of Lexpand newer than this one
    │   ├── OlderFormat          written by a version of Lexpand before the first release
    │   ├── CorruptIndex         a file of the index is damaged or missing
    │   ├── DuplicateDocument    the doc_id is taken by a document with different content
    │   ├── UnknownDocument      no document has that doc_id
    │   └── IndexLocked          another writer holds the index
    ├── CorruptRun               a file of a run store is damaged or missing
    ├── EngineError              another search engine cannot be reached, or refuses a request
    ├── TrainingError            training cannot go on
    ├── StorageError             the disk is full, read-only or failing
    └── MissingExtra             an optional dependency is not installed

A message gives what is wrong, the value, and the remedy. Failures that Lexpand can work around are
warnings, of class LexpandWarning.
"""

from __future__ import annotations


class LexpandError(Exception):
    """The root of every error that Lexpand raises on purpose."""


class LexpandWarning(UserWarning):
    """A step failed that Lexpand can do without, so the result differs from the requested one."""


class DataError(LexpandError):
    """The input is invalid."""


class SourceError(DataError):
    """A whole source cannot be read, because it is missing, is empty or has an unknown format."""


class RowError(DataError):
    """One row of a source is invalid.

    Attributes:
        place: the file and the line from 1, e.g. ``docs.jsonl:12``.
        reason: what is wrong with the row, with the value.
        doc_id: the id of the row; None if it could not be read.
    """

    def __init__(self, place: str, reason: str, doc_id: str | None = None) -> None:
        self.place = place
        self.reason = reason
        self.doc_id = doc_id
        super().__init__(place, reason, doc_id)

    def to_dict(self) -> dict[str, str | None]:
        """Return the error as values that JSON can hold."""
        return {"place": self.place, "doc_id": self.doc_id, "reason": self.reason}

    def __str__(self) -> str:
        named = "" if self.doc_id is None else f" (id {self.doc_id!r})"
        return f"{self.place}{named}: {self.reason}"


class VectorError(DataError):
    """A sparse vector breaks a limit.

    Weights must be finite and >= 0. Terms must ascend and be in the vocabulary.
    """


class FilterError(DataError):
    """A filter is invalid, or compares a declared column with a type that it cannot hold."""


class ModelError(LexpandError):
    """A model folder is invalid."""


class ContractMismatch(ModelError):
    """Vectors of one model were used with an index that holds those of another."""


class IndexStateError(LexpandError):
    """The index is not in a state for this operation."""


class NotAnIndex(IndexStateError):
    """The folder holds no Lexpand index."""


class NewerFormat(IndexStateError):
    """The index was written by a newer version of Lexpand."""


class OlderFormat(IndexStateError):
    """The index was written by a version of Lexpand before the first release."""


class CorruptIndex(IndexStateError):
    """A file of the index is damaged or missing."""


class DuplicateDocument(IndexStateError):
    """The doc_id is already in the index, with different content."""


class UnknownDocument(IndexStateError):
    """No document of the index has that doc_id."""


class IndexLocked(IndexStateError):
    """Another writer has the index open."""


class CorruptRun(LexpandError):
    """A file of a run store is damaged or missing."""


class StorageError(LexpandError):
    """The disk is full, read-only or failing."""


class EngineError(LexpandError):
    """Another search engine cannot be reached, or refuses a request."""


class TrainingError(LexpandError):
    """Training cannot go on, because the loss is not finite or the data do not fit the recipe."""


class MissingExtra(LexpandError):
    """An optional dependency is not installed.

    Args:
        package: the package that could not be imported.
        extra: the extra of Lexpand that installs it; empty if the package is installed by itself.
        purpose: what needs it, e.g. ``reading Parquet files``.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        install = f"'lexpand[{extra}]'" if extra else package
        super().__init__(f"{purpose} needs {package}: pip install {install}")
