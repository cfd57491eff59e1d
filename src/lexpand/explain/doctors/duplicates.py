"""Which documents are nearly the same? Found by the index itself: each is searched for by its own vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lexpand.data import SparseVectors
from lexpand.explain.doctors.finding import EXAMPLES, Finding, Severity
from lexpand.index import Index, Match

SAME = 0.95
"""The cosine of two vectors from which on their texts are nearly the same."""

# Neighbours that are looked at; a document of more copies is found all the same.
_NEIGHBOURS = 5


def near_duplicates(
    index: Index, sample: SparseVectors, doc_ids: list[str], known: set[frozenset[str]], on_done: Callable[[int], None]
) -> Iterator[Finding]:
    """Sampled units that have a near duplicate among all documents.

    A search ranks by dot product, so a neighbour of much larger weights may hide one.

    Args:
        index: the documents.
        sample: vectors of units.
        doc_ids: one a vector.
        known: pairs that are said elsewhere.
        on_done: called with the number of units that were looked at.
    """
    pairs: dict[frozenset[str], float] = {}
    found: set[str] = set()
    for number, doc_id in enumerate(doc_ids):
        vector = sample[[number]]
        (matches,) = index.search(vector, _NEIGHBOURS + 1)
        length = float(np.linalg.norm(vector.weights.astype(np.float64)))
        for match in matches:
            pair = frozenset((doc_id, match.doc_id))
            if len(pair) == 2 and pair not in known and (cosine := _cosine(index, match, length)) >= SAME:
                pairs[pair] = max(cosine, pairs.get(pair, 0.0))
                found.add(doc_id)
        on_done(1)
    if found:
        worst = sorted(pairs.items(), key=lambda item: (-item[1], sorted(item[0])))[:EXAMPLES]
        yield Finding(
            "near-duplicates",
            Severity.WARNING,
            len(found),
            f"of {len(doc_ids):,} looked at have a vector nearly as another document's (cosine from {SAME})",
            tuple(f"{' ~ '.join(sorted(pair))} {cosine:.3f}" for pair, cosine in worst),
            "delete those that say nothing new, or give them one field and search with --group-by",
        )


def _cosine(index: Index, match: Match, length: float) -> float:
    """Of the vector that was searched with, and the document's chunk that it found."""
    stored = next(each for each in index.vectors(match.doc_id) if match.span in (None, each.span))
    other = float(np.linalg.norm(stored.weights))
    return match.score / (length * other) if length and other else 0.0
