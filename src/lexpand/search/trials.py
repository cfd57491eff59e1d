"""Many pipelines on the same queries, for the price of a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, SparseVectors
from lexpand.encode import Encoder
from lexpand.index import Index, Matches, Searcher
from lexpand.index.filters import Filter
from lexpand.index.passages import RankedPassages
from lexpand.search.hybrid import PreparedHybrid
from lexpand.search.parts import Part, Rerank
from lexpand.search.pipeline import Pipeline
from lexpand.search.prepared import PreparedQueries
from lexpand.search.rerank import Reranker
from lexpand.search.reranking import RerankingRetriever
from lexpand.search.retriever import LocalRetriever, Retriever
from lexpand.search.sparse import SparseRetriever


class Trials:
    """Rankings of the same queries by many pipelines of one commit of an index.

    Queries are encoded once, and each part ranks once, whatever its weight and the fusion are. A
    reranker scores a pair of a query and a text once. The rankings are those of the retriever of a
    pipeline, to the bit. With a reranker, the last digits of scores may differ, which depend on the
    batch, and a time limit is ignored. All rankings of parts stay in memory: 20 bytes a passage.

    Args:
        index: the documents.
        encoder: the model of their vectors; None if no pipeline encodes queries.
        queries: the texts of the queries.
        threads: the number of threads of searches and rerankers.

    Attributes:
        searcher: the commit that is searched.
    """

    def __init__(
        self, index: Index, encoder: Encoder | None, queries: Sequence[str], *, threads: int = 1
    ) -> None:
        self.searcher: Searcher = index.searcher()
        self._index, self._encoder = index, encoder
        self._queries, self._threads = list(queries), threads
        self._prepared: dict[Part, PreparedQueries] = {}
        self._found: dict[tuple[Part, int], Sequence[RankedPassages]] = {}
        self._rerankers: dict[Rerank, _Remembering] = {}

    def passages(self, pipeline: Pipeline, k: int) -> Sequence[RankedPassages]:
        """Return the best ``k`` passages of each query, before any reranking.

        Raises:
            IndexStateError, ContractMismatch, DataError: see `Pipeline.retriever`.
        """
        parts = [replace(part, weight=1.0) for part in pipeline.parts]
        if len(parts) == 1 and pipeline.feedback is None:
            return self._ranked(parts[0], k)
        if len(parts) == 1:
            alone = replace(pipeline, rerank=None).retriever(self._index, self._encoder)
            assert isinstance(alone, LocalRetriever)
            return alone.ask(self.searcher, self._queries).passages(k, threads=self._threads)
        depth = max(k, pipeline.depth)
        hybrid = PreparedHybrid(
            self.searcher,
            self._queries,
            [self._asked(part) for part in parts],
            [part.weight for part in pipeline.parts],
            pipeline.fusion,
            pipeline.depth,
            pipeline.feedback,
        )
        found = [self._ranked(part, depth) for part in parts]
        refined = hybrid.refined(found, depth, threads=self._threads)
        return [passages.at(slice(0, k)) for passages in refined]

    def matches(self, pipeline: Pipeline, k: int) -> Sequence[Matches]:
        """Return the best ``k`` documents of each query, reranked if the pipeline reranks.

        Raises:
            IndexStateError, ContractMismatch, DataError, ModelError, MissingExtra: see
                `Pipeline.retriever`.
        """
        rerank = pipeline.rerank
        depth = k if rerank is None else max(k, rerank.depth)
        found = [self.searcher.named(each) for each in self.passages(pipeline, depth)]
        if rerank is None:
            return found
        first = _Ranked(self.searcher, dict(zip(self._queries, found, strict=True)))
        reranking = RerankingRetriever(first, self._reranker(rerank), depth=rerank.depth)
        return reranking.rank(self._queries, k)

    def retriever(self, pipeline: Pipeline) -> Retriever:
        """Return the retriever of a pipeline, to time it; each reranker is loaded once.

        Raises:
            IndexStateError, ContractMismatch, DataError, ModelError, MissingExtra: see
                `Pipeline.retriever`.
        """
        first = replace(pipeline, rerank=None).retriever(self._index, self._encoder)
        rerank = pipeline.rerank
        if rerank is None:
            return first
        return RerankingRetriever(
            first, self._reranker(rerank).plain, depth=rerank.depth, budget_ms=rerank.budget_ms
        )

    def _asked(self, part: Part) -> PreparedQueries:
        if part not in self._prepared:
            retriever = part.retriever(self._index, self._encoder).retriever
            assert isinstance(retriever, LocalRetriever)
            if isinstance(retriever, SparseRetriever):
                asked: PreparedQueries = retriever.prepared(
                    self.searcher, self._queries, self._encoded
                )
            else:
                asked = retriever.ask(self.searcher, self._queries)
            self._prepared[part] = asked
        return self._prepared[part]

    @cached_property
    def _encoded(self) -> SparseVectors:
        assert self._encoder is not None
        return self._encoder.encode_queries(self._queries)

    def _ranked(self, part: Part, k: int) -> Sequence[RankedPassages]:
        if (part, k) not in self._found:
            found = self._asked(part).passages(k, threads=self._threads)
            self._found[part, k] = found
        return self._found[part, k]

    def _reranker(self, rerank: Rerank) -> _Remembering:
        """Return the reranker of the settings, without those that do not change its scores."""
        key = replace(rerank, depth=1, budget_ms=None)
        if key not in self._rerankers:
            self._rerankers[key] = _Remembering(key.load(self._threads))
        return self._rerankers[key]


class _Remembering(Reranker):
    """A reranker that scores each pair of a query and a text once.

    Attributes:
        plain: the reranker itself.
    """

    def __init__(self, reranker: Reranker) -> None:
        self.batch = reranker.batch
        self.plain = reranker
        self._scores: dict[tuple[str, str], float] = {}

    def score(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Reranker.score`."""
        missing = [text for text in dict.fromkeys(texts) if (query, text) not in self._scores]
        if missing:
            scores = self.plain.score(query, missing).tolist()
            self._scores |= {
                (query, text): score for text, score in zip(missing, scores, strict=True)
            }
        return np.array([self._scores[query, text] for text in texts], np.float32)


class _Ranked(Retriever):
    """A retriever whose rankings are known."""

    def __init__(self, searcher: Searcher, found: Mapping[str, Matches]) -> None:
        self._searcher = searcher
        self._found = found

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`; filter, group and threads are not used."""
        del filter, group_by, threads
        return [self._found[query][:k] for query in queries]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self._searcher.documents_by_id(doc_ids)
