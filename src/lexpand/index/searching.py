"""The best passages of a snapshot, for vectors and for words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from lexpand import _native
from lexpand.data import SparseVectors
from lexpand.index import exhaustive
from lexpand.index.open_segment import OpenSegment
from lexpand.index.passages import RankedPassages
from lexpand.index.results import WordScore, WordShare
from lexpand.index.schema import SPARSE_FIELD
from lexpand.index.sets import Set
from lexpand.index.snapshot import Snapshot

Find: TypeAlias = Callable[[Sequence[int], int], list[RankedPassages]]
"""The best k passages of some of the queries, given by number."""


@dataclass(frozen=True, slots=True)
class BM25:
    """BM25's parameters, as Lucene's variant has them (docs/format.md).

    Attributes:
        k1: how soon a word's repetition stops to count; from 0.
        b: how much a document's length counts; 0 to 1.
        rounded_lengths: take the lengths that Lucene's norms keep, for comparison with it.
    """

    k1: float = 1.2
    b: float = 0.75
    rounded_lengths: bool = False


def find_vectors(
    snapshot: Snapshot, allowed: Sequence[Set], queries: SparseVectors, effort: float, threads: int
) -> Find:
    """Search by query vectors."""
    segments = [
        (segment.native, passages)
        for segment, passages in zip(snapshot.segments, allowed, strict=True)
    ]

    def find(numbers: Sequence[int], k: int) -> list[RankedPassages]:
        wanted = queries if len(numbers) == len(queries) else queries[list(numbers)]
        indptr, scores, rows, places, ordinals = _native.search(
            segments,
            SPARSE_FIELD,
            wanted.indptr,
            wanted.terms,
            wanted.weights,
            vocabulary_size=wanted.vocabulary_size,
            k=k,
            effort=effort,
            threads=threads,
        )
        passages = RankedPassages(scores, rows, places, ordinals)
        return [
            passages.at(slice(start, end)) for start, end in itertools.pairwise(indptr.tolist())
        ]

    return find


def find_vectors_exhaustively(
    snapshot: Snapshot, allowed: Sequence[Set], queries: SparseVectors
) -> Find:
    """The same by the definition, in NumPy."""
    segments = [
        (segment.native, passages)
        for segment, passages in zip(snapshot.segments, allowed, strict=True)
    ]
    return lambda numbers, k: [
        RankedPassages(*hits)
        for hits in exhaustive.search(segments, SPARSE_FIELD, queries[list(numbers)], k)
    ]


def find_words(
    snapshot: Snapshot,
    allowed: Sequence[Set],
    queries: Sequence[Mapping[str, float]],
    bm25: BM25,
    threads: int,
) -> Find:
    """Search by words with their weights."""
    fields = [segment.words for segment in snapshot.segments]
    rows = [segment.rows for segment in snapshot.segments]

    def one(words: Mapping[str, float], k: int) -> RankedPassages:
        query, _ = _word_query(snapshot, words, bm25)
        return RankedPassages(*query.search(fields, rows, allowed, k))

    def find(numbers: Sequence[int], k: int) -> list[RankedPassages]:
        if threads == 1 or len(numbers) == 1:
            return [one(queries[i], k) for i in numbers]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda i: one(queries[i], k), numbers))

    return find


def score_words(
    snapshot: Snapshot,
    segment: OpenSegment,
    ordinals: Sequence[int],
    counts: Mapping[str, float],
    bm25: BM25,
) -> list[WordScore]:
    """The scores of a document's passages for a query, given by segment and ordinals, best first; equal ones in order."""
    query, having = _word_query(snapshot, counts, bm25)
    passages, length = snapshot.word_totals
    lengths = segment.words.lengths()

    def weight(word: str) -> float:
        return counts[word] * math.log1p((passages - having[word] + 0.5) / (having[word] + 0.5))

    def score_of(ordinal: int) -> WordScore:
        shares = tuple(
            WordShare(word, counts[word], frequency, having[word], idf, share)
            for word, frequency, idf, share in query.contributions(segment.words, ordinal)
        )
        there = {share.word for share in shares}
        absent = tuple((word, weight(word)) for word in counts if word not in there)
        first, end = segment.spans[ordinal].tolist()
        total = sum((share.share for share in shares), 0.0)
        return WordScore(
            total, shares, absent, int(lengths[ordinal]), length / passages, (first, end)
        )

    return sorted(map(score_of, ordinals), key=lambda found: -found.score)


def word_shares(
    snapshot: Snapshot, passages: RankedPassages, counts: Mapping[str, float], bm25: BM25
) -> list[dict[str, float]]:
    """What each word of a query adds to the scores of passages."""
    query, _ = _word_query(snapshot, counts, bm25)
    pairs = zip(passages.segments.tolist(), passages.ordinals.tolist(), strict=True)
    found = [
        query.contributions(snapshot.segments[place].words, ordinal) for place, ordinal in pairs
    ]
    return [{word: share for word, _, _, share in each} for each in found]


def _word_query(
    snapshot: Snapshot, counts: Mapping[str, float], bm25: BM25
) -> tuple[_native.WordQuery, dict[str, int]]:
    """The query, and for each of its words the live passages that have it."""
    fields = [segment.words for segment in snapshot.segments]
    frequencies = _native.document_frequencies(fields, snapshot.live, list(counts))
    passages, length = snapshot.word_totals
    query = _native.WordQuery(
        [(word, float(count)) for word, count in counts.items()],
        frequencies,
        passages=passages,
        total_length=length,
        k1=bm25.k1,
        b=bm25.b,
        rounded_lengths=bm25.rounded_lengths,
    )
    return query, dict(zip(counts, frequencies.tolist(), strict=True))
