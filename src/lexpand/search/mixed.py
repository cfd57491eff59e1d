"""Sums of retrievers over several sources, such as an index and another engine or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np

from lexpand.data import Document
from lexpand.errors import DataError
from lexpand.index import Matches
from lexpand.index.filters import Filter
from lexpand.search.fusion import Fusion, fuse, parse_fusion
from lexpand.search.hybrid import DEPTH, HybridRetriever, check_depth
from lexpand.search.retriever import (
    LocalRetriever,
    Retriever,
    Weighted,
    check_queries,
    check_ranking,
)


def hybrid_of(parts: Sequence[Weighted]) -> Retriever:
    """Return the sum of retrievers.

    Retrievers of one index are fused as arrays, and others by their document ids.
    """
    indexes = {
        id(part.retriever.index) if isinstance(part.retriever, LocalRetriever) else None
        for part in parts
    }
    return (
        HybridRetriever(parts)
        if len(indexes) == 1 and None not in indexes
        else MixedRetriever(parts)
    )


class MixedRetriever(Retriever):
    """A retriever that sums the weighted scores of retrievers of any kind, joined by ``doc_id``.

    Equal sums are ordered by the first ranking that has the document, and by the rank there.

    Args:
        parts: retrievers, each weighted or with weight 1.
        fusion: the normalization that makes scores comparable. ``bound`` and ``expected`` are not
            possible, because only an index knows them.
        depth: the number of documents that each part ranks for a query, or ``k`` if that is more.

    Raises:
        DataError: there are no parts, the depth is below 1, or the fusion is unknown or not
            possible.
    """

    def __init__(
        self,
        parts: Sequence[Retriever | Weighted],
        *,
        fusion: Fusion | str = Fusion.Z_SCORE,
        depth: int = DEPTH,
    ) -> None:
        if not parts:
            raise DataError("a hybrid must have at least one part, got none")
        self.parts = [part if isinstance(part, Weighted) else Weighted(part) for part in parts]
        self.fusion = parse_fusion(fusion)
        self.depth = check_depth(depth)
        if self.fusion.by_query:
            raise DataError(
                f"fusion by {self.fusion} needs parts of one index, which knows the largest score "
                "of a query: use another fusion"
            )

    def reading(self) -> Self:
        """See `Retriever.reading`."""
        other = copy(self)
        other.parts = [Weighted(part.retriever.reading(), part.weight) for part in self.parts]
        return other

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`."""
        check_ranking(k, threads)
        if group_by is not None:
            raise DataError(
                "group_by must be None for retrievers of several sources, which share no field, "
                f"got {group_by!r}"
            )
        queries, depth = check_queries(queries), max(k, self.depth)
        found = [
            part.retriever.rank(queries, depth, filter=filter, threads=threads)
            for part in self.parts
        ]
        return [self._fused(rankings, k) for rankings in zip(*found, strict=True)]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`; a document comes from the first part that has it."""
        found: dict[str, Document] = {}
        for part in self.parts:
            missing = [doc_id for doc_id in doc_ids if doc_id not in found]
            found.update(part.retriever.documents(missing) if missing else {})
        return found

    def close(self) -> None:
        """Close all parts."""
        for part in self.parts:
            part.retriever.close()

    def _fused(self, rankings: Sequence[Matches], k: int) -> Matches:
        numbers: dict[str, int] = {}
        keys = [
            np.array(
                [numbers.setdefault(doc_id, len(numbers)) for doc_id in each.doc_ids], np.int64
            )
            for each in rankings
        ]
        scores = [np.asarray(each.scores, np.float64) for each in rankings]
        fused = fuse(keys, scores, [part.weight for part in self.parts], self.fusion)
        chosen = [
            rankings[i][j]
            for i, j in zip(fused.rankings[:k].tolist(), fused.places[:k].tolist(), strict=True)
        ]
        spans = [match.span for match in chosen]
        return Matches(
            [match.doc_id for match in chosen],
            fused.scores[:k],
            np.zeros(len(chosen), np.uint32),
            spans if any(spans) else None,
            sum((each.notes for each in rankings), ()),
        )
