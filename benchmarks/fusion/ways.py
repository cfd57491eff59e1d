"""All ways of a grid, measured on one collection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fusion.collection import Collection
from fusion.documents import PLAIN, Weighing
from fusion.quick import fuse_all
from lexpand import Encoder
from lexpand.search import Feedback, Fusion, Retriever, SparseRetriever, WordRetriever
from lexpand.search.hybrid import standing
from lexpand.search.pipeline import NAMED

DEPTH = 1_000
FUSIONS = (Fusion.RECIPROCAL_RANK, Fusion.MAXIMUM, Fusion.MIN_MAX, Fusion.Z_SCORE, Fusion.BOUND)
SHARES = (0.3, 0.4, 0.5, 0.6)
POWERS = (0.0, 0.5)

# With feedback, fewer fusions: the bounds of its queries are not known, and each way is two searches more.
_LEARNING_FUSIONS = (Fusion.MAXIMUM, Fusion.Z_SCORE)
_FEEDBACK = (Feedback(5, 50, 0.5), Feedback(10, 50, 0.3))

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
    """The measures of each part and each named pipeline, and of every way."""
    words = WordRetriever(collection.index)
    sparse = {power: SparseRetriever(collection.index, encoder, idf=power) for power in POWERS}
    ways = dict(_plain_ways(collection, sparse, words, weighing))
    ways |= dict(_learning_ways(collection, sparse[POWERS[-1]], words, weighing))
    return _parts(collection, encoder, sparse, words), ways


def _parts(
    collection: Collection, encoder: Encoder, sparse: dict[float, SparseRetriever], words: WordRetriever
) -> dict[str, Figures]:
    retrievers: dict[str, Retriever] = {"BM25": words}
    retrievers |= {f"splade, idf^{power:g}": retriever for power, retriever in sparse.items()}
    for feedback in _FEEDBACK:
        how = f"feedback {feedback.documents}/{feedback.terms}/{feedback.weight:g}"
        retrievers[f"BM25, {how}"] = words.with_feedback(feedback)
        retrievers[f"splade, idf^{POWERS[-1]:g}, {how}"] = sparse[POWERS[-1]].with_feedback(feedback)
    for name in ("hybrid", "hybrid-feedback"):
        retrievers[f"pipeline {name}"] = NAMED[name].retriever(collection.index, encoder)
    return {name: collection.measure(retriever.rank(collection.texts, 100)) for name, retriever in retrievers.items()}


def _plain_ways(
    collection: Collection, sparse: dict[float, SparseRetriever], words: WordRetriever, weighing: Weighing
) -> Iterator[tuple[Way, Figures]]:
    """Without feedback; the parts rank once for all ways."""
    by_words, word_bounds = words.rank(collection.texts, DEPTH), words.bounds(collection.texts)
    for power, retriever in sparse.items():
        by_vectors, bounds = retriever.rank(collection.texts, DEPTH), retriever.bounds(collection.texts)
        for fusion, share in itertools.product(FUSIONS, SHARES):
            fused = fuse_all((by_vectors, by_words), (share, 1 - share), fusion, (bounds, word_bounds))
            yield Way(fusion, share, power, None, weighing), collection.measure(fused)


def _learning_ways(
    collection: Collection, sparse: SparseRetriever, words: WordRetriever, weighing: Weighing
) -> Iterator[tuple[Way, Figures]]:
    """As a `HybridRetriever` learns; ways that share a step share its result."""
    texts = collection.texts
    by_vectors, by_words = sparse.rank(texts, DEPTH), words.rank(texts, DEPTH)
    for fusion, share in itertools.product(_LEARNING_FUSIONS, SHARES):
        weights = share, 1 - share
        first = fuse_all((by_vectors, by_words), weights, fusion)
        for feedback in _FEEDBACK:
            relevant = [standing(matches[: feedback.documents]) for matches in first]
            again = sparse.with_feedback(feedback).rank(texts, DEPTH, relevant=relevant)
            words_again = words.with_feedback(feedback).rank(texts, DEPTH, relevant=relevant)
            for learns, ranking in ((False, by_words), (True, words_again)):
                fused = fuse_all((again, ranking), weights, fusion)
                way = Way(fusion, share, sparse.idf, replace(feedback, words=learns), weighing)
                yield way, collection.measure(fused)
