"""A filter's text, cut into words and signs."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from lexpand.errors import FilterError
from lexpand.index.filters.names import KEYWORDS, QUOTED, SINGLE_QUOTED, unquote

# An apostrophe opens a string at the beginning of a word only: it's is a plain one.
_WORD = rf"""(?:{QUOTED}|{SINGLE_QUOTED}|[^\s()=<>!,"'])(?:{QUOTED}|[^\s()=<>!,"])*"""
_TOKEN = re.compile(rf"\s*(?P<token>(?P<sign><=|>=|!=|[=<>(),])|{_WORD}|\Z)", re.DOTALL)
# A number, a date or a time, however it is written.
_LIKE_NUMBER = re.compile(r"[+-]?\.?[0-9][0-9.:/eETZ+-]*")
_QUOTED = re.compile(QUOTED, re.DOTALL)
_AROUND = 60  # characters of a long text that a message shows on each side


class Token(NamedTuple):
    """A word, a sign or, empty, the end; and the place of its first character, from 0."""

    text: str
    place: int
    sign: bool

    @property
    def keyword(self) -> str:
        """The keyword that it is, in lower case; empty for anything else."""
        word = self.text.casefold()
        return word if word in KEYWORDS else ""

    @property
    def is_literal(self) -> bool:
        """Whether it can only be a value: true, false, a string in single quotes, what looks like a number or date."""
        return (
            self.keyword in ("true", "false")
            or self.text[:1] == "'"
            or looks_like_number(self.text)
        )

    @property
    def quotes_literal(self) -> bool:
        """Whether it is in double quotes and within looks like a number or a date."""
        return _QUOTED.fullmatch(self.text) is not None and looks_like_number(unquote(self.text))

    def __str__(self) -> str:
        return repr(self.text) if self.text else "the end"


def looks_like_number(word: str) -> bool:
    """Whether a word looks like a number, a date or a time; without quotes it is never the name of a field."""
    return _LIKE_NUMBER.fullmatch(word) is not None


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, with an empty one at its end.

    Raises:
        FilterError: a quote is not closed, or a ``!`` stands alone.
    """
    tokens: list[Token] = []
    place = 0
    while not tokens or tokens[-1].text:
        found = _TOKEN.match(text, place)
        if found is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            fail(text, place, "expected '!='" if text[place] == "!" else "this quote is not closed")
        tokens.append(Token(found["token"], found.start("token"), found["sign"] is not None))
        place = found.end()
    return tokens


def fail(text: str, place: int, reason: str) -> NoReturn:
    """Refuse a text, with a line that points at the place.

    Raises:
        FilterError: always.
    """
    start = max(0, place - _AROUND)
    shown = re.sub(r"\s", " ", text[start : place + _AROUND])
    raise FilterError(
        f"the filter is wrong at character {place + 1}: {reason}\n  {shown}\n  {' ' * (place - start)}^"
    )
