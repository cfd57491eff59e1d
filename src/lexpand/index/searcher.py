"""A reader of one commit of an index, which stays readable as long as the reader exists."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexpand.data import SparseVectors
from lexpand.index.catalog import Catalog
from lexpand.index.filters import Filter
from lexpand.index.grouping import group_keys, named, spans_of
from lexpand.index.passages import RankedPassages
from lexpand.index.reader import IndexReader
from lexpand.index.results import Matches, StoredVector
from lexpand.index.schema import SPARSE_FIELD, Schema
from lexpand.index.searching import BM25, word_shares
from lexpand.index.snapshot import Snapshot


class Searcher(IndexReader):
    """A reader of the commit that an index saw when `Index.searcher` was called.

    A searcher owns its snapshot, like tantivy's ``Searcher``. The files and texts of the commit
    stay in place until the last reference to the searcher is gone, whatever is written meanwhile.
    So one call can read what another call found. Threads may share a searcher.
    """

    def __init__(self, path: Path, schema: Schema, catalog: Catalog, snapshot: Snapshot) -> None:
        self.path = path
        self.schema = schema
        self._catalog = catalog
        self._owned = snapshot

    @property
    def _snapshot(self) -> Snapshot:
        self._owned.ensure_lease(self.path)
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
        """Return the results of `search` as arrays, without ids."""
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
        """Return the results of `search_words` as arrays, without ids.

        ``words`` maps analyzed words to weights, for each query.
        """
        return self._word_passages(self._snapshot, words, k, filter, group_by, bm25, threads)

    def passage_vectors(self, passages: RankedPassages) -> list[StoredVector]:
        """Return the stored vector of each passage."""
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
        """Return the share of each word in the BM25 score of each passage.

        ``words`` maps the analyzed words of a query to weights.
        """
        return word_shares(self._snapshot, passages, words, bm25)

    def dictionaries(self, most: int) -> list[list[str]]:
        """Return the words of each segment, ascending, deleted documents included.

        The list is empty if the segments have more than ``most`` words together.

        Raises:
            IndexStateError: the index has no BM25 field.
        """
        self.analyzed([])
        segments = self._snapshot.segments
        if sum(segment.words.terms for segment in segments) > most:
            return []
        return [segment.dictionary for segment in segments]

    def passage_texts(self, passages: RankedPassages) -> list[str]:
        """Return the text of each passage, which for a document in chunks is that of the chunk."""
        snapshot = self._snapshot
        documents = self._documents(snapshot, passages.rows.tolist())
        texts = [documents[row].full_text for row in passages.rows.tolist()]
        spans = spans_of(passages, snapshot)
        return [text[first:end] for text, (first, end) in zip(texts, spans, strict=True)]

    def named(self, passages: RankedPassages) -> Matches:
        """Return passages of this searcher with the ids of their documents."""
        return named(passages, self._snapshot)

    def first_of_groups(self, rows: NDArray[np.uint32], group_by: str) -> NDArray[np.int64]:
        """Return the positions of the first row of each value of a field, ascending.

        Raises:
            FilterError: ``group_by`` is not a valid field name.
        """
        groups: Sequence[Hashable] = group_keys(self._catalog, group_by, rows.tolist())
        first: dict[Hashable, int] = {}
        for place, group in enumerate(groups):
            first.setdefault(group, place)
        return np.array(list(first.values()), np.int64)
