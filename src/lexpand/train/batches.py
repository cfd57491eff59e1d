"""Batches of similar examples, so that the positives of others are hard negatives.

Random batches have easy negatives. Grouping similar examples (ANCE's idea within a batch; compare
the clustered batches of TAS-B, Hofstätter et al. 2021, arXiv 2104.06967) needs no mining.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler

_WIDTH = 64
"""Dimensions of the random projection: enough to sort texts by topic."""

_ROUNDS = 5
"""Rounds of k-means at each split."""


def text_vectors(
    texts: Sequence[Sequence[int] | NDArray[np.integer]], terms: int, seed: int
) -> NDArray[np.float32]:
    """Return unit vectors [texts, 64]: random projections of the IDF-weighted sets of tokens.

    Products of random projections are those of the sparse vectors in expectation (Johnson and
    Lindenstrauss).

    Args:
        texts: the token ids of each text.
        terms: the size of the vocabulary.
        seed: of the projection.
    """
    sets = [np.unique(np.asarray(ids, np.int32)) for ids in texts]
    frequency = np.zeros(terms, np.int64)
    for ids in sets:
        frequency[ids] += 1
    idf = np.log((len(texts) + 1) / (frequency + 0.5)).clip(0).astype(np.float32)
    projection = np.random.default_rng(seed).standard_normal((terms, _WIDTH), np.float32)
    projection *= idf[:, None]
    vectors = np.stack([projection[ids].sum(axis=0) for ids in sets])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-6)
    return unit


def neighbor_batches(
    vectors: NDArray[np.float32], size: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield batches of ``size`` similar rows, in random order; the rest is left out.

    The rows are split in two along the line between the centers of two clusters, in equal parts,
    until a part has ``size`` rows. The clusters start from two random rows, so other random
    numbers give other batches.

    Args:
        vectors: float32 [rows, width].
        size: rows of a batch.
        random: the source of random numbers.
    """
    batches: list[NDArray[np.int64]] = []
    waiting = [random.permutation(len(vectors))[: len(vectors) // size * size]]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= size:
            batches += [rows] * bool(len(rows))
            continue
        line = _between_centers(vectors[rows], random)
        order = rows[np.argsort(vectors[rows] @ line, kind="stable")]
        middle = max(1, len(rows) // size // 2) * size
        waiting += [order[:middle], order[middle:]]
    for place in random.permutation(len(batches)):
        yield batches[place]


def _between_centers(
    vectors: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """Return the line between the centers of two clusters (k-means with k = 2)."""
    one, other = random.choice(len(vectors), 2, replace=False)
    line: NDArray[np.float32] = vectors[one] - vectors[other]
    for _ in range(_ROUNDS):
        sides = vectors @ line
        left = sides > np.median(sides)
        if not 0 < left.sum() < len(left):
            break
        line = vectors[left].mean(axis=0) - vectors[~left].mean(axis=0)
    return line


class NeighborBatches(BatchSampler):
    """The batches of `neighbor_batches` for a trainer; each pass over the data has its own.

    Args:
        vectors: see `neighbor_batches`.
        size: rows of a batch.
        seed: of the batches.
        topics: groups of neighbors in a batch; the size is a multiple of it.
    """

    def __init__(self, vectors: NDArray[np.float32], size: int, seed: int, topics: int = 1) -> None:
        super().__init__(torch.utils.data.SequentialSampler(range(len(vectors))), size, True)
        self._vectors, self._size, self._seed, self._topics = vectors, size, seed, topics
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass over the data; the trainer calls it."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self._seed, self.epoch])
        groups = neighbor_batches(self._vectors, self._size // self._topics, random)
        for batch in zip(*[groups] * self._topics, strict=False):  # the rest is left out
            yield np.concatenate(batch).tolist()

    def __len__(self) -> int:
        return len(self._vectors) // self._size
