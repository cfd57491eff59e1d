"""Names of metadata fields, and quoting of words. docs/filters.md is the specification."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from lexpand.data.documents import check_text
from lexpand.errors import DataError, FilterError

Path: TypeAlias = tuple[str, ...]
"""The keys of nested objects that select a field, outermost first."""

KEYWORDS = frozenset({"and", "or", "not", "in", "exists", "true", "false", "null"})
"""The reserved words of filter texts, in upper or lower case; quoted, they are ordinary words."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
"""A regular expression for a word in double quotes."""

SINGLE_QUOTED = r"'(?:[^'\\]|\\.|'')*'"
"""A regular expression for a string in single quotes; apostrophes in it are doubled or escaped."""

_ESCAPED = re.compile(r"\\.|''|\"", re.DOTALL)
_IN_JSON = {"\\'": "'", "''": "'", '"': '\\"'}
_KEY = re.compile(rf'{QUOTED}|[^."]+', re.DOTALL)
_PLAIN = re.compile(r"[^\W\d][\w-]*")
_JSON = json.JSONDecoder(strict=False)


def parse_field(name: str) -> Path:
    r"""Return the keys in a field name: ``author.name`` has two, the quoted ``"a.b"`` has one.

    Escapes in a quoted key are those of JSON.

    Raises:
        FilterError: an unquoted key is empty, a quote is not closed, or the name cannot be encoded
            in UTF-8.
    """
    try:
        check_text(name, "the name of a field")
    except DataError as error:
        raise FilterError(str(error)) from None
    keys: list[str] = []
    place = 0
    while found := _KEY.match(name, place):
        keys.append(unquote(found[0]) if found[0].startswith('"') else found[0])
        place = found.end()
        if place == len(name):
            return tuple(keys)
        if name[place] != ".":
            break
        place += 1
    raise FilterError(
        f"{name!r} is not a valid field name: separate keys by dots, and put a key with a dot or a"
        ' quote in double quotes, as in author."a.b"'
    )


def format_field(path: Path) -> str:
    """Return the canonical name of a field, which `parse_field` reads back as the same keys."""
    return ".".join(quote(key) for key in path)


def quote(word: str) -> str:
    """Return the word, in double quotes unless it is plain.

    A plain word has letters, digits, ``_`` and ``-``, does not begin with a digit, and is not a
    keyword.
    """
    plain = _PLAIN.fullmatch(word) and word.casefold() not in KEYWORDS
    return word if plain else json.dumps(word, ensure_ascii=False)


def unquote_single(quoted: str) -> str:
    """Return the string that a single-quoted text stands for.

    Raises:
        FilterError: see `unquote`.
    """
    return unquote(
        f'"{_ESCAPED.sub(lambda found: _IN_JSON.get(found[0], found[0]), quoted[1:-1])}"'
    )


def quote_single(value: str) -> str:
    """Return the string in single quotes, which field names never have."""
    body = json.dumps(value, ensure_ascii=False)[1:-1]
    return "'" + body.replace('\\"', '"').replace("'", "\\'") + "'"


def unquote(quoted: str) -> str:
    """Return the word that a double-quoted text stands for.

    Raises:
        FilterError: an escape is not one of JSON's, or the word cannot be encoded in UTF-8.
    """
    try:
        return check_text(_JSON.decode(quoted), quoted)
    except (DataError, json.JSONDecodeError) as error:
        raise FilterError(f"{quoted} cannot be read ({error}): use the escapes of JSON") from None
