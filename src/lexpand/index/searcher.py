"""One commit of an index, read for as long as anybody holds it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import SparseVectors
from lexpand.index.catalog import Catalog
from lexpand.index.filters import Filter
from lexpand.index.grouping import named, places_of_groups, spans_of
from lexpand.index.passages import RankedPassages
from lexpand.index.reading import Reading
from lexpand.index.results import Matches, StoredVector
from lexpand.index.schema import SPARSE_FIELD, Schema
from lexpand.index.searching import BM25, word_shares
from lexpand.index.snapshot import Snapshot


class Searcher(Reading):
    """Reads the commit that was the newest when `Index.searcher` made it, whatever is written meanwhile.

    It owns its snapshot: files and texts of the commit stay in place until the last reference to
    the searcher is gone, so that what one call found can be read by the next (tantivy's
    ``Searcher``). May be shared by threads.
    """

    def __init__(self, path: Path, schema: Schema, catalog: Catalog, snapshot: Snapshot) -> None:
        self.path = path
        self.schema = schema
        self._catalog = catalog
        self._owned = snapshot

    @property
    def _snapshot(self) -> Snapshot:
        self._owned.lease_here(self.path)
        return self._owned

    def vector_passages(
        self,
        queries: SparseVectors,
        k: int,
        *,
        filter: Filter | None = None,
        effort: float = 1.0,
        group_by: str | None = None,
        threads: int = 1,
    ) -> list[RankedPassages]:
        """What `search` finds, as arrays without ids."""
        return self._vector_passages(self._snapshot, queries, k, filter, effort, group_by, threads)

    def word_passages(
        self,
        words: Sequence[Mapping[str, float]],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        bm25: BM25 = BM25(),
        threads: int = 1,
    ) -> list[RankedPassages]:
        """What `search_words` finds, as arrays without ids; ``words`` are analyzed words with their weights."""
        return self._word_passages(self._snapshot, words, k, filter, group_by, bm25, threads)

    def passage_vectors(self, passages: RankedPassages) -> list[StoredVector]:
        """The stored vector of each passage."""
        segments, found = self._snapshot.segments, []
        for place, ordinal in zip(
            passages.segments.tolist(), passages.ordinals.tolist(), strict=True
        ):
            first, end = segments[place].spans[ordinal].tolist()
            terms, impacts, scale = segments[place].native.vector(SPARSE_FIELD, ordinal)
            found.append(StoredVector(terms, impacts, scale, (first, end)))
        return found

    def word_shares(
        self,
        words: Mapping[str, float],
        passages: RankedPassages,
        *,
        bm25: BM25 = BM25(),
    ) -> list[dict[str, float]]:
        """What each of these analyzed words, with their weights, adds to the BM25 scores of passages."""
        return word_shares(self._snapshot, passages, words, bm25)

    def dictionaries(self, most: int) -> list[list[str]]:
        """The words of each segment, ascending; of deleted documents too. None if there are more than ``most``.

        Raises:
            IndexStateError: the index was made without words.
        """
        self.analyzed([])
        segments = self._snapshot.segments
        if sum(segment.words.terms for segment in segments) > most:
            return []
        return [segment.dictionary for segment in segments]

    def passage_texts(self, passages: RankedPassages) -> list[str]:
        """The text of each passage: of a document in chunks, that of the chunk."""
        snapshot = self._snapshot
        documents = self._documents(snapshot, passages.rows.tolist())
        texts = [documents[row].full_text for row in passages.rows.tolist()]
        spans = spans_of(passages, snapshot)
        return [text[first:end] for text, (first, end) in zip(texts, spans, strict=True)]

    def named(self, passages: RankedPassages) -> Matches:
        """RankedPassages of this searcher with the ids of their documents."""
        return named(passages, self._snapshot)

    def first_of_groups(self, rows: NDArray[np.uint32], group_by: str) -> NDArray[np.int64]:
        """Places of the first row of each value of a field, ascending; see `Index.search`.

        Raises:
            FilterError: ``group_by`` is no name of a field, or no document has it.
        """
        groups: Sequence[Hashable] = places_of_groups(self._catalog, group_by, rows.tolist())
        first: dict[Hashable, int] = {}
        for place, group in enumerate(groups):
            first.setdefault(group, place)
        return np.array(list(first.values()), np.int64)
