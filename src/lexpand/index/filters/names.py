"""Names of metadata fields, and how words are quoted. docs/filters.md is the specification."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from lexpand.data.documents import check_text
from lexpand.errors import DataError, FilterError

Path: TypeAlias = tuple[str, ...]
"""The keys that lead to a field, the outermost first."""

KEYWORDS = frozenset({"and", "or", "not", "in", "exists", "true", "false", "null"})
"""Words that a filter's text reads as its own, in upper or lower case, unless they are quoted."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
"""A regular expression of one quoted word."""

SINGLE_QUOTED = r"'(?:[^'\\]|\\.|'')*'"
"""One string in single quotes, in which an apostrophe is doubled or escaped."""

_ESCAPED = re.compile(r"\\.|''|\"", re.DOTALL)
_IN_JSON = {"\\'": "'", "''": "'", '"': '\\"'}
_KEY = re.compile(rf'{QUOTED}|[^."]+', re.DOTALL)
_PLAIN = re.compile(r"[^\W\d][\w-]*")
_JSON = json.JSONDecoder(strict=False)


def parse_field(name: str) -> Path:
    r"""The keys of a field's name: ``author.name`` is two, ``"a.b"`` in quotes one.

    Within quotes, a backslash means what it means in JSON.

    Raises:
        FilterError: a key is empty without being quoted, a quote is not closed, or the name is no
            UTF-8.
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
        f'{name!r} names no field: write keys with dots between, and an odd key in quotes: author."a.b"'
    )


def format_field(path: Path) -> str:
    """The one name that `parse_field` and a filter's text read as these keys."""
    return ".".join(quote(key) for key in path)


def quote(word: str) -> str:
    """The word, in quotes unless it is a plain one: letters, digits, ``_`` and ``-``, no digit first, no keyword."""
    plain = _PLAIN.fullmatch(word) and word.casefold() not in KEYWORDS
    return word if plain else json.dumps(word, ensure_ascii=False)


def unquote_single(quoted: str) -> str:
    """The string in single quotes.

    Raises:
        FilterError: as `unquote` does.
    """
    return unquote(
        f'"{_ESCAPED.sub(lambda found: _IN_JSON.get(found[0], found[0]), quoted[1:-1])}"'
    )


def quote_single(value: str) -> str:
    """The string in single quotes, which no field's name is written in."""
    body = json.dumps(value, ensure_ascii=False)[1:-1]
    return "'" + body.replace('\\"', '"').replace("'", "\\'") + "'"


def unquote(quoted: str) -> str:
    """What a quoted word says.

    Raises:
        FilterError: an escape is none of JSON's, or makes what UTF-8 cannot hold.
    """
    try:
        return check_text(_JSON.decode(quoted), quoted)
    except (DataError, json.JSONDecodeError) as error:
        raise FilterError(f"{quoted} cannot be read ({error}): escapes are those of JSON") from None
