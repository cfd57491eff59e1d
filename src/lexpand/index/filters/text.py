"""The parser of filters as texts: ``year >= 2020 and (tags in (a, "b c") or not exists(doi))``.

It is a recursive-descent parser with one function per rule:

    disjunction = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = "not" negation | "(" disjunction ")" | condition
    condition   = "exists" "(" field ")" | field ["not"] "in" "(" value {"," value} ")"
                | field sign value | literal sign field
                | value ("<" | "<=") field ("<" | "<=") value
    sign        = "=" | "!=" | "<" | "<=" | ">" | ">="

A field or a value is a word of `tokens`, which may be in double quotes. A literal is a value that
cannot be a field: a boolean, a string in single quotes, or a word that looks like a number or date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from lexpand.errors import FilterError
from lexpand.index.filters.expression import (
    DEPTH,
    Bound,
    Exists,
    Expression,
    Not,
    OneOf,
    Range,
    all_of,
    any_of,
)
from lexpand.index.filters.names import (
    QUOTED,
    SINGLE_QUOTED,
    Path,
    parse_field,
    unquote,
    unquote_single,
)
from lexpand.index.filters.tokens import Token, fail, tokenize
from lexpand.index.filters.values import Scalar, check_value

T = TypeVar("T")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
_QUOTED = re.compile(QUOTED, re.DOTALL)
_SINGLE_QUOTED = re.compile(SINGLE_QUOTED, re.DOTALL)
_CONSTANTS = {"true": True, "false": False}
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Operators of other languages, and lists without "in".
_GUESSES = {
    ("=", "="): "write = for equality",
    ("=", ">"): "write >=",
    ("=", "<"): "write <=",
    ("<", ">"): "write != for inequality",
    ("!=", "="): "write != for inequality",
    ("=", "("): "write in (a, b) for a list of values",
    ("!=", "("): "write not in (a, b) for a list of values",
}
_JOINS = {"&": "and", "&&": "and", "|": "or", "||": "or"}
_QUOTE_FIELD = "a field with such a name needs double quotes"


def parse_text(text: str) -> Expression:
    """Parse a filter from a text; docs/filters.md describes the language.

    Raises:
        FilterError: the text is invalid. The message points at the place.
    """
    return _Parser(text).read()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._next = 0
        self._depth = 0

    def read(self) -> Expression:
        expression = self._disjunction()
        if self._peek.text:
            joined = _JOINS.get(self._peek.text)
            remedy = f" (write {joined!r})" if joined else ""
            self._fail(f"expected 'and', 'or' or the end{remedy}")
        return expression

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek
        self._next += bool(token.text)  # the end token is never consumed
        return token

    def _takes(self, text: str) -> bool:
        """Consume the next token if it is this sign or keyword; return whether it was."""
        found = text in (self._peek.text, self._peek.keyword)
        self._next += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            self._fail(f"expected {sign!r}")

    def _fail(self, reason: str, token: Token | None = None) -> NoReturn:
        token = token or self._peek
        fail(self._text, token.place, f"{reason}, found {token}")

    def _disjunction(self) -> Expression:
        return self._joined("or", self._conjunction, any_of)

    def _conjunction(self) -> Expression:
        return self._joined("and", self._negation, all_of)

    def _joined(
        self,
        word: str,
        part: Callable[[], Expression],
        join: Callable[[list[Expression]], Expression],
    ) -> Expression:
        place = self._peek.place
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return self._checked(place, lambda: join(parts))

    def _checked(self, place: int, make: Callable[[], T]) -> T:
        """Return what ``make`` returns; report its FilterError at the place."""
        try:
            return make()
        except FilterError as error:
            fail(self._text, place, str(error))

    def _negation(self) -> Expression:
        place = self._peek.place
        if self._takes("not"):
            part = self._deeper(self._negation)
            return self._checked(place, lambda: Not(part))
        if self._takes("("):
            part = self._deeper(self._disjunction)
            self._expect(")")
            return part
        return self._condition()

    def _deeper(self, part: Callable[[], Expression]) -> Expression:
        if self._depth == DEPTH:
            self._fail(f"nested deeper than {DEPTH} levels: flatten it")
        self._depth += 1
        expression = part()
        self._depth -= 1
        return expression

    def _condition(self) -> Expression:
        if self._takes("exists"):
            self._expect("(")
            field = self._field(self._take())
            self._expect(")")
            return Exists(field)
        first = self._take()
        if self._peek.keyword in ("not", "in"):
            return self._membership(self._field(first))
        return self._comparison(first)

    def _membership(self, field: Path) -> Expression:
        negated = self._takes("not")
        self._expect("in")
        self._expect("(")
        values = [self._value(self._take())]
        while self._takes(","):
            values.append(self._value(self._take()))
        self._expect(")")
        condition = OneOf(field, tuple(values))
        return Not(condition) if negated else condition

    def _comparison(self, first: Token) -> Expression:
        if first.sign or not first.text:
            self._fail("expected a condition", first)
        sign, second = self._sign(), self._take()
        if self._peek.text in ("<", "<=", ">", ">="):
            return self._between(first, sign, second)
        if first.is_literal or (self._quotes_literal(first) and not second.is_literal):
            first, sign, second = self._mirrored(first, sign, second)
        field, value = self._field(first), self._value(second)
        if sign in ("=", "!="):
            condition = OneOf(field, (value,))
            return condition if sign == "=" else Not(condition)
        bound = Bound(value, sign.endswith("="))
        lower, upper = (bound, None) if sign.startswith(">") else (None, bound)
        return self._checked(second.place, lambda: Range(field, lower, upper))

    def _mirrored(self, value: Token, sign: str, field: Token) -> tuple[Token, str, Token]:
        """Turn a comparison around: ``2020 <= year`` becomes ``year >= 2020``."""
        if field.is_literal or self._quotes_literal(field):
            reason = (
                f"{value} and {field} are two values: one side must be a field ({_QUOTE_FIELD})"
            )
            fail(self._text, value.place, reason)
        return field, _MIRRORED[sign], value

    def _quotes_literal(self, token: Token) -> bool:
        return self._checked(token.place, lambda: token.quotes_literal)

    def _sign(self) -> str:
        if self._peek.text not in _MIRRORED:
            self._fail(f"expected 'in' or one of {' '.join(_MIRRORED)}")
        sign = self._take().text
        if remedy := _GUESSES.get((sign, self._peek.text)):
            self._fail(f"expected a value after {sign!r} ({remedy})")
        return sign

    def _between(self, first: Token, sign: str, second: Token) -> Expression:
        place = self._peek
        other, third = self._sign(), self._take()
        if not (sign.startswith("<") and other.startswith("<")):
            self._fail("a range is written 2020 <= year < 2024, with '<' or '<=' twice", place)
        lower = Bound(self._value(first), sign == "<=")
        field, upper = self._field(second), Bound(self._value(third), other == "<=")
        return self._checked(first.place, lambda: Range(field, lower, upper))

    def _field(self, token: Token) -> Path:
        if token.sign or not token.text:
            self._fail("expected a field", token)
        if token.keyword or token.is_literal:
            self._fail(f"expected a field ({_QUOTE_FIELD})", token)
        return self._checked(token.place, lambda: parse_field(token.text))

    def _value(self, token: Token) -> Scalar:
        if token.keyword in _CONSTANTS:
            return _CONSTANTS[token.keyword]
        if token.keyword == "null":
            self._fail(
                "nothing equals null: to find where a field is missing, write not exists(field)",
                token,
            )
        if token.sign or not token.text:
            self._fail("expected a value", token)
        if token.keyword:
            self._fail("expected a value (a string like this needs quotes)", token)
        return self._checked(token.place, lambda: check_value(_read_value(token.text), "the field"))


def _read_value(word: str) -> Scalar:
    if found := _NUMBER.fullmatch(word):
        if found["fraction"] or found["exponent"]:
            return float(word)
        try:
            return int(word)
        except ValueError:  # more digits than Python reads
            raise FilterError(
                f"a number of {len(word)} digits is too long: write it as a string, in quotes"
            ) from None
    if word[0] == "'":
        if not _SINGLE_QUOTED.fullmatch(word):
            raise FilterError(f"{word} is only partly in quotes: put all of it in quotes")
        return unquote_single(word)
    if '"' not in word:
        return word
    if not _QUOTED.fullmatch(word):
        raise FilterError(f"{word} is only partly in quotes: put all of it in quotes")
    return unquote(word)
