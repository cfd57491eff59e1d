"""Which documents are nearly the same? Found by the index itself: each is searched for by its own vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from lexpand.data import Pruning, SparseVectors
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity
from lexpand.index import Index, Match

SAME = 0.95
"""The cosine of two vectors from which on their texts are nearly the same."""

# Neighbors that are looked at; a document of more copies is found all the same.
_NEIGHBORS = 5
# Terms that a passage is searched for by: nearly equal vectors share the strongest ones, and a search
# for all terms of a document reads most of the index.
_STRONGEST = Pruning(top=16)


def near_duplicates(
    index: Index,
    sample: SparseVectors,
    doc_ids: list[str],
    known: set[frozenset[str]],
    on_done: Callable[[int], None],
) -> Iterator[Finding]:
    """Sampled passages that have a near duplicate among all documents.

    Each is searched for by its strongest terms, by dot product, so a neighbor of much larger
    weights may hide one; cosines are those of the whole vectors.

    Args:
        index: the documents.
        sample: vectors of passages.
        doc_ids: one a vector.
        known: pairs that are said elsewhere.
        on_done: called with the number of passages that were looked at.
    """
    pairs: dict[frozenset[str], float] = {}
    found: set[str] = set()
    for number, doc_id in enumerate(doc_ids):
        vector = sample[[number]]
        (matches,) = index.search(_STRONGEST.apply(vector), _NEIGHBORS + 1)
        mine = vector.as_dict(0)
        for match in matches:
            pair = frozenset((doc_id, match.doc_id))
            if (
                len(pair) == 2
                and pair not in known
                and (cosine := _cosine(index, match, mine)) >= SAME
            ):
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


def _cosine(index: Index, match: Match, mine: Mapping[int, float]) -> float:
    """Of a vector with a term, and the document's chunk that it found."""
    stored = next(each for each in index.vectors(match.doc_id) if match.span in (None, each.span))
    weights = stored.weights.tolist()
    product = sum(
        mine.get(term, 0.0) * weight
        for term, weight in zip(stored.terms.tolist(), weights, strict=True)
    )
    return float(product) / (math.hypot(*mine.values()) * math.hypot(*weights))
