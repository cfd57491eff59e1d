"""The tokenizer of filter texts: words and signs."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from lexpand.errors import FilterError
from lexpand.index.filters.names import KEYWORDS, QUOTED, SINGLE_QUOTED, unquote

# An apostrophe opens a string only at the beginning of a word: it's is a plain word.
_WORD = rf"""(?:{QUOTED}|{SINGLE_QUOTED}|[^\s()=<>!,"'])(?:{QUOTED}|[^\s()=<>!,"])*"""
_TOKEN = re.compile(rf"\s*(?P<token>(?P<sign><=|>=|!=|[=<>(),])|{_WORD}|\Z)", re.DOTALL)
# A number, a date or a time, in any notation.
_LIKE_NUMBER = re.compile(r"[+-]?\.?[0-9][0-9.:/eETZ+-]*")
_QUOTED = re.compile(QUOTED, re.DOTALL)
_CONTEXT = 60  # the number of characters that a message shows on each side of an error


class Token(NamedTuple):
    """A word, a sign, or the end of the text.

    Attributes:
        text: the characters of the token; empty at the end.
        place: the position of its first character, from 0.
        sign: whether it is a sign.
    """

    text: str
    place: int
    sign: bool

    @property
    def keyword(self) -> str:
        """The keyword in lower case; empty if the token is not a keyword."""
        word = self.text.casefold()
        return word if word in KEYWORDS else ""

    @property
    def is_literal(self) -> bool:
        """Whether the token can only be a value.

        Values are booleans, strings in single quotes, and words that look like numbers or dates.
        """
        return (
            self.keyword in ("true", "false")
            or self.text[:1] == "'"
            or looks_like_number(self.text)
        )

    @property
    def quotes_literal(self) -> bool:
        """Whether the token is a number or a date in double quotes."""
        return _QUOTED.fullmatch(self.text) is not None and looks_like_number(unquote(self.text))

    def __str__(self) -> str:
        return repr(self.text) if self.text else "the end"


def looks_like_number(word: str) -> bool:
    """Return whether a word looks like a number, date or time, which unquoted is never a field."""
    return _LIKE_NUMBER.fullmatch(word) is not None


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a text, with an empty one at the end.

    Raises:
        FilterError: a quote is not closed, or a ``!`` has no ``=`` after it.
    """
    tokens: list[Token] = []
    place = 0
    while not tokens or tokens[-1].text:
        found = _TOKEN.match(text, place)
        if found is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            negation = "expected '!=' (to negate a condition, write 'not' before it)"
            fail(text, place, negation if text[place] == "!" else "this quote is not closed")
        tokens.append(Token(found["token"], found.start("token"), found["sign"] is not None))
        place = found.end()
    return tokens


def fail(text: str, place: int, reason: str) -> NoReturn:
    """Raise a FilterError whose message has a line that points at the place.

    Raises:
        FilterError: always.
    """
    start = max(0, place - _CONTEXT)
    shown = re.sub(r"\s", " ", text[start : place + _CONTEXT])
    raise FilterError(
        f"the filter is invalid at character {place + 1}: {reason}\n"
        f"  {shown}\n  {' ' * (place - start)}^"
    )
