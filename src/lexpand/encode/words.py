"""Text to words: Unicode's word boundaries, one spelling, stop words, Snowball stems."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexpand._native import number_words, split_words
from lexpand.data.documents import check_text
from lexpand.encode.compounds import (
    Form,
    forms_of_run,
    forms_of_word,
    is_compound,
    join,
    runs_of,
    spans_of,
)
from lexpand.encode.languages import check_language, stemmer, stemmer_version, stop_words_of
from lexpand.encode.spelling import Spell, speller
from lexpand.errors import DataError, LexpandWarning

MAX_WORD = 255
"""Bytes of UTF-8 that are kept of a word; the limit of an open field."""

# The analysis that `to_dict` records. Another one that gives other words gets the next number.
_ANALYSIS = 2
# Of a part in a query. On the 300 queries by identifier, 0.5 instead of 1 brings CVE ids from 92 to
# 96 % first, and versions, commands and codes stay; 0.3 gains 3 points more there and loses one of
# versions and of commands. Chosen on these queries, so their figures are no estimate for others.
_PART = 0.5


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


class WordPlace(NamedTuple):
    """A word of a text as it is compared, and where it stands: its first character and the one behind its last."""

    word: str
    first: int
    end: int


@dataclass(frozen=True, slots=True, init=False)
class WordAnalyzer:
    """What a word is, for documents and queries alike.

    A text is split at Unicode's default word boundaries (UAX #29); text without spaces comes apart
    into single ideographs. Identifiers and compounds are words in two ways. Their parts are words:
    ``sshd_config`` has ``sshd`` and ``config``, ``getUserName`` has ``user``. Their parts joined
    are one more word: ``Wi-Fi`` is also ``wifi``, ``CVE-2023-5678`` is also ``cve2023_5678`` (a
    ``_`` stands where two digits would meet). At most 8 parts are joined.

    Each word is normalized (NFKC, so that a ligature or a full-width letter is the plain one),
    freed of invisible characters, put in lower case (not case-folded: stemmers expect ``ß``) and
    freed of an elided article (``l'école``). It is left out if it is a stop word, stemmed, and cut
    after 255 bytes of UTF-8.

    Args:
        language: one of `languages()`; None for texts of any: no stop words, no stems.
        stem: reduce words to their stems by Snowball's algorithm for the language.
        stop_words: words left out; None for the language's own list (Snowball's, where there is
            one), ``()`` for none.

    Raises:
        DataError: no such language, or stop_words is one string.
    """

    language: str | None
    stem: bool
    stop_words: frozenset[str] = field(repr=False)

    def __init__(
        self,
        language: str | None = "english",
        *,
        stem: bool = True,
        stop_words: Iterable[str] | None = None,
    ) -> None:
        check_language(language)
        if isinstance(stop_words, str):
            raise DataError(f"stop_words is the string {stop_words!r}: it must be a list of words")
        listed = stop_words_of(language) if stop_words is None else stop_words
        object.__setattr__(self, "language", language)
        object.__setattr__(self, "stem", stem and language is not None)
        object.__setattr__(self, "stop_words", frozenset(map(speller(language), listed)))

    def analyze(self, text: str) -> list[str]:
        """The words of a text in its order, then the joined forms of compounds that span several of them."""
        return [place.word for place in self.places(text)]

    def places(self, text: str) -> list[WordPlace]:
        """The words of `analyze` with their spans; a joined form spans its whole compound.

        Raises:
            DataError: the text is not a string, or has a lone surrogate.
        """
        words = split_words(check_text(text, "a text"))
        found = [
            (first, _forms(word))
            for word, (first, _) in zip(words, spans_of(text, words), strict=True)
        ]
        found += [(first, forms_of_run(run)) for run, first in runs_of(text)]
        spell = speller(self.language)
        kept = [
            (word, form.first + start, form.end + start)
            for start, forms in found
            for form in forms
            if (word := _spelled(form, spell)) and word not in self.stop_words
        ]
        stems = self._stems([word for word, _, _ in kept])
        return [
            WordPlace(stem, first, end) for stem, (_, first, end) in zip(stems, kept, strict=True)
        ]

    def query_weights(self, text: str) -> dict[str, float]:
        """The words of a query and how often each counts as asked for.

        A word counts 1 each time it stands there, and a part or an inner joined form of a compound
        0.5: what matches the whole identifier must not be outvoted by texts that repeat its parts.
        """
        weights: dict[str, float] = {}
        reach = 0
        for word, _, end in sorted(self.places(text), key=lambda place: (place.first, -place.end)):
            weights[word] = weights.get(word, 0.0) + (_PART if end <= reach else 1.0)
            reach = max(reach, end)
        return weights

    def counts(self, texts: Iterable[str]) -> WordCounts:
        """The words of each text, counted: those of `analyze`."""
        if isinstance(texts, str | bytes):
            raise DataError(
                f"texts must be a list of texts, got the {type(texts).__name__} {texts!r:.60}"
            )
        checked = [check_text(text, f"text {i}") for i, text in enumerate(texts)]
        raw, indptr, numbers = number_words(checked)
        runs, owners, run_numbers = _number_runs(checked)
        words, starts, terms = self._terms(raw, runs)
        owners = np.concatenate([np.repeat(np.arange(len(checked)), np.diff(indptr)), owners])
        numbers = np.concatenate([numbers.astype(np.int64), run_numbers + len(raw)])
        sizes = np.diff(starts)[numbers]
        # Of each word or run that stands in a text, its terms in a row.
        places = np.repeat(starts[numbers] - (np.cumsum(sizes) - sizes), sizes) + np.arange(
            sizes.sum()
        )
        return _counted(words, len(checked), np.repeat(owners, sizes), terms[places])

    def _stems(self, words: list[str]) -> list[str]:
        """One a word: the word itself where a stemmer leaves nothing of it (Greek, Nepali)."""
        stems = words
        if self.stem and self.language is not None:
            stems = stemmer(self.language).stemWords(words)
        return [_cut(stem or word) for stem, word in zip(stems, words, strict=True)]

    def _terms(
        self, raw: list[str], runs: list[str]
    ) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
        """Distinct words of those of texts and their runs; where the terms of each begin, and the terms.

        A stop word has none, a compound several.
        """
        spell, stop_words = speller(self.language), self.stop_words
        spelled = [
            [_spelled(form, spell) for form in forms_of_word(word)]
            if is_compound(word)
            else [spell(word)]
            for word in raw
        ]
        spelled += [[_spelled(form, spell) for form in forms_of_run(run)] for run in runs]
        kept = [[word for word in words if word and word not in stop_words] for words in spelled]
        places: dict[str, int] = {}
        stems = self._stems(list(chain.from_iterable(kept)))
        terms = np.array([places.setdefault(word, len(places)) for word in stems], np.int64)
        starts = np.concatenate(
            [np.zeros(1, np.int64), np.cumsum([len(words) for words in kept], dtype=np.int64)]
        )
        return list(places), starts, terms

    def to_dict(self) -> dict[str, Any]:
        """What an index records: the stop words themselves, so that a later list changes no index; whose stems."""
        stop_words = sorted(self.stop_words)
        recorded = {
            "analysis": _ANALYSIS,
            "language": self.language,
            "stem": self.stem,
            "stop_words": stop_words,
        }
        return recorded | ({"stemmer": stemmer_version()} if self.stem else {})

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> WordAnalyzer:
        """The analyzer that `to_dict` recorded; a LexpandWarning where another version of the stemmer is installed.

        Raises:
            DataError: it is of another version, or incomplete.
        """
        found = recorded.get("analysis")
        if found == 1:
            raise DataError(
                f"the analysis of words must be {_ANALYSIS}, got 1: made before the first release: index again"
            )
        if found != _ANALYSIS:
            raise DataError(
                f"the analysis of words must be {_ANALYSIS}, got {found!r}: upgrade Lexpand"
            )
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


def _spelled(form: Form, spell: Spell) -> str:
    """A form as one word; empty where nothing visible is in it, or a joined one is past what is kept of a word."""
    if len(form.pieces) == 1:
        return spell(form.pieces[0])
    word = join(form.pieces)
    # Only letters beyond ASCII and elided articles may be spelled otherwise within their piece.
    word = (
        spell(word)
        if word.isascii() and "'" not in word
        else join([spell(piece) for piece in form.pieces])
    )
    return word if len(word.encode()) <= MAX_WORD else ""


def _forms(word: str) -> list[Form]:
    return forms_of_word(word) if is_compound(word) else [Form((word,), 0, len(word))]


def _number_runs(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct runs of texts; the text and the number of each run that stands in one."""
    runs: dict[str, int] = {}
    numbers = [[runs.setdefault(run, len(runs)) for run, _ in runs_of(text)] for text in texts]
    owners = np.repeat(np.arange(len(texts)), [len(found) for found in numbers])
    return list(runs), owners, np.array(list(chain.from_iterable(numbers)), np.int64)


def _cut(word: str) -> str:
    encoded = word.encode()
    return word if len(encoded) <= MAX_WORD else encoded[:MAX_WORD].decode(errors="ignore")


def _counted(
    words: list[str], texts: int, owners: NDArray[np.int64], terms: NDArray[np.int64]
) -> WordCounts:
    size = max(1, len(words))
    pairs, counts = np.unique(owners * size + terms, return_counts=True)
    ends = np.cumsum(np.bincount(pairs // size, minlength=texts), dtype=np.int64)
    return WordCounts(
        words,
        np.concatenate([np.zeros(1, np.int64), ends]),
        (pairs % size).astype(np.uint32),
        counts.astype(np.uint32),
        np.bincount(owners, minlength=texts).astype(np.uint32),
    )
