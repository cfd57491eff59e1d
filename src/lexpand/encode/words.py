"""Split text into words: Unicode word boundaries, normalization, stop words, Snowball stems."""

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
"""The largest number of UTF-8 bytes that are kept of a word, which a lexical field limits."""

# The version of the analysis, which `to_dict` records. Increase it if the analysis yields other
# words.
_ANALYSIS = 2
# The weight in a query of a part of a compound. It was chosen on the 300 identifier queries, so
# their figures do not carry over to other queries. With 0.5 instead of 1, 96 % of CVE ids rank
# first instead of 92 %, and versions, commands and codes are unchanged. With 0.3, CVE ids gain 3
# points more, but versions and commands lose 1 point each.
_PART = 0.5


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Word counts of texts in CSR form, one row for each text.

    `lexpand._native.build_words` takes these arrays.

    Attributes:
        words: the distinct words. A term is an index into this list.
        indptr: int64 [texts + 1], the row boundaries.
        terms: uint32, ascending within a row.
        counts: uint32, at least 1, parallel to ``terms``.
        lengths: uint32 [texts], the sum of the counts of each text.
    """

    words: list[str]
    indptr: NDArray[np.int64]
    terms: NDArray[np.uint32]
    counts: NDArray[np.uint32]
    lengths: NDArray[np.uint32]


class WordPlace(NamedTuple):
    """A normalized word of a text and its span of characters, ``end`` excluded."""

    word: str
    first: int
    end: int


@dataclass(frozen=True, slots=True, init=False)
class WordAnalyzer:
    """Splits documents and queries into words.

    A text is split at Unicode's default word boundaries (UAX #29). Text without spaces is split
    into single ideographs.

    Identifiers and compounds yield two kinds of words:

    * their parts: ``sshd_config`` yields ``sshd`` and ``config``, ``getUserName`` yields ``user``;
    * their parts joined, at most 8: ``Wi-Fi`` also yields ``wifi``, and ``CVE-2023-5678`` also
      yields ``cve2023_5678``. A ``_`` separates two digits that would touch.

    Each word goes through these steps:

    1. It is normalized with NFKC, which replaces ligatures and full-width letters by plain ones.
    2. Invisible characters are removed.
    3. It is lower-cased, but not case-folded, because stemmers expect ``ß``.
    4. An elided article is removed (``l'école``).
    5. It is dropped if it is a stop word.
    6. It is stemmed, and cut after 255 bytes of UTF-8.

    Args:
        language: one of `languages()`. None is for texts in any language: no stop words, no stems.
        stem: whether to reduce words to their stems with the Snowball algorithm of the language.
        stop_words: words to drop. None stands for Snowball's list of the language, if there is one;
            ``()`` keeps every word.

    Raises:
        DataError: the language has no stemmer, or stop_words is a single string.
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
            raise DataError(
                f"stop_words must be a list of words, got the string {stop_words!r}: "
                "put a single word in a list"
            )
        listed = stop_words_of(language) if stop_words is None else stop_words
        object.__setattr__(self, "language", language)
        object.__setattr__(self, "stem", stem and language is not None)
        object.__setattr__(self, "stop_words", frozenset(map(speller(language), listed)))

    def analyze(self, text: str) -> list[str]:
        """Return the words of a text in order, then the joined forms that span several words."""
        return [place.word for place in self.places(text)]

    def places(self, text: str) -> list[WordPlace]:
        """Return the words of `analyze` with their spans. A joined form spans its compound.

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
        """Return the words of a query and their weights.

        Each occurrence of a word adds 1. A part or an inner joined form of a compound adds 0.5.
        Otherwise, texts that repeat the parts could outrank a match of the whole identifier.
        """
        weights: dict[str, float] = {}
        covered = 0
        for word, _, end in sorted(self.places(text), key=lambda place: (place.first, -place.end)):
            weights[word] = weights.get(word, 0.0) + (_PART if end <= covered else 1.0)
            covered = max(covered, end)
        return weights

    def counts(self, texts: Iterable[str]) -> WordCounts:
        """Count the words of each text, as `analyze` returns them.

        Raises:
            DataError: ``texts`` is a single text, or an element is not a string or has a lone
                surrogate.
        """
        if isinstance(texts, str | bytes):
            raise DataError(
                f"texts must be a list of texts, got the {type(texts).__name__} {texts!r:.60}: "
                "put a single text in a list"
            )
        checked = [check_text(text, f"text {i}") for i, text in enumerate(texts)]
        raw, indptr, numbers = number_words(checked)
        runs, owners, run_numbers = _number_runs(checked)
        words, starts, terms = self._terms(raw, runs)
        owners = np.concatenate([np.repeat(np.arange(len(checked)), np.diff(indptr)), owners])
        numbers = np.concatenate([numbers.astype(np.int64), run_numbers + len(raw)])
        sizes = np.diff(starts)[numbers]
        # The terms of each occurrence of a word or run, concatenated.
        places = np.repeat(starts[numbers] - (np.cumsum(sizes) - sizes), sizes) + np.arange(
            sizes.sum()
        )
        return _counted(words, len(checked), np.repeat(owners, sizes), terms[places])

    def _stems(self, words: list[str]) -> list[str]:
        """Return a stem for each word.

        A word stays as it is if its stem would be empty, which happens in Greek and Nepali.
        """
        stems = words
        if self.stem and self.language is not None:
            stems = stemmer(self.language).stemWords(words)
        return [_cut(stem or word) for stem, word in zip(stems, words, strict=True)]

    def _terms(
        self, raw: list[str], runs: list[str]
    ) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
        """Analyze distinct words and runs.

        Returns:
            The distinct analyzed words, the row boundaries and the terms: CSR with one row for each
            word and run. A stop word has no term, a compound several.
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
        """Return the settings that an index records.

        They include the stop words, so that a later version of a list does not change the index,
        and the version of the stemmer.
        """
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
        """Return the analyzer that `to_dict` recorded.

        A LexpandWarning is issued if another version of the stemmer is installed.

        Raises:
            DataError: the record has another version, or is incomplete.
        """
        version = recorded.get("analysis")
        if version == 1:
            raise DataError(
                f"the version of the word analysis must be {_ANALYSIS}, got 1, from before the "
                "first release: index the documents again"
            )
        if version != _ANALYSIS:
            raise DataError(
                f"the version of the word analysis must be {_ANALYSIS}, got {version!r}: "
                "upgrade Lexpand"
            )
        missing = {"language", "stem", "stop_words"} - recorded.keys()
        if missing:
            raise DataError(
                f"the record of the word analysis lacks {', '.join(sorted(missing))}: "
                "index the documents again"
            )
        if "stemmer" in recorded:  # older records lack it
            _compare_stemmers(str(recorded["stemmer"]))
        return cls(recorded["language"], stem=recorded["stem"], stop_words=recorded["stop_words"])


def _compare_stemmers(recorded: str) -> None:
    installed = stemmer_version()
    expected, found = (".".join(version.split(".")[:2]) for version in (recorded, installed))
    if expected != found:
        warnings.warn(
            f"the words of the index were stemmed by PyStemmer {recorded}, but {installed} is "
            "installed: words whose stems differ are not found; "
            f"run pip install 'PyStemmer=={expected}.*', or make a new index",
            LexpandWarning,
            stacklevel=3,
        )


def _spelled(form: Form, spell: Spell) -> str:
    """Return a form as one normalized word.

    The word is empty if the form has no visible character, or if a joined form is too long.
    """
    if len(form.pieces) == 1:
        return spell(form.pieces[0])
    word = join(form.pieces)
    # Normalizing the joined word equals normalizing each piece, except for letters beyond ASCII and
    # elided articles.
    word = (
        spell(word)
        if word.isascii() and "'" not in word
        else join([spell(piece) for piece in form.pieces])
    )
    return word if len(word.encode()) <= MAX_WORD else ""


def _forms(word: str) -> list[Form]:
    return forms_of_word(word) if is_compound(word) else [Form((word,), 0, len(word))]


def _number_runs(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct runs of texts.

    Returns:
        The distinct runs, and for each occurrence the index of its text and the number of its run.
    """
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
