"""JSON in a file or from standard input: an array of objects, or one object a line."""

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

# What the decoder makes of bytes that are not UTF-8. JSON's own escapes cannot be taken for it.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")

_DECODER = json.JSONDecoder()


def read_rows(path: Path) -> Iterator[Row | RowError]:
    """Yields a row an item of an array, or a row a line of a file that does not begin with ``[``.

    The place of an item is ``file:item N``, from 1. Memory grows with the largest item alone.

    Raises:
        SourceError: the file cannot be opened, or cannot be read on from some line or item.
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
                f"{place} is invalid JSON, so no item from there can be read: {reason}"
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
            f"{name} must end after its array, got more after item {number}; write one object a line"
        )


class _Text:
    """A file as text that is read as far as it is needed."""

    def __init__(self, path: Path) -> None:
        self._chunks = read_chunks(path)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._text, self._at = "", 0

    def following(self) -> str:
        """The next character that is no white space, which stays; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Reads a character if it is the next one."""
        found = self.following() == character
        self._at += found
        return found

    def value(self) -> tuple[object, bool]:
        """Reads a JSON value; whether its bytes are UTF-8 is the second part.

        Raises:
            ValueError: it is invalid, longer than 64 MiB, or cut short.
            RecursionError: it is nested too deeply.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError as error:
                if len(self._text) - self._at > LONGEST_LINE or not self._more():
                    raise ValueError(getattr(error, "msg", error)) from error
                continue
            # A number at the end of what was read may go on.
            if end < len(self._text) or not self._more():
                break
        is_utf8 = _NOT_UTF8.search(self._text, self._at, end) is None
        self._at = end
        return value, is_utf8

    def _more(self) -> bool:
        """Reads on: at least as much as is not used yet, so that a long item costs no square of its length."""
        rest = [self._text[self._at :]]
        wanted, got = len(rest[0]), 0
        while got <= wanted:
            chunk = next(self._chunks, None)
            rest.append(self._decoder.decode(chunk or b"", final=chunk is None))
            got += len(rest[-1])
            if chunk is None:
                break
        self._text, self._at = "".join(rest), 0
        return got > 0
