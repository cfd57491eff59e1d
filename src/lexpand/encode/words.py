"""Text to words: Unicode's word boundaries, one spelling, stop words, Snowball stems."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand._native import number_words, split_words
from lexpand.data.documents import check_text
from lexpand.encode.languages import check_language, stemmer, stemmer_version, stop_words_of
from lexpand.errors import DataError, LexpandWarning

MAX_WORD = 255
"""Bytes of UTF-8 that are kept of a word; the limit of an open field."""

# The analysis that `to_dict` records. Another one that gives other words gets the next number.
_ANALYSIS = 1
# Snowball's rules for possessives and elision know the straight apostrophe alone.
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\uff07", "'"))


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How often each word occurs in each text, CSR with one row a text; `lexpand._native.build_words` takes it.

    Attributes:
        words: the distinct words; a term is a place in it.
        indptr: int64 [texts + 1].
        terms: uint32, ascending within a text.
        counts: uint32, at least 1.
        lengths: uint32 [texts], the sum of each text's counts.
    """

    words: list[str]
    indptr: NDArray[np.int64]
    terms: NDArray[np.uint32]
    counts: NDArray[np.uint32]
    lengths: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, init=False)
class WordAnalyzer:
    """What a word is, for documents and queries alike.

    A text is split at Unicode's default word boundaries (UAX #29), so ``AB-1234.5`` is the words ``ab`` and ``1234.5``,
    and text without spaces comes apart into single ideographs. Each word is normalized (NFKC, so that a ligature or a
    full-width letter is the plain one), put in lower case (not case-folded: stemmers expect ``ß``), left out where it
    is a stop word, stemmed, and cut after 255 bytes of UTF-8.

    Args:
        language: one of `languages()`; None for texts of any: no stop words, no stems.
        stem: reduce words to their stems by Snowball's algorithm for the language.
        stop_words: words left out; None for the language's own list (Snowball's, where there is one), ``()`` for none.

    Raises:
        DataError: no such language, or stop_words is one string.
    """

    language: str | None
    stem: bool
    stop_words: frozenset[str] = field(repr=False)

    def __init__(
        self, language: str | None = "english", *, stem: bool = True, stop_words: Iterable[str] | None = None
    ) -> None:
        check_language(language)
        if isinstance(stop_words, str):
            raise DataError(f"stop_words is the string {stop_words!r}: it must be a list of words")
        listed = stop_words_of(language) if stop_words is None else stop_words
        object.__setattr__(self, "language", language)
        object.__setattr__(self, "stem", stem and language is not None)
        object.__setattr__(self, "stop_words", frozenset(map(_spelling, listed)))

    def analyse(self, text: str) -> list[str]:
        """The words of a text, in its order."""
        found = map(_spelling, split_words(check_text(text, "a text")))
        return self._stems([word for word in found if word not in self.stop_words])

    def counts(self, texts: Sequence[str]) -> WordCounts:
        """The words of each text, counted: those of `analyse`."""
        raw, indptr, numbers = number_words([check_text(text, f"text {i}") for i, text in enumerate(texts)])
        words, term_of = self._terms(raw)
        return _counted(words, indptr, term_of[numbers])

    def _stems(self, words: list[str]) -> list[str]:
        """One a word: the word itself where a stemmer leaves nothing of it (Greek, Nepali)."""
        stems = words
        if self.stem and self.language is not None:
            stems = stemmer(self.language).stemWords(words)
        return [_cut(stem or word) for stem, word in zip(stems, words, strict=True)]

    def _terms(self, raw: list[str]) -> tuple[list[str], NDArray[np.int64]]:
        """Distinct words of those that stand in texts, and the place of each; -1 for a stop word."""
        spelled = [_spelling(word) for word in raw]
        kept = [i for i, word in enumerate(spelled) if word not in self.stop_words]
        places: dict[str, int] = {}
        term_of = np.full(len(raw), -1, np.int64)
        term_of[kept] = [places.setdefault(word, len(places)) for word in self._stems([spelled[i] for i in kept])]
        return list(places), term_of

    def to_dict(self) -> dict[str, Any]:
        """What an index records: the stop words themselves, so that a later list changes no index; whose stems."""
        stop_words = sorted(self.stop_words)
        recorded = {"analysis": _ANALYSIS, "language": self.language, "stem": self.stem, "stop_words": stop_words}
        return recorded | ({"stemmer": stemmer_version()} if self.stem else {})

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> WordAnalyzer:
        """The analyzer that `to_dict` recorded; a LexpandWarning where another version of the stemmer is installed.

        Raises:
            DataError: it is of another version, or incomplete.
        """
        if recorded.get("analysis") != _ANALYSIS:
            found = recorded.get("analysis")
            raise DataError(f"words of analysis {found!r}; this Lexpand has {_ANALYSIS}: upgrade it")
        missing = {"language", "stem", "stop_words"} - recorded.keys()
        if missing:
            raise DataError(f"the record of the words' analysis lacks {', '.join(sorted(missing))}")
        if "stemmer" in recorded:  # those of before do not say
            _compare_stemmers(str(recorded["stemmer"]))
        return cls(recorded["language"], stem=recorded["stem"], stop_words=recorded["stop_words"])


def _compare_stemmers(recorded: str) -> None:
    installed = stemmer_version()
    wanted, found = (".".join(version.split(".")[:2]) for version in (recorded, installed))
    if wanted != found:
        warnings.warn(
            f"the index's words were stemmed by PyStemmer {recorded}, and {installed} is installed: a word whose stem"
            f" has changed is not found; pip install 'PyStemmer=={wanted}.*', or make the index anew",
            LexpandWarning,
            stacklevel=3,
        )


def _spelling(word: str) -> str:
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word).translate(_APOSTROPHES)
    return word.lower()


def _cut(word: str) -> str:
    encoded = word.encode()
    return word if len(encoded) <= MAX_WORD else encoded[:MAX_WORD].decode(errors="ignore")


def _counted(words: list[str], indptr: NDArray[np.int64], terms: NDArray[np.int64]) -> WordCounts:
    texts = len(indptr) - 1
    owner = np.repeat(np.arange(texts), np.diff(indptr))[terms >= 0]
    size = max(1, len(words))
    pairs, counts = np.unique(owner * size + terms[terms >= 0], return_counts=True)
    ends = np.cumsum(np.bincount(pairs // size, minlength=texts), dtype=np.int64)
    return WordCounts(
        words,
        np.concatenate([np.zeros(1, np.int64), ends]),
        (pairs % size).astype(np.uint32),
        counts.astype(np.uint32),
        np.bincount(owner, minlength=texts).astype(np.uint32),
    )
