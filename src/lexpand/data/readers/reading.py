"""The options that all readers of documents share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lexpand.data.readers.cells import check_types
from lexpand.data.readers.fields import Fields
from lexpand.data.readers.rows import OnNote


def _ignore(note: str) -> None:
    """Drop a note."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The options of a reader.

    Attributes:
        fields: the fields that make a document.
        columns: type by column name; text cells of these columns are parsed.
        on_note: a function that takes one line about the source, e.g. on its delimiter.

    Raises:
        DataError: a type is unknown.
    """

    fields: Fields = field(default_factory=Fields)
    columns: Mapping[str, str] = field(default_factory=dict)
    on_note: OnNote = _ignore

    def __post_init__(self) -> None:
        check_types(self.columns)
