"""Languages that words can be analyzed in: Snowball's stemmers and stop words."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lexpand.errors import DataError

if TYPE_CHECKING:
    from Stemmer import Stemmer

# Older algorithms beside those that bear their language's name.
_OLD = {"porter", "dutch_porter"}
_LISTS = Path(__file__).parent / "stop_words"
# A stemmer is not to be used by two threads at once.
_local = threading.local()


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a stemmer, sorted."""
    from Stemmer import algorithms

    return tuple(sorted(set(algorithms()) - _OLD))


def check_language(language: str | None) -> None:
    """None is no language in particular.

    Raises:
        DataError: there is no stemmer for it; the message names those there are.
    """
    if language is not None and language not in languages():
        raise DataError(
            f"no language {language!r}; there are {', '.join(languages())}, and None for any"
        )


def stemmer(language: str) -> Stemmer:
    """This thread's stemmer of a language."""
    from Stemmer import Stemmer

    made: dict[str, Stemmer] = _local.__dict__.setdefault("stemmers", {})
    if language not in made:
        # Its cache takes four times as long as the stemming.
        made[language] = Stemmer(language, 0)
    return made[language]


@cache
def stemmer_version() -> str:
    """Of the installed PyStemmer; the first two numbers are those of Snowball's rules."""
    from Stemmer import version

    return str(version())


@cache
def stop_words_of(language: str | None) -> frozenset[str]:
    """A language's own list; empty where there is none."""
    path = _LISTS / f"{language}.txt"
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()
