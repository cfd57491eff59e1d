"""All ways of a grid, measured on one collection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from fusion.collection import Collection, Rankings
from fusion.documents import PLAIN, Weighing
from lexpand import Encoder
from lexpand.search import Feedback, Fusion, HybridRetriever, Retriever, SparseRetriever, WordRetriever, fuse

DEPTH = 1_000
FUSIONS = (Fusion.RECIPROCAL_RANK, Fusion.MAXIMUM, Fusion.MIN_MAX, Fusion.Z_SCORE, Fusion.BOUND)
SHARES = (0.3, 0.4, 0.5, 0.6)
POWERS = (0.0, 0.5)

# With feedback, fewer fusions: the bounds of its queries are not known, and each way is two searches more.
_LEARNING_FUSIONS = (Fusion.MAXIMUM, Fusion.Z_SCORE)
_FEEDBACK = tuple(
    Feedback(*how, words=words) for words in (False, True) for how in ((5, 50, 0.5), (10, 50, 0.3), (5, 50, 0.3))
)

Figures = tuple[float, float]
"""nDCG@10 and R@100."""


@dataclass(frozen=True)
class Way:
    """A hybrid's settings."""

    fusion: Fusion
    share: float
    power: float
    feedback: Feedback | None = None
    weighing: Weighing = PLAIN

    def __str__(self) -> str:
        said = f"{self.fusion} {self.share:g}, idf^{self.power:g}"
        if self.feedback is not None:
            how = self.feedback
            said += f", feedback {how.documents}/{how.terms}/{how.weight:g}{' with words' if how.words else ''}"
        if self.weighing:
            said += f", title {self.weighing.title:g}, length^{self.weighing.length:g}"
        return said


def measure_ways(
    collection: Collection, encoder: Encoder, weighing: Weighing
) -> tuple[dict[str, Figures], dict[Way, Figures]]:
    """The measures of each part, and of every way."""
    words = WordRetriever(collection.index)
    sparse = {power: SparseRetriever(collection.index, encoder, idf=power) for power in POWERS}
    ways = dict(_plain_ways(collection, sparse, words, weighing)) | dict(
        _learning_ways(collection, sparse, words, weighing)
    )
    return _parts(collection, sparse, words), ways


def _parts(collection: Collection, sparse: dict[float, SparseRetriever], words: WordRetriever) -> dict[str, Figures]:
    retrievers: dict[str, Retriever] = {"BM25": words}
    retrievers |= {f"splade, idf^{power:g}": retriever for power, retriever in sparse.items()}
    for feedback in _FEEDBACK[:3]:
        how = f"feedback {feedback.documents}/{feedback.terms}/{feedback.weight:g}"
        retrievers[f"BM25, {how}"] = words.with_feedback(feedback)
        retrievers[f"splade, idf^{POWERS[-1]:g}, {how}"] = sparse[POWERS[-1]].with_feedback(feedback)
    return {name: collection.measure(retriever.rank(collection.texts, 100)) for name, retriever in retrievers.items()}


def _plain_ways(
    collection: Collection, sparse: dict[float, SparseRetriever], words: WordRetriever, weighing: Weighing
) -> Iterator[tuple[Way, Figures]]:
    """Without feedback; the parts rank once for all ways."""
    by_words, word_bounds = words.rank(collection.texts, DEPTH), words.bounds(collection.texts)
    for power, retriever in sparse.items():
        by_vectors, bounds = retriever.rank(collection.texts, DEPTH), retriever.bounds(collection.texts)
        for fusion, share in itertools.product(FUSIONS, SHARES):
            both = zip(zip(by_vectors, by_words, strict=True), zip(bounds, word_bounds, strict=True), strict=True)
            fused: Rankings = [fuse(pair, (share, 1 - share), fusion, largest) for pair, largest in both]
            yield Way(fusion, share, power, None, weighing), collection.measure(fused)


def _learning_ways(
    collection: Collection, sparse: dict[float, SparseRetriever], words: WordRetriever, weighing: Weighing
) -> Iterator[tuple[Way, Figures]]:
    power = POWERS[-1]
    for fusion, share, feedback in itertools.product(_LEARNING_FUSIONS, SHARES, _FEEDBACK):
        parts = [share * sparse[power], (1 - share) * words]
        hybrid = HybridRetriever(parts, fusion=fusion, depth=DEPTH, feedback=feedback)
        yield Way(fusion, share, power, feedback, weighing), collection.measure(hybrid.rank(collection.texts, 100))
