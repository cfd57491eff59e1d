"""Which fields of a row make a document or a query."""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from lexpand.data.documents import Document, JsonValue, Query, check_id
from lexpand.data.readers.rows import Row
from lexpand.errors import DataError, RowError, SourceError

DOC_ID = ("doc_id", "id", "_id")
"""The names of an id, the first first."""

_QUERY_ID = ("query_id", "qid", "id", "_id")
_TEXT = ("text", "contents", "content", "body")
_QUERY_TEXT = ("text", "query", "question")
_TITLE = ("title",)


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields that make a document; every other field of a row becomes metadata.

    A field that is named must be in every row. None takes the first that a row has of those listed.
    Case does not matter, but a name that is equal in case as well comes first.

    Attributes:
        doc_id: of ``doc_id``, ``id``, ``_id``.
        text: of ``text``, ``contents``, ``content``, ``body``.
        title: of ``title``; a row without is a document without a title.
        modified: for files that are one document each: add ``modified``, the time of the last
            change (ISO 8601, UTC, in seconds), to the metadata. It is part of the content: a file
            that is only touched counts as changed.
    """

    doc_id: str | None = None
    text: str | None = None
    title: str | None = None
    modified: bool = False

    def to_dict(self) -> dict[str, JsonValue]:
        """The settings that differ from the defaults, as JSON; `from_dict` reads them."""
        named = {"doc_id": self.doc_id, "text": self.text, "title": self.title}
        settings: dict[str, JsonValue] = {
            key: name for key, name in named.items() if name is not None
        }
        return {**settings, "modified": True} if self.modified else settings

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> Fields:
        """Make the fields that `to_dict` wrote.

        Raises:
            DataError: a key is unknown, or a value of a wrong type.
        """
        for key, value in settings.items():
            if key not in ("doc_id", "text", "title", "modified"):
                raise DataError(
                    f"a key of fields must be doc_id, text, title or modified, got {key!r}"
                )
            if not isinstance(value, bool if key == "modified" else str | None):
                wanted = "true or false" if key == "modified" else "the name of a field"
                raise DataError(f"{key} of fields must be {wanted}, got {value!r}")
        return cls(**cast("dict[str, Any]", settings))


def known_names(fields: Fields) -> list[str]:
    """The names that a header is likely to have: those that are named, and those that are known."""
    named = [name for name in (fields.doc_id, fields.text, fields.title) if name is not None]
    return [*named, *DOC_ID, *_TEXT, *_TITLE]


def has_id(names: Iterable[object], fields: Fields) -> bool:
    """Whether a row or header has an id, or must have one because its field is named."""
    return fields.doc_id is not None or any(
        isinstance(name, str) and name.casefold() in DOC_ID for name in names
    )


class Roles(NamedTuple):
    """The columns of a table that make its documents; None for one that it lacks."""

    doc_id: str | None
    text: str
    title: str


def check_header(source: str, names: Sequence[str], fields: Fields) -> Roles:
    """Find the columns of a table that are its id, text and title.

    Raises:
        SourceError: the table has no text, or lacks a field that is named: one error for all rows.
    """
    header = dict.fromkeys(names, "")
    try:
        return Roles(
            _find(header, fields.doc_id, DOC_ID, "--id-field") if has_id(names, fields) else None,
            _find(header, fields.text, _TEXT, "--text-field"),
            _title_field(header, fields.title),
        )
    except DataError as error:
        raise SourceError(
            f"{source}: {str(error).replace('the row has', 'the header has')}"
        ) from error


def to_document(row: Row, fields: Fields, *, hash_ids: bool = False) -> Document:
    """Makes a document of a row.

    A whole number as id becomes its decimal digits. An object named ``metadata``, as BEIR has it,
    is merged with the other fields.

    Args:
        row: the row.
        fields: which of its fields make the document.
        hash_ids: whether a row that has no id gets the hash of its content.

    Raises:
        DataError: the row has no id that can be used.
        RowError: anything else in it cannot be used.
    """
    id_field, doc_id = None, None
    if not hash_ids or has_id(row.values, fields):
        id_field = _find(row.values, fields.doc_id, DOC_ID, "--id-field")
        doc_id = _as_id(row.values[id_field], id_field)
    try:
        text_field = _find(row.values, fields.text, _TEXT, "--text-field")
        title_field = _title_field(row.values, fields.title)
        # The casts promise nothing: Document checks what the row really holds.
        text, title = cast("str", row.values[text_field]), row.values.get(title_field)
        title = "" if title is None else cast("str", title)
        metadata = cast(
            "Mapping[str, JsonValue]", _metadata(row.values, {id_field, text_field, title_field})
        )
        if doc_id is None:
            return Document.from_content(text, title, metadata, row.place)
        return Document(doc_id, text, title, metadata, row.place)
    except DataError as error:
        raise RowError(row.place, str(error), doc_id) from error


def to_query(row: Row) -> Query:
    """Makes a query of a row.

    The id is the first of ``query_id``, ``qid``, ``id``, ``_id``, the text that of ``text``,
    ``query``, ``question``, in any case; other fields are not kept.

    Raises:
        DataError: the row has no id that can be used.
        RowError: it has no text that can be used.
    """
    id_field = _find(row.values, None, _QUERY_ID)
    query_id = _as_id(row.values[id_field], id_field)
    try:
        text_field = _find(row.values, None, _QUERY_TEXT)
        return Query(query_id, cast("str", row.values[text_field]))
    except DataError as error:
        raise RowError(row.place, str(error), query_id) from error


def _find(
    values: Mapping[str, object], named: str | None, known: Sequence[str], option: str = ""
) -> str:
    """The field to take; it is there and not null."""
    wanted = known if named is None else (named,)
    for name in wanted:
        if values.get(name) is not None:
            return name
    for name in wanted:
        other = _in_other_case(values, name)
        if other is not None and values[other] is not None:
            return other
    remedy = (
        f"; name it with fields / {option}" if option else f"; it may be called {', '.join(wanted)}"
    )
    for name in wanted:
        null = name if name in values else _in_other_case(values, name)
        if null is not None:
            raise DataError(f"field {null!r} is null{remedy}")
    raise DataError(f"missing field {wanted[0]!r} (the row has: {listed(values)}){remedy}")


def _in_other_case(values: Mapping[str, object], wanted: str) -> str | None:
    """The one field whose name differs from the one wanted in case alone."""
    folded = wanted.casefold()
    found = [
        name
        for name in values
        if isinstance(name, str) and name != wanted and name.casefold() == folded
    ]
    if len(found) > 1:
        names = " and ".join(map(repr, found[:2]))
        raise DataError(
            f"fields {names} both match {wanted!r}: rename one, or name the one to take"
        )
    return found[0] if found else None


def _title_field(values: Mapping[str, object], named: str | None) -> str:
    title = named or _TITLE[0]
    if title in values:
        return title
    other = _in_other_case(values, title)
    if other is None and named is not None:
        return _find(values, named, _TITLE, "--title-field")
    return other or title


def _metadata(values: Mapping[str, object], used: set[str | None]) -> dict[str, object]:
    rest = {name: value for name, value in values.items() if name not in used}
    inner = rest.get("metadata")
    if not isinstance(inner, Mapping):
        return rest
    del rest["metadata"]
    if both := sorted(rest.keys() & inner.keys()):
        raise DataError(f"field {both[0]!r} is in the row and in its metadata: keep one")
    return {**rest, **inner}


def _as_id(value: object, name: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return check_id(str(value), name)
    return check_id(value, name)


def listed(names: Iterable[object]) -> str:
    """The first names of a row's fields, printable whatever they hold."""
    first = list(itertools.islice(names, 13))
    shown = [
        reprlib.repr(name)[1:-1] if isinstance(name, str) else reprlib.repr(name)
        for name in first[:12]
    ]
    return ", ".join(shown) + (", ..." if len(first) > len(shown) else "") if shown else "no fields"
