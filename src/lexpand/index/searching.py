"""Top-k search of a snapshot, by vectors and by words."""

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
"""Finds the best k passages of some queries, which are given by their numbers."""


@dataclass(frozen=True, slots=True)
class BM25:
    """The parameters of BM25 in Lucene's variant (docs/format.md).

    Attributes:
        k1: the saturation of term frequency, at least 0. At 0, repetitions do not count.
        b: the weight of length normalization, from 0 to 1.
        rounded_lengths: whether to round lengths as Lucene's norms do, for comparison with Lucene.
    """

    k1: float = 1.2
    b: float = 0.75
    rounded_lengths: bool = False


def find_vectors(
    snapshot: Snapshot, allowed: Sequence[Set], queries: SparseVectors, effort: float, threads: int
) -> Find:
    """Return a function that searches by query vectors."""
    segments = [
        (segment.native, passages)
        for segment, passages in zip(snapshot.segments, allowed, strict=True)
    ]

    def find(numbers: Sequence[int], k: int) -> list[RankedPassages]:
        selected = queries if len(numbers) == len(queries) else queries[list(numbers)]
        indptr, scores, rows, places, ordinals = _native.search(
            segments,
            SPARSE_FIELD,
            selected.indptr,
            selected.terms,
            selected.weights,
            vocabulary_size=selected.vocabulary_size,
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
    """Return a function that searches exhaustively in NumPy."""
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
    """Return a function that searches by words with weights."""
    fields = [segment.words for segment in snapshot.segments]
    rows = [segment.rows for segment in snapshot.segments]

    def search_one(words: Mapping[str, float], k: int) -> RankedPassages:
        query, _ = _word_query(snapshot, words, bm25)
        return RankedPassages(*query.search(fields, rows, allowed, k))

    def find(numbers: Sequence[int], k: int) -> list[RankedPassages]:
        if threads == 1 or len(numbers) == 1:
            return [search_one(queries[i], k) for i in numbers]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda i: search_one(queries[i], k), numbers))

    return find


def score_words(
    snapshot: Snapshot,
    segment: OpenSegment,
    ordinals: Sequence[int],
    counts: Mapping[str, float],
    bm25: BM25,
) -> list[WordScore]:
    """Return the BM25 scores of these passages of a segment, best first; equal scores in order."""
    query, df = _word_query(snapshot, counts, bm25)
    passages, length = snapshot.word_totals
    lengths = segment.words.lengths()

    def weight(word: str) -> float:
        return counts[word] * math.log1p((passages - df[word] + 0.5) / (df[word] + 0.5))

    def score_of(ordinal: int) -> WordScore:
        shares = tuple(
            WordShare(word, counts[word], frequency, df[word], idf, share)
            for word, frequency, idf, share in query.contributions(segment.words, ordinal)
        )
        present = {share.word for share in shares}
        absent = tuple((word, weight(word)) for word in counts if word not in present)
        first, end = segment.spans[ordinal].tolist()
        total = sum((share.share for share in shares), 0.0)
        return WordScore(
            total, shares, absent, int(lengths[ordinal]), length / passages, (first, end)
        )

    return sorted(map(score_of, ordinals), key=lambda found: -found.score)


def word_shares(
    snapshot: Snapshot, passages: RankedPassages, counts: Mapping[str, float], bm25: BM25
) -> list[dict[str, float]]:
    """Return the share of each query word in the BM25 score of each passage."""
    query, _ = _word_query(snapshot, counts, bm25)
    pairs = zip(passages.segments.tolist(), passages.ordinals.tolist(), strict=True)
    contributions = [
        query.contributions(snapshot.segments[place].words, ordinal) for place, ordinal in pairs
    ]
    return [{word: share for word, _, _, share in shares} for shares in contributions]


def _word_query(
    snapshot: Snapshot, counts: Mapping[str, float], bm25: BM25
) -> tuple[_native.WordQuery, dict[str, int]]:
    """Return the native query, and the number of live passages that have each word."""
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
