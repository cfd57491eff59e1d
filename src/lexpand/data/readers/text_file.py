"""Read a file that is one document: plain text, Markdown, reStructuredText or HTML."""

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
"""The suffixes of files that are read."""


def read_rows(path: Path, reading: Reading) -> Iterator[Row | RowError]:
    """Yield the row of one file; its id is the file name.

    Raises:
        SourceError: a named field is not one of text files.
    """
    check_fields(path, reading)
    yield read_file(path, path.name, reading)


def check_fields(path: Path, reading: Reading) -> None:
    """Check that the named fields are among ``doc_id``, ``text`` and ``title``.

    Raises:
        SourceError: a named field is not one of text files.
    """
    check_header(name_of(path), ("doc_id", "text", "title"), reading.fields)


def read_file(path: Path, doc_id: str, reading: Reading) -> Row | RowError:
    """Read the row of a file.

    Args:
        path: the path of the file.
        doc_id: the id: the path within the folder, with ``/`` on every system. It is also metadata
            under ``path``, unless the front matter has a ``path``.
        reading: the options, e.g. whether the modification time is metadata.

    Returns:
        The row. Its title is that of the text, or else the file name without suffix. If the file is
        invalid, an error with the id, so a synchronization does not delete the document.
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
        raise DataError("not a regular file: remove or rename it")
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
    """Return the title, text and metadata."""
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
