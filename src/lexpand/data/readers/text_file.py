"""A file of text that is one document: plain text, Markdown, reStructuredText or HTML."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path

from lexpand.data.documents import JsonValue, check_id
from lexpand.data.readers.fields import check_header
from lexpand.data.readers.reading import Reading
from lexpand.data.readers.rows import Row
from lexpand.data.streams import name_of
from lexpand.errors import DataError, RowError

SUFFIXES = (".txt", ".md", ".markdown", ".rst", ".html", ".htm")
"""The files that are read, by the end of their name."""


def read_rows(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yields the row of one file, whose id is its name.

    Raises:
        SourceError: a field is named, which such files do not have.
    """
    check_fields(path, reading)
    yield read_file(path, path.name, reading)


def check_fields(path: Path, reading: Reading) -> None:
    """Refuses the names of fields that are none of a file's.

    Raises:
        SourceError: one is named.
    """
    check_header(name_of(path), ("doc_id", "text", "title"), reading.fields)


def read_file(path: Path, doc_id: str, reading: Reading) -> Row | RowError:
    """Reads a file.

    Args:
        path: the file.
        doc_id: its id, the path within its folder with ``/`` on every system. It is metadata too,
            under ``path``, unless the front matter has a ``path`` of its own.
        reading: whether the time of the last change is metadata.

    Returns:
        The row. Its title is that of the file, or else the name without suffix. A file that cannot
        be used gives an error that knows the id, so that a sync leaves the document alone.
    """
    place = name_of(path)
    try:
        check_id(doc_id, "doc_id")
        text = _read_text(path)
        title, text, metadata = _parse(path.suffix.lower(), text)
        times: Mapping[str, JsonValue] = (
            {"modified": _modified(path)} if reading.fields.modified else {}
        )
    except OSError as error:
        return RowError(
            place, f"the file cannot be read: {error.strerror or error}", _printable(doc_id)
        )
    except DataError as error:
        return RowError(place, str(error), _printable(doc_id))
    values = {"doc_id": doc_id, "text": text, "title": title or path.stem}
    return Row(place, {**values, "metadata": {"path": doc_id, **times, **metadata}})


def _read_text(path: Path) -> str:
    if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
        raise DataError("no regular file: remove or rename it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(
            f"invalid UTF-8 at byte offset {error.start} (0x{byte:02x}): save it as UTF-8"
        ) from None
    if "\0" in text:
        raise DataError("a binary file (it has NUL bytes): remove or rename it")
    return text


def _parse(suffix: str, text: str) -> tuple[str, str, Mapping[str, JsonValue]]:
    """Title, text and metadata."""
    if suffix in (".md", ".markdown"):
        from lexpand.data.readers.markdown import parse_markdown

        return parse_markdown(text)
    if suffix in (".html", ".htm"):
        from lexpand.data.readers.html_text import parse_html

        return *parse_html(text), {}
    if suffix == ".rst":
        from lexpand.data.readers.rst import rst_title

        return rst_title(text), text, {}
    return "", text, {}


def _modified(path: Path) -> str:
    moment = datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _printable(doc_id: str) -> str:
    return doc_id.encode("utf-8", "backslashreplace").decode()
