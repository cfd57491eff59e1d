"""The languages of the word analyzer: Snowball's stemmers and stop words."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lexpand.errors import DataError

if TYPE_CHECKING:
    from Stemmer import Stemmer

# Older algorithms, whose names are not those of a language.
_OLD = {"porter", "dutch_porter"}
_LISTS = Path(__file__).parent / "stop_words"
# A stemmer must not be used by two threads at once.
_local = threading.local()


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that have a stemmer, sorted."""
    from Stemmer import algorithms

    return tuple(sorted(set(algorithms()) - _OLD))


def check_language(language: str | None) -> None:
    """Check that a language has a stemmer. None stands for no particular language.

    Raises:
        DataError: the language has no stemmer. The message lists the languages that have one.
    """
    if language is not None and language not in languages():
        known = ", ".join(languages())
        raise DataError(f"language must be one of {known}, or None for any, got {language!r}")


def stemmer(language: str) -> Stemmer:
    """Return the stemmer of a language for the current thread."""
    from Stemmer import Stemmer

    stemmers: dict[str, Stemmer] = _local.__dict__.setdefault("stemmers", {})
    if language not in stemmers:
        # A cache size of 0: the cache of PyStemmer takes four times as long as stemming.
        stemmers[language] = Stemmer(language, 0)
    return stemmers[language]


@cache
def stemmer_version() -> str:
    """Return the version of PyStemmer. Its first two numbers are those of Snowball's rules."""
    from Stemmer import version

    return str(version())


@cache
def stop_words_of(language: str | None) -> frozenset[str]:
    """Return the stop words of a language. The set is empty if the language has no list."""
    path = _LISTS / f"{language}.txt"
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()
