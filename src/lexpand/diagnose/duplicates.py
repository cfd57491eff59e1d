"""Near duplicates, found by searching an index for the vectors of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from lexpand.data import Pruning, SparseVectors
from lexpand.diagnose.finding import EXAMPLES, Finding, Severity
from lexpand.index import Index, Match

SAME = 0.95
"""The cosine of two vectors from which on their texts are near duplicates."""

# The number of neighbors that are compared. A document with more copies is found too.
_NEIGHBORS = 5
# The terms of the search. Near duplicates share the strongest ones, and a search for all terms of a
# document reads most of the index.
_STRONGEST = Pruning(top=16)


def near_duplicates(
    index: Index,
    sample: SparseVectors,
    doc_ids: list[str],
    known: set[frozenset[str]],
    on_done: Callable[[int], None],
) -> Iterator[Finding]:
    """Yield a finding on sampled passages that have a near duplicate among all documents.

    A passage is searched for by its strongest terms and dot product, so a neighbor with much larger
    weights may hide a duplicate. Cosines are those of the whole vectors.

    Args:
        index: the documents.
        sample: vectors of passages.
        doc_ids: the document of each vector.
        known: pairs that another finding reports.
        on_done: called with the number of passages that were checked.
    """
    pairs: dict[frozenset[str], float] = {}
    found: set[str] = set()
    for number, doc_id in enumerate(doc_ids):
        vector = sample[[number]]
        (matches,) = index.search(_STRONGEST.apply(vector), _NEIGHBORS + 1)
        weights = vector.as_dict(0)
        for match in matches:
            pair = frozenset((doc_id, match.doc_id))
            if len(pair) < 2 or pair in known:
                continue
            cosine = _cosine(index, match, weights)
            if cosine >= SAME:
                pairs[pair] = max(cosine, pairs.get(pair, 0.0))
                found.add(doc_id)
        on_done(1)
    if found:
        worst = sorted(pairs.items(), key=lambda item: (-item[1], sorted(item[0])))[:EXAMPLES]
        yield Finding(
            "near-duplicates",
            Severity.WARNING,
            len(found),
            f"of {len(doc_ids):,} checked passages have nearly the vector of another document "
            f"(cosine >= {SAME})",
            tuple(f"{' ~ '.join(sorted(pair))} {cosine:.3f}" for pair, cosine in worst),
            "delete redundant documents, or give duplicates a common field and search with "
            "--group-by",
        )


def _cosine(index: Index, match: Match, vector: Mapping[int, float]) -> float:
    """Return the cosine of a vector and the chunk of the document that it found."""
    stored = next(each for each in index.vectors(match.doc_id) if match.span in (None, each.span))
    weights = stored.weights.tolist()
    product = sum(
        vector.get(term, 0.0) * weight
        for term, weight in zip(stored.terms.tolist(), weights, strict=True)
    )
    return float(product) / (math.hypot(*vector.values()) * math.hypot(*weights))
