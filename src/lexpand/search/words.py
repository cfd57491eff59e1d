"""Retrieval by the documents' words."""

from __future__ import annotations

from collections.abc import Sequence

from lexpand.errors import IndexStateError
from lexpand.index import BM25, Index, Match
from lexpand.index.filters import Filter
from lexpand.search.retriever import Retriever


class WordRetriever(Retriever):
    """Answers questions by BM25 over the documents' words.

    Args:
        index: the documents; it must have been made with words.
        bm25: its parameters.

    Raises:
        IndexStateError: the index has no words.
    """

    def __init__(self, index: Index, bm25: BM25 = BM25()) -> None:  # noqa: B008 - frozen
        super().__init__(index)
        if index.schema.words is None:
            raise IndexStateError(f"{index.path} was made without words: make a new index with words to search them")
        self.bm25 = bm25

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Sequence[Match]]:
        """See `Retriever.rank`."""
        return self.index.search_words(queries, k, filter=filter, group_by=group_by, bm25=self.bm25, threads=threads)

    def bounds(self, queries: Sequence[str]) -> Sequence[float]:
        """See `Retriever.bounds`: the sum of the words' inverse document frequencies, which no repetition exceeds."""
        return self.index.word_bounds(queries)
