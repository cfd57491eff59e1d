"""Normalize words: compatibility forms, invisible characters, case and elided articles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Spell = Callable[[str], str]
"""Maps a word as written in a text to its normalized form."""

# Snowball's rules for possessives handle only the straight apostrophe.
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\uff07"), "'")

# Format controls, variation selectors, tags and fillers. They change how a word looks, not which
# word it is. The joiners U+200C and U+200D are not among them: U+200C separates words in Persian,
# and both affect letters of Indic scripts.
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x200B, 0x200B),  # zero width space
    (0x200E, 0x200F),  # left-to-right and right-to-left marks
    (0x202A, 0x202E),  # bidirectional embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, isolates
    (0x20E3, 0x20E3),  # enclosing keycap
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFF9, 0xFFFB),  # interlinear annotations
    (0x1D173, 0x1D17A),  # musical beams and slurs
    (0xE0000, 0xE0FFF),  # tags, variation selectors supplement
)
_INVISIBLE = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE_RANGES) + "]+"
)
# A joiner at the end of a word joins nothing. After Latin, Greek, Cyrillic or Hebrew letters it
# only controls ligatures.
_IDLE_JOINER = re.compile("(?:^|(?<=[\0-\u05ff]))[\u200c\u200d]+|[\u200c\u200d]+$")

# Articles, pronouns and prepositions that lose their vowel before another vowel. The lists are
# Lucene's, except the Portuguese one, which Lucene lacks.
_ELIDED = {
    "catalan": "d l m n s t",
    "french": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu",
    "irish": "d m b",
    "italian": "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d",
    "portuguese": "d",
}
_TURKISH = str.maketrans({"\u0130": "i", "I": "\u0131"})


def speller(language: str | None) -> Spell:
    """Return the normalization of words in a language, or in any language for None.

    It applies NFKC, removes invisible characters and lower-cases the word. It does not case-fold,
    because stemmers expect ``ß``. Turkish has two letters I of its own. An elided article is
    removed in French, Catalan, Italian, Portuguese and Irish: ``l'école`` becomes ``école``.
    """
    lower = _lower_turkish if language == "turkish" else _lower
    if language not in _ELIDED:
        return lower
    elided = re.compile(f"(?:{'|'.join(_ELIDED[language].split())})'(?=[^\\W\\d_])")

    def spell(word: str) -> str:
        word = lower(word)
        found = elided.match(word)
        return word[found.end() :] if found else word

    return spell


def _lower(word: str) -> str:
    if word.isascii():
        return word.lower()
    # Python lower-cases İ to i with a combining dot, which is not how the word is typed.
    return _plain(word).lower().replace("i\u0307", "i")


def _lower_turkish(word: str) -> str:
    # NFKC first: it composes I and a combining dot to İ.
    word = word if word.isascii() else _plain(word)
    return word.translate(_TURKISH).lower().replace("i\u0307", "i")


def _plain(word: str) -> str:
    """Apply NFKC, straighten apostrophes and remove invisible characters."""
    word = unicodedata.normalize("NFKC", _INVISIBLE.sub("", word)).translate(_APOSTROPHES)
    return _IDLE_JOINER.sub("", word)
