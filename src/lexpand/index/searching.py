"""The best units of a snapshot, for vectors and for words; and the best documents or groups that they make."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import SparseVectors
from lexpand.index import exhaustive as twin
from lexpand.index.schema import SPARSE_FIELD
from lexpand.index.sets import Set
from lexpand.index.snapshot import Snapshot, Unit

Found: TypeAlias = "list[list[Unit]]"
"""The units of each query, best first."""

Find: TypeAlias = "Callable[[Sequence[int], int], Found]"
"""The best k units of some of the queries, given by number."""


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
    segments = [(segment.native, units) for segment, units in zip(snapshot.segments, allowed, strict=True)]

    def find(numbers: Sequence[int], k: int) -> Found:
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
        units = _units(scores, rows, places, ordinals)
        return [units[start:end] for start, end in itertools.pairwise(indptr.tolist())]

    return find


def _units(
    scores: NDArray[np.float64], rows: NDArray[np.uint32], segments: NDArray[np.uint32], ordinals: NDArray[np.uint32]
) -> list[Unit]:
    return list(zip(scores.tolist(), rows.tolist(), segments.tolist(), ordinals.tolist(), strict=True))


def find_vectors_exhaustively(snapshot: Snapshot, allowed: Sequence[Set], queries: SparseVectors) -> Find:
    """The same by the definition, in NumPy."""
    segments = [(segment.native, units) for segment, units in zip(snapshot.segments, allowed, strict=True)]
    return lambda numbers, k: twin.search(segments, SPARSE_FIELD, queries[list(numbers)], k)


def find_words(
    snapshot: Snapshot, allowed: Sequence[Set], queries: Sequence[Sequence[str]], bm25: BM25, threads: int
) -> Find:
    """Search by words; a word that a query has twice counts twice."""
    fields = [segment.words for segment in snapshot.segments]
    rows = [segment.rows for segment in snapshot.segments]
    units, length = snapshot.word_totals

    def one(words: Sequence[str], k: int) -> list[Unit]:
        counted = list(Counter(words).items())
        frequencies = _native.document_frequencies(fields, snapshot.live, [word for word, _ in counted])
        query = _native.WordQuery(
            [(word, float(count)) for word, count in counted],
            frequencies,
            units=units,
            total_length=length,
            k1=bm25.k1,
            b=bm25.b,
            rounded_lengths=bm25.rounded_lengths,
        )
        return _units(*query.search(fields, rows, allowed, k))

    def find(numbers: Sequence[int], k: int) -> Found:
        if threads == 1 or len(numbers) == 1:
            return [one(queries[i], k) for i in numbers]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda i: one(queries[i], k), numbers))

    return find


def best_groups(find: Find, queries: int, k: int, key: Callable[[Sequence[Unit]], Sequence[Hashable]]) -> Found:
    """The best unit of each of the best ``k`` groups, exact: more units are asked for until they are of k groups.

    Args:
        find: the search.
        queries: how many there are.
        k: groups for each query.
        key: the group of each unit.
    """
    found: dict[int, list[Unit]] = {}
    missing, wanted = list(range(queries)), k
    while missing:
        for number, units in zip(missing, find(missing, wanted), strict=True):
            best: dict[Hashable, Unit] = {}
            for group, unit in zip(key(units), units, strict=True):
                best.setdefault(group, unit)
            if len(best) >= k or len(units) < wanted:
                found[number] = list(best.values())[:k]
        missing = [number for number in missing if number not in found]
        wanted *= 4
    return [found[number] for number in range(queries)]
