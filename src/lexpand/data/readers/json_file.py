"""Read JSON from a file or standard input: an array of objects, or one object per line."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path

from lexpand.data.readers import jsonl
from lexpand.data.readers.rows import Row
from lexpand.data.streams import LONGEST_LINE, first_byte, name_of, read_chunks
from lexpand.errors import RowError, SourceError

_SPACE = re.compile(r"[ \t\r\n]*")

# Surrogates of bytes that are not UTF-8. JSON escapes are not decoded yet, so they cannot match.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")

_DECODER = json.JSONDecoder()


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yield a row for each item of an array, or for each line if the file has no array.

    The place of an item is ``file:item N``, from 1. Memory is proportional to the largest item.

    Raises:
        SourceError: the file cannot be opened, or cannot be read past some line or item.
    """
    return _items(path) if first_byte(path) == b"[" else jsonl.read_rows(path)


def _items(path: Path) -> Iterator[Row | RowError]:
    name, text = name_of(path), _Text(path)
    text.take("[")
    number = 1
    while text.following() not in ("]", ""):
        place = f"{name}:item {number}"
        try:
            value, is_utf8 = text.value()
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise SourceError(
                f"{place} is invalid JSON, so this and later items cannot be read: {reason}"
            ) from error
        if not is_utf8:
            yield RowError(place, "invalid UTF-8: save the file as UTF-8")
        elif isinstance(value, dict):
            yield Row(place, value)
        else:
            yield RowError(
                place, f"an item must be an object, got {type(value).__name__}; write {{...}}"
            )
        if not text.take(","):
            break
        number += 1
    if not text.take("]"):
        raise SourceError(
            f"{name} must end its array with ]: it is cut short or damaged after item {number}"
        )
    if text.following():
        raise SourceError(
            f"{name} must end after its array, got more after item {number}; "
            "write one object per line"
        )


def _reason(error: ValueError) -> str:
    # Other errors are integers of more than 4,300 digits.
    if isinstance(error, json.JSONDecodeError):
        return jsonl.with_remedy(error.msg)
    return str(error)


class _Text:
    """The text of a file, read on demand."""

    def __init__(self, path: Path) -> None:
        self._chunks = read_chunks(path)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text, self._at = "", 0

    def following(self) -> str:
        """Return the next nonspace character without consuming it; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Consume a character if it is the next one; return whether it was."""
        matches = self.following() == character
        self._at += matches
        return matches

    def value(self) -> tuple[object, bool]:
        """Read a JSON value; return it, and whether its bytes are UTF-8.

        Raises:
            ValueError: the value is invalid, longer than 64 MiB, or cut short.
            RecursionError: the value is nested too deeply.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError as error:
                if len(self._text) - self._at > LONGEST_LINE or not self._more():
                    raise ValueError(_reason(error)) from error
                continue
            # A number at the end of the buffer may continue.
            if end < len(self._text) or not self._more():
                break
        is_utf8 = _NOT_UTF8.search(self._text, self._at, end) is None
        self._at = end
        return value, is_utf8

    def _more(self) -> bool:
        """Read at least as much as is left, so the time is linear in the length of an item."""
        parts = [self._text[self._at :]]
        left, added = len(parts[0]), 0
        while added <= left:
            chunk = next(self._chunks, None)
            parts.append(self._decoder.decode(chunk or b"", final=chunk is None))
            added += len(parts[-1])
            if chunk is None:
                break
        self._text, self._at = "".join(parts), 0
        return added > 0
