"""Read TREC topics: the classic form with ``<top>`` and ``<num>``, and XML with ``<topic>``."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lexpand.data.readers.rows import Row
from lexpand.data.streams import name_of, read_chunks
from lexpand.errors import RowError, SourceError

# Real files are not always well-formed XML, so elements are found by their tags.
_TOPIC = re.compile(rb"<(top|topic)(\s[^>]*)?>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
_FIELD = re.compile(r"<([a-zA-Z]+)(?:\s[^>]*)?>([^<]*)")
_ATTRIBUTE = re.compile(r"""([a-zA-Z_]+)\s*=\s*["']([^"']*)["']""")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)

_NUMBERS = ("number", "id", "qid", "num")
_TEXTS = ("query", "title", "question", "desc", "description", "summary")

# "<num> Number: 301", "<title> Topic: ..." and "<desc> Description:" repeat what the tag says.
_LABEL = re.compile(r"\s*(number|topic|description)\s*:\s*", re.IGNORECASE)


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yield a row for each topic, with ``query_id`` and ``text``; its place is its first line.

    The text is the first of ``query``, ``title``, ``question``, ``desc``, ``description`` and
    ``summary`` that is not empty, or else the text of the topic itself. White space is normalized.

    Raises:
        SourceError: the file cannot be opened, is damaged, or has no topic.
    """
    data = _COMMENT.sub(lambda found: b"\n" * found[0].count(b"\n"), b"".join(read_chunks(path)))
    line, at, empty = 1, 0, True
    for topic in _TOPIC.finditer(data):
        line += data.count(b"\n", at, topic.start())
        at, empty = topic.start(), False
        yield _row(f"{name_of(path)}:{line}", topic[2] or b"", topic[3])
    if empty:
        raise SourceError(
            f"{name_of(path)} must have TREC topics, <top>...</top> or <topic>...</topic>, "
            "and has none"
        )


def _row(place: str, attributes: bytes, content: bytes) -> Row | RowError:
    try:
        named, text = attributes.decode(), content.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return RowError(place, f"invalid UTF-8 in the topic (0x{byte:02x}): save the file as UTF-8")
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        fields.setdefault(name.lower(), _plain(value))
    fields = {**fields, **{name.lower(): value for name, value in _ATTRIBUTE.findall(named)}}
    number = _first(fields, _NUMBERS)
    if not number:
        return RowError(place, "a topic must have a number: add <num> or the attribute number")
    query = _first(fields, _TEXTS) or _plain(text.split("<", 1)[0])
    if not query:
        reason = f"a topic must have a text: add one of {', '.join(_TEXTS)}"
        return RowError(place, reason, number)
    return Row(place, {"query_id": number, "text": query})


def _first(fields: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def _plain(text: str) -> str:
    """Return a text without its label, with entities decoded and white space normalized."""
    label = _LABEL.match(text)
    return " ".join(html.unescape(text[label.end() if label else 0 :]).split())
