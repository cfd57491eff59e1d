"""Find training rows that share text with a test collection."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, Query
from lexpand.errors import DataError

WORDS = 13
"""The length of a run, as in the analysis of GPT-3 (Brown et al. 2020, appendix C)."""

# \w without the underscore: letters and digits of every script.
_WORD = re.compile(r"[^\W_]+")

# An odd multiplier with well-mixed bits: 2^64 divided by the golden ratio.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_BATCH = 1000  # texts that are hashed together


def words_of(text: str) -> list[str]:
    """Return the words of a text: lower-cased runs of letters and digits."""
    return _WORD.findall(text.lower())


class HitKind(StrEnum):
    """What a training row shares."""

    QUERY = "query"
    """A whole query, or a run of words of a query."""

    PASSAGE = "passage"
    """A run of words of a document."""


Row: TypeAlias = tuple[str, Sequence[str], str]
"""A training row: its place (file and line), its passages, and its query."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that a training row shares with a collection.

    Attributes:
        place: the file and the line of the row.
        kind: what is shared.
        shared_id: the query_id or the doc_id.
        words: the shared words.
        collection: the name of the collection.
    """

    place: str
    kind: HitKind
    shared_id: str
    words: str
    collection: str = ""


def find_contamination(
    rows: Iterable[Row],
    documents: Iterable[Document],
    queries: Iterable[Query],
    *,
    words: int = WORDS,
) -> list[Hit]:
    """Return what training rows share with a collection; see `CollectionTexts`.

    Args:
        rows: the training rows.
        documents: the documents of the collection.
        queries: the queries of the collection.
        words: the length of a shared run.

    Raises:
        DataError: ``words`` is not positive.
    """
    texts = CollectionTexts(documents, queries, words=words)
    return [hit for hits in search_rows(rows, [texts]) for hit in hits]


def search_rows(rows: Iterable[Row], collections: Sequence[CollectionTexts]) -> Iterator[list[Hit]]:
    """Yield the hits of each row, in order, at most one for each text of a collection.

    Rows are read in batches, so memory does not depend on their number.

    Args:
        rows: the training rows.
        collections: the collections, with the same length of a run.

    Raises:
        DataError: the lengths differ.
    """
    lengths = {collection.length for collection in collections}
    if len(lengths) > 1:
        raise DataError(f"collections must have the same length of a run, got {sorted(lengths)}")
    left = iter(rows)
    while batch := list(itertools.islice(left, _BATCH)):
        texts = _Texts(
            [(query, *passages) for _, passages, query in batch], max(lengths, default=1)
        )
        found: list[list[Hit]] = [[] for _ in batch]
        for collection in collections:
            for row, hit in collection.hits(texts, [place for place, _, _ in batch]):
                found[row].append(hit)
        yield from found


class CollectionTexts:
    """The texts of a collection, in which shared runs of words are looked up.

    A row is a hit if its query has the words of a query of the collection, or if its query or one
    of its passages shares a run of words with a document or a query. Words are those of `words_of`,
    so case, punctuation and white space do not matter.

    Memory is the texts, and 12 bytes for each distinct run. A hash finds candidates, and the words
    decide. A run is known under the first text that has it.

    Args:
        documents: the documents.
        queries: the queries.
        name: the name of the collection.
        words: the length of a shared run.

    Raises:
        DataError: ``words`` is not positive.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        queries: Iterable[Query],
        *,
        name: str = "",
        words: int = WORDS,
    ) -> None:
        if words < 1:
            raise DataError(f"words must be >= 1, got {words}")
        self.name, self.length = name, words
        self._owners: list[tuple[HitKind, str]] = []
        self._texts: list[str] = []
        self._queries: dict[str, int] = {}  # the place of the text by its words
        for query in queries:
            self._queries.setdefault(" ".join(words_of(query.text)), len(self._texts))
            self._owners.append((HitKind.QUERY, query.query_id))
            self._texts.append(query.text)
        self._queries.pop("", None)
        for document in documents:
            self._owners.append((HitKind.PASSAGE, document.doc_id))
            self._texts.append(document.full_text)
        self._hashes, self._places = _first_places(self._texts, words)

    def hits(self, texts: _Texts, places: Sequence[str]) -> Iterator[tuple[int, Hit]]:
        """Yield the hits of rows, with the number of the row.

        Args:
            texts: the texts of the rows; the first of each row is its query.
            places: the place of each row.
        """
        seen: set[tuple[int, int]] = set()
        for row, words in enumerate(texts.queries()):
            query = " ".join(words)
            if query in self._queries:
                seen.add((row, self._queries[query]))
                yield row, self._hit(places[row], self._queries[query], query)
        for text, start, owner in self._candidates(texts.runs):
            row = texts.rows[text]
            if (row, owner) in seen:
                continue
            shared = self._shared(texts.words[text], start, owner)
            if shared:
                seen.add((row, owner))
                yield row, self._hit(places[row], owner, " ".join(shared))

    def _hit(self, place: str, owner: int, words: str) -> Hit:
        kind, shared_id = self._owners[owner]
        return Hit(place, kind, shared_id, words, self.name)

    def _candidates(self, runs: _Runs) -> Iterator[tuple[int, int, int]]:
        """Yield the text, the start and the collection's text of each run whose hash is known."""
        if not len(self._hashes):
            return
        at = np.searchsorted(self._hashes, runs.hashes).clip(max=len(self._hashes) - 1)
        for run in np.flatnonzero(self._hashes[at] == runs.hashes).tolist():
            yield int(runs.texts[run]), int(runs.starts[run]), int(self._places[at[run]])

    def _shared(self, words: Sequence[str], start: int, owner: int) -> Sequence[str]:
        """Return the longest run from a start that a text of the collection has; empty if none."""
        theirs, run = words_of(self._texts[owner]), words[start : start + self.length]
        for at in range(len(theirs) - self.length + 1):
            if theirs[at : at + self.length] == run:
                pairs = zip(words[start:], theirs[at:], strict=False)
                return [
                    ours for ours, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
                ]
        return []


class _Runs(NamedTuple):
    """The runs of words of some texts.

    Attributes:
        hashes: the hash of each run, uint64 [runs].
        texts: the number of its text, int64 [runs].
        starts: the place of its first word in the text, int64 [runs].
    """

    hashes: NDArray[np.uint64]
    texts: NDArray[np.int64]
    starts: NDArray[np.int64]


class _Texts:
    """The texts of a batch of rows, as words and as runs."""

    def __init__(self, rows: Sequence[Sequence[str]], length: int) -> None:
        self.rows = [row for row, texts in enumerate(rows) for _ in texts]
        self.words = [words_of(text) for texts in rows for text in texts]
        self.runs = _runs_of(self.words, length)

    def queries(self) -> Iterator[list[str]]:
        """Yield the words of the first text of each row."""
        for text, row in enumerate(self.rows):
            if text == 0 or row != self.rows[text - 1]:
                yield self.words[text]


def _runs_of(texts: Sequence[Sequence[str]], length: int) -> _Runs:
    """Return the runs of texts, by a polynomial of Python's hashes of the words."""
    counts = np.array([len(words) for words in texts], np.int64)
    each = (hash(word) for words in texts for word in words)
    words = np.fromiter(each, np.int64, int(counts.sum())).view(np.uint64)
    runs = max(0, len(words) - length + 1)
    hashes = np.zeros(runs, np.uint64)
    for place in range(length):
        hashes = hashes * _FACTOR + words[place : place + runs]
    owners = np.repeat(np.arange(len(texts)), counts)
    starts = np.arange(len(words)) - np.repeat(np.cumsum(counts) - counts, counts)
    inside = owners[:runs] == owners[length - 1 :][:runs]
    return _Runs(hashes[inside], owners[:runs][inside], starts[:runs][inside])


def _first_places(
    texts: Sequence[str], length: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Return the distinct hashes of runs, ascending, and the first text that has each."""
    hashes, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    for first in range(0, len(texts), _BATCH):
        runs = _runs_of([words_of(text) for text in texts[first : first + _BATCH]], length)
        hashes.append(runs.hashes)
        places.append((runs.texts + first).astype(np.uint32))
    distinct, at = np.unique(np.concatenate(hashes), return_index=True)
    return distinct, np.concatenate(places)[at]
