"""ASCII replacements for characters that the encoding of a terminal lacks."""

from __future__ import annotations

import unicodedata

_STAND_INS = {
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-",
    "\u2212": "-", "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'", "\u2039": "<",
    "\u203a": ">", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"',
    "\u00bb": '"', "\u2026": "...", "\u2022": "*", "\u00b7": "*", "\u2192": "->", "\u2190": "<-",
    "\u21d2": "=>", "\u00d7": "x", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=",
    "\u00b1": "+-", "\u20ac": "EUR", "\u00a3": "GBP", "\u00df": "ss", "\u00e6": "ae",
    "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE", "\u00f8": "o", "\u00d8": "O", "\u0142": "l",
    "\u0141": "L", "\u0111": "d", "\u0110": "D", "\u0131": "i", "\u00fe": "th", "\u00f0": "d",
    "\u00a9": "(c)", "\u00ae": "(r)", "\u2122": "(tm)", "\u00b0": " deg", "\u00ad": "",
    "\u2044": "/", "\u2500": "-", "\u2501": "-", "\u2502": "|", "\u2503": "|",
}  # fmt: skip


def readable(error: UnicodeError) -> tuple[str, int]:
    """Handle an encoding error of `codecs` by replacing the characters; see `stand_in`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(stand_in, error.object[error.start : error.end])), error.end


def stand_in(letter: str) -> str:
    """Return a similar ASCII text, the letter without accents, or its escaped code point."""
    if letter in _STAND_INS:
        return _STAND_INS[letter]
    if unicodedata.combining(letter):
        return ""
    parts = [
        part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)
    ]
    plain = "".join(_STAND_INS.get(part, part) for part in parts)
    if plain.isascii() and plain:
        return plain
    return letter.encode("ascii", "backslashreplace").decode()
