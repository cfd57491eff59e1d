"""Rankings of documents, from searches that return passages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lexpand.errors import EngineError
from lexpand.index import Matches

Query = TypeVar("Query")
"""A query as an engine takes it: weights by term, or a text. One that is empty finds nothing."""

Hits = Sequence[tuple[str, float]]
"""The documents of passages with their scores, best first."""


def matches_of(hits: Iterable[tuple[str, float]], k: int) -> Matches:
    """Return the best ``k`` documents of scored passages, which come best first."""
    best: dict[str, float] = {}
    for doc_id, score in hits:
        best.setdefault(doc_id, score)
    ids = list(best)[:k]
    scores: NDArray[np.float64] = np.array([best[doc_id] for doc_id in ids], np.float64)
    return Matches(ids, scores, np.zeros(len(ids), np.uint32))


def document_matches(
    search: Callable[[Sequence[Query], int], Sequence[Hits]],
    queries: Sequence[Query],
    k: int,
    most: int | None = None,
) -> list[Matches]:
    """Return the best ``k`` documents, by deeper searches where passages share documents.

    Args:
        search: returns the best passages of queries, at most as many for each as its second
            argument says.
        queries: the queries.
        k: the number of documents.
        most: the most passages that the engine returns for a query; None for no limit.

    Raises:
        EngineError: ``k`` documents need more passages than the engine returns.
    """
    found: list[Matches] = [matches_of((), k) for _ in queries]
    waiting = [place for place, query in enumerate(queries) if query]
    limit = k
    while waiting:
        if most is not None and limit > most:
            raise EngineError(
                f"the engine returns at most {most:,} passages of a query, and {k:,} documents need"
                " more: ask for fewer documents"
            )
        short = []
        answers = search([queries[place] for place in waiting], limit)
        for place, hits in zip(waiting, answers, strict=True):
            found[place] = matches_of(((id, score) for id, score in hits if score > 0), k)
            if len(found[place].doc_ids) < k and len(hits) == limit and hits[-1][1] > 0:
                short.append(place)
        waiting = short
        limit = 2 * limit + 10 if most is None or limit == most else min(most, 2 * limit + 10)
    return found
