"""The script and the language of a text, by the names of its letters and by stop words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

from lexpand.encode.languages import languages, stop_words_of

# The number of characters that are read. They suffice, and are little of a long text.
_READ = 2000
# A language needs at least this many stop words, and this many times those of any other language.
_FEWEST, _CLEARLY = 5, 2

_WORD = re.compile(r"[^\W\d_]+")


def script_of(text: str) -> str | None:
    """Return the script of most letters as Unicode names it (``LATIN``); None without letters."""
    scripts: Counter[str] = Counter()
    for letter, count in Counter(text[:_READ]).items():
        if (script := _script(letter)) is not None:
            scripts[script] += count
    return scripts.most_common(1)[0][0] if scripts else None


def language_of(text: str) -> str | None:
    """Return the language with clearly the most stop words in the text, or None."""
    found: Counter[str] = Counter()
    listed = _languages_by_stop_word()
    for word in _WORD.findall(text[:_READ].lower()):
        found.update(listed.get(word, ()))
    (best, most), (_, second) = [*found.most_common(2), ("", 0), ("", 0)][:2]
    return best if most >= max(_FEWEST, _CLEARLY * second) else None


@cache
def _script(letter: str) -> str | None:
    if not letter.isalpha():
        return None
    return unicodedata.name(letter, "UNKNOWN").split()[0]


@cache
def _languages_by_stop_word() -> dict[str, tuple[str, ...]]:
    listed: dict[str, tuple[str, ...]] = {}
    for language in languages():
        for word in stop_words_of(language):
            listed[word] = (*listed.get(word, ()), language)
    return listed
