"""Make documents and queries from the fields of rows."""

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
"""The known names of an id field, in order of precedence."""

_QUERY_ID = ("query_id", "qid", "id", "_id")
_TEXT = ("text", "contents", "content", "body")
_QUERY_TEXT = ("text", "query", "question")
_TITLE = ("title",)


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields that make a document; every other field of a row becomes metadata.

    A named field must be in every row. None selects the first listed name that a row has. Names
    match in any case; an exact match has precedence.

    Attributes:
        doc_id: the field of the id; None for ``doc_id``, ``id`` or ``_id``.
        text: the field of the text; None for ``text``, ``contents``, ``content`` or ``body``.
        title: the field of the title; None for ``title``, which may be missing.
        modified: whether files that are one document each get the metadata field ``modified``, the
            modification time (ISO 8601, UTC, in seconds). It is part of the content, so touching a
            file counts as a change.
    """

    doc_id: str | None = None
    text: str | None = None
    title: str | None = None
    modified: bool = False

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the settings that differ from the defaults, as JSON; `from_dict` reads them."""
        named = {"doc_id": self.doc_id, "text": self.text, "title": self.title}
        settings: dict[str, JsonValue] = {
            key: name for key, name in named.items() if name is not None
        }
        return {**settings, "modified": True} if self.modified else settings

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> Fields:
        """Make the fields from the result of `to_dict`.

        Raises:
            DataError: a key is unknown, or a value has the wrong type.
        """
        for key, value in settings.items():
            if key not in ("doc_id", "text", "title", "modified"):
                raise DataError(
                    f"a key of fields must be doc_id, text, title or modified, got {key!r}"
                )
            if not isinstance(value, bool if key == "modified" else str | None):
                expected = "true or false" if key == "modified" else "the name of a field"
                raise DataError(f"{key} of fields must be {expected}, got {value!r}")
        return cls(**cast("dict[str, Any]", settings))


def known_names(fields: Fields) -> list[str]:
    """Return the named fields and all default names."""
    named = [name for name in (fields.doc_id, fields.text, fields.title) if name is not None]
    return [*named, *DOC_ID, *_TEXT, *_TITLE]


def has_id(names: Iterable[object], fields: Fields) -> bool:
    """Return whether a row or header has an id field, or must have one because it is named."""
    return fields.doc_id is not None or any(
        isinstance(name, str) and name.casefold() in DOC_ID for name in names
    )


class Roles(NamedTuple):
    """The columns of a table with the id, text and title; None if it has no id."""

    doc_id: str | None
    text: str
    title: str


def check_header(source: str, names: Sequence[str], fields: Fields) -> Roles:
    """Find the columns of a table with the id, text and title.

    Raises:
        SourceError: the table has no text column, or lacks a named field.
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
    """Make a document from a row.

    An integer id becomes its decimal digits. An object named ``metadata``, as in BEIR's layout, is
    merged with the other fields.

    Args:
        row: the row.
        fields: the fields that make the document.
        hash_ids: whether the id of a row without an id is the hash of its content.

    Raises:
        DataError: the row has no valid id.
        RowError: another part of the row is invalid.
    """
    id_field, doc_id = None, None
    if not hash_ids or has_id(row.values, fields):
        id_field = _find(row.values, fields.doc_id, DOC_ID, "--id-field")
        doc_id = _as_id(row.values[id_field], id_field)
    try:
        text_field = _find(row.values, fields.text, _TEXT, "--text-field")
        title_field = _title_field(row.values, fields.title)
        # The casts are only for mypy. Document checks the values.
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
    """Make a query from a row.

    The id is the first of ``query_id``, ``qid``, ``id``, ``_id``. The text is the first of
    ``text``, ``query``, ``question``. Names match in any case. Other fields are dropped.

    Raises:
        DataError: the row has no valid id.
        RowError: the row has no valid text.
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
    """Return the name of the field to use, which exists and is not null."""
    names = known if named is None else (named,)
    for name in names:
        if values.get(name) is not None:
            return name
    for name in names:
        other = _in_other_case(values, name)
        if other is not None and values[other] is not None:
            return other
    remedy = (
        f"; name it with fields ({option} on the command line)"
        if option
        else f"; it may be called {', '.join(names)}"
    )
    for name in names:
        null = name if name in values else _in_other_case(values, name)
        if null is not None:
            raise DataError(f"field {null!r} must not be null{remedy}")
    raise DataError(f"missing field {names[0]!r} (the row has: {listed(values)}){remedy}")


def _in_other_case(values: Mapping[str, object], name: str) -> str | None:
    """Return the only field whose name differs from ``name`` just in case; None without one."""
    folded = name.casefold()
    matching = [
        field
        for field in values
        if isinstance(field, str) and field != name and field.casefold() == folded
    ]
    if len(matching) > 1:
        fields = " and ".join(map(repr, matching[:2]))
        raise DataError(f"fields {fields} both match {name!r}: rename one, or name the one to take")
    return matching[0] if matching else None


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
    """Return the first field names of a row as printable text."""
    first = list(itertools.islice(names, 13))
    shown = [
        reprlib.repr(name)[1:-1] if isinstance(name, str) else reprlib.repr(name)
        for name in first[:12]
    ]
    return ", ".join(shown) + (", ..." if len(first) > len(shown) else "") if shown else "no fields"
