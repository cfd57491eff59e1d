"""Make documents from Python objects: paths, texts, rows, data frames or documents."""

from __future__ import annotations

import io
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from lexpand.data.documents import Document
from lexpand.data.frames import Frame, frame_of, plain_row
from lexpand.data.readers.dispatch import read_documents
from lexpand.data.readers.fields import Fields, check_header, has_id, known_names, to_document
from lexpand.data.readers.rows import OnBadRow, OnNote, Row, attempt, keep_good, refuse_repeated
from lexpand.errors import DataError, RowError, SourceError

_DEFAULT_FIELDS = Fields()

Item: TypeAlias = "str | Mapping[str, object] | Document"
"""One item of a list: a text, a row or a document."""

# `Any` stands for data frames, whose libraries are not imported here.
Given: TypeAlias = "str | os.PathLike[str] | Mapping[str, object] | Document | Iterable[Item] | Any"
"""The objects that `documents_of` accepts."""


def documents_of(
    given: Given,
    *,
    fields: Fields = _DEFAULT_FIELDS,
    on_bad_row: OnBadRow | None = None,
    columns: Mapping[str, str] | None = None,
    format: str | None = None,
    on_note: OnNote | None = None,
) -> Iterator[Document]:
    """Return the documents of a path or of Python objects, as a stream.

    The id of an item without an id is the hash of its content (`Document.from_content`), so adding
    it twice changes nothing. If a data frame or file has an id column, every row must have an id.

    Args:
        given: one of

            - a path, as a string or ``Path``: a source of `read_documents`;
            - one dict or one `Document`;
            - a list, generator or other iterable of texts, dicts and `Document`, in any mixture;
            - a data frame of pandas or Polars, an Arrow table, record batch or record batch reader,
              or an iterable of them. A missing cell (null, NaN, NaT, NA) is left out.

        fields: the fields of a row that make a document; the others become metadata.
        on_bad_row: a function that takes the error of each invalid item; None raises the first
            error. The place of an item is ``documents[3]``, counted from 0.
        columns: see `read_documents`; only for a path.
        format: see `read_documents`; only for a path.
        on_note: see `read_documents`; only for a path.

    Returns:
        A lazy iterator over the documents. It does not check that ids are unique.

    Raises:
        SourceError: a path does not exist (raised at once). While reading: see `read_documents`,
            or a data frame has no text.
        DataError: ``given`` has another type (raised at once), or see `read_documents`.
        RowError: an item is invalid and ``on_bad_row`` is None (raised while reading).
    """
    if isinstance(given, str | os.PathLike):
        path = _path(given)
        return read_documents(
            path,
            fields=fields,
            on_bad_row=on_bad_row,
            columns=columns,
            format=format,
            on_note=on_note,
        )
    return keep_good(_documents(_items(given), fields), on_bad_row)


def _path(given: str | os.PathLike[str]) -> Path:
    if isinstance(given, str) and given != "-" and not _exists(given):
        raise SourceError(
            "a string must be the path of a file or folder, "
            f"got {reprlib.repr(given)}, which does not exist; "
            "check the path; to add one text, pass a list: [text]"
        )
    return Path(given)


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def _items(given: object) -> Iterable[object]:
    if isinstance(given, Document | Mapping) or frame_of(given) is not None:
        return [given]
    if isinstance(given, io.IOBase):
        raise DataError(
            "documents must be a path, got an open file; pass its path, or '-' for standard input"
        )
    if isinstance(given, Iterable) and not isinstance(given, bytes | bytearray | memoryview):
        return given
    remedy = "call its collect() first" if hasattr(given, "collect") else "pass a list of texts"
    raise DataError(
        "documents must be a path, a list of texts, dicts or Documents, or a data frame, "
        f"got {reprlib.repr(given)} ({type(given).__name__}); {remedy}"
    )


def _documents(items: Iterable[object], fields: Fields) -> Iterator[Document | RowError]:
    number = 0
    for item in items:
        frame = frame_of(item)
        results = (
            [_of_item(item, number, fields)] if frame is None else _of_frame(frame, number, fields)
        )
        for result in results:
            yield result
            number += 1


def _of_item(item: object, number: int, fields: Fields) -> Document | RowError:
    place = f"documents[{number}]"
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return attempt(lambda row: Document.from_content(item, source=row.place), Row(place, {}))
    if isinstance(item, Mapping):
        kept = {name.casefold() for name in known_names(fields)}
        named = {
            name for name, cell in item.items() if cell is None or str(name).casefold() in kept
        }
        return attempt(
            partial(to_document, fields=fields, hash_ids=True), Row(place, plain_row(item, named))
        )
    shown = f"{reprlib.repr(item)} ({type(item).__name__})"
    remedy = (
        "pass a path alone" if isinstance(item, os.PathLike) else "drop it, or convert it to a text"
    )
    return RowError(place, f"an item must be a text, a dict or a Document, got {shown}; {remedy}")


def _of_frame(frame: Frame, number: int, fields: Fields) -> Iterator[Document | RowError]:
    refuse_repeated("documents", frame.columns)
    roles = check_header("documents", frame.columns, fields)
    convert = partial(to_document, fields=fields, hash_ids=not has_id(frame.columns, fields))
    for place, values in enumerate(frame.rows, number):
        if isinstance(values, UnicodeDecodeError):
            yield RowError(
                f"documents[{place}]",
                f"a string must be UTF-8, got invalid bytes ({values}): decode the text again",
            )
        else:
            yield attempt(convert, Row(f"documents[{place}]", plain_row(values, roles)))
