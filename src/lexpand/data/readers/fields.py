"""Which fields of a row make a document or a query."""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lexpand.data.documents import Document, JsonValue, Query, check_id
from lexpand.data.readers.rows import Row
from lexpand.errors import DataError, RowError

_DOC_ID = ("doc_id", "id", "_id")
_QUERY_ID = ("query_id", "qid", "id", "_id")
_TEXT = ("text", "contents", "content", "body")
_QUERY_TEXT = ("text", "query", "question")
_TITLE = ("title",)


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields that make a document; every other field of a row becomes metadata.

    A field that is named must be in every row. None takes the first that a row has of those listed.

    Attributes:
        doc_id: of ``doc_id``, ``id``, ``_id``.
        text: of ``text``, ``contents``, ``content``, ``body``.
        title: of ``title``; a row without is a document without a title.
    """

    doc_id: str | None = None
    text: str | None = None
    title: str | None = None


def to_document(row: Row, fields: Fields) -> Document:
    """Makes a document of a row.

    A whole number as id becomes its decimal digits. An object named ``metadata``, as BEIR has it, is merged
    with the other fields.

    Raises:
        DataError: the row has no id that can be used.
        RowError: anything else in it cannot be used.
    """
    id_field = _find(row.values, fields.doc_id, _DOC_ID, "--id-field")
    doc_id = _as_id(row.values[id_field], id_field)
    try:
        text_field = _find(row.values, fields.text, _TEXT, "--text-field")
        title_field = _title_field(row.values, fields.title)
        metadata = _metadata(row.values, {id_field, text_field, title_field})
        text, title = row.values[text_field], row.values.get(title_field)
        # The casts promise nothing: Document checks what the row really holds.
        return Document(
            doc_id,
            cast("str", text),
            "" if title is None else cast("str", title),
            cast("Mapping[str, JsonValue]", metadata),
            row.place,
        )
    except DataError as error:
        raise RowError(row.place, str(error), doc_id) from error


def to_query(row: Row) -> Query:
    """Makes a query of a row.

    The id is the first of ``query_id``, ``qid``, ``id``, ``_id``, the text that of ``text``, ``query``,
    ``question``; other fields are not kept.

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


def _find(values: Mapping[str, object], named: str | None, known: Sequence[str], option: str = "") -> str:
    """The field to take; it is there and not null."""
    wanted = known if named is None else (named,)
    for name in wanted:
        if values.get(name) is not None:
            return name
    null = next((name for name in wanted if name in values), None)
    remedy = f"; name it with fields / {option}" if option else f"; it may be called {', '.join(wanted)}"
    if null is not None:
        raise DataError(f"field {null!r} is null{remedy}")
    raise DataError(f"missing field {wanted[0]!r} (the row has: {_listed(values)}){remedy}")


def _title_field(values: Mapping[str, object], named: str | None) -> str:
    if named is not None and named not in values:
        return _find(values, named, _TITLE, "--title-field")
    return named or _TITLE[0]


def _metadata(values: Mapping[str, object], used: set[str]) -> dict[str, object]:
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


def _listed(values: Mapping[str, object]) -> str:
    """The first names of a row's fields, printable whatever they hold."""
    names = [reprlib.repr(name)[1:-1] for name in itertools.islice(values, 12)]
    return ", ".join(names) + (", ..." if len(values) > len(names) else "") if names else "no fields"
