"""Upper bounds of the scores of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lexpand import _native
from lexpand.data import SparseVectors
from lexpand.index.searching import find_vectors
from lexpand.index.snapshot import Snapshot


def largest_weights(
    snapshot: Snapshot, terms: NDArray[np.uint32], vocabulary_size: int
) -> NDArray[np.float64]:
    """See `Index.largest_weights`."""
    requested = terms.tolist()
    cache = snapshot.largest_weights
    missing = sorted(set(requested).difference(cache))
    if missing:
        queries = SparseVectors(
            np.arange(len(missing) + 1), missing, np.ones(len(missing), np.float32), vocabulary_size
        )
        best = find_vectors(snapshot, snapshot.live, queries, 1.0, 1)(range(len(missing)), 1)
        largest = (float(passages.scores.max(initial=0)) for passages in best)
        cache.update(zip(missing, largest, strict=True))
    return np.array([cache[term] for term in requested])


def word_bounds(snapshot: Snapshot, queries: Sequence[Mapping[str, float]]) -> list[float]:
    """See `Index.word_bounds`; a query maps words to weights."""
    # The score of a word is its weighted IDF times tf / (tf + norm), which is below 1
    # (docs/format.md).
    return [
        float(
            inverse_word_frequencies(snapshot, list(words))
            @ np.array(list(words.values()), np.float64)
        )
        for words in queries
    ]


def inverse_word_frequencies(snapshot: Snapshot, words: Sequence[str]) -> NDArray[np.float64]:
    """See `Index.inverse_word_frequencies`."""
    fields = [segment.words for segment in snapshot.segments]
    df = _native.document_frequencies(fields, snapshot.live, words).astype(np.float64)
    passages, _ = snapshot.word_totals
    return np.where(df > 0, np.log1p((passages - df + 0.5) / (df + 0.5)), 0.0)
