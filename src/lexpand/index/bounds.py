"""How large can a score be? What no document of a snapshot exceeds."""

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
    wanted = terms.tolist()
    known = snapshot.largest_weights
    new = sorted(set(wanted).difference(known))
    if new:
        alone = SparseVectors(
            np.arange(len(new) + 1), new, np.ones(len(new), np.float32), vocabulary_size
        )
        best = find_vectors(snapshot, snapshot.live, alone, 1.0, 1)(range(len(new)), 1)
        known.update(
            zip(new, (float(passages.scores.max(initial=0)) for passages in best), strict=True)
        )
    return np.array([known[term] for term in wanted])


def word_bounds(snapshot: Snapshot, queries: Sequence[Mapping[str, float]]) -> list[float]:
    """See `Index.word_bounds`; each query by its words with their weights."""
    # docs/format.md: the score is this times tf / (tf + norm), which is below 1.
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
    having = _native.document_frequencies(fields, snapshot.live, words).astype(np.float64)
    passages, _ = snapshot.word_totals
    return np.where(having > 0, np.log1p((passages - having + 0.5) / (having + 0.5)), 0.0)
