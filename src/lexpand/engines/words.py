"""BM25 of an engine, its sum with the vectors, and the engine's own fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lexpand.data import Document
from lexpand.engines.engine import Engine
from lexpand.engines.ranking import matches_of
from lexpand.errors import DataError
from lexpand.index import Matches
from lexpand.index.filters import Filter
from lexpand.search import Retriever
from lexpand.search.mixed import MixedRetriever
from lexpand.search.notes import Note, Reason
from lexpand.search.retriever import check_queries, check_ranking

PIPELINES = ("splade", "bm25", "hybrid", "engine-hybrid")
"""The pipelines of an engine by their names."""

FUSION_NOTE = "the engine's own fusion, which is not equal to Lexpand's hybrid"
"""What a ranking by the engine's own fusion says of itself."""


class EngineWords(Retriever):
    """A retriever by the BM25 of an engine over titles and texts.

    Its analysis and its parameters are those of the engine, so it is not the BM25 of an index.

    Args:
        engine: the engine; see `Engine.search_words`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`.

        Raises:
            DataError: a group is given.
            EngineError: the engine has no BM25, or cannot be reached.
        """
        check_ranking(k, threads)
        queries = check_queries(queries)
        if group_by is not None:
            raise DataError("group_by must be None for an engine")
        if not queries or not k:
            return [matches_of((), 0) for _ in queries]
        return self._ranked(queries, k, filter)

    def _ranked(self, queries: Sequence[str], k: int, filter: Filter | None) -> list[Matches]:
        return self._engine.search_words(queries, k, filter=filter)

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self._engine.documents(doc_ids)


class EngineFusion(EngineWords):
    """A retriever by the engine's own fusion of its vectors and its words.

    It is not equal to Lexpand's hybrid, which a note on each ranking says.

    Args:
        engine: the engine; see `Engine.search_fused`.
    """

    def _ranked(self, queries: Sequence[str], k: int, filter: Filter | None) -> list[Matches]:
        note = Note(Reason.ENGINE, detail=FUSION_NOTE)
        return [
            Matches(found.doc_ids, found.scores, found.rows, notes=(note,))
            for found in self._engine.search_fused(queries, k, filter=filter)
        ]


def engine_pipeline(engine: Engine, name: str | None) -> Retriever:
    """Return a pipeline of an engine.

    ``hybrid`` is the sum of both rankings by standard deviations (`Fusion.Z_SCORE`), fused here. An
    index fuses by what it knows of a query (`Fusion.EXPECTED`), which an engine does not tell.

    ``engine-hybrid`` is the engine's own fusion of both (`EngineFusion`).

    Args:
        engine: the engine.
        name: ``splade`` (or None), ``bm25``, ``hybrid`` or ``engine-hybrid``.

    Raises:
        DataError: the name is another one.
    """
    if name in (None, "splade"):
        return engine
    if name == "bm25":
        return EngineWords(engine)
    if name == "hybrid":
        return MixedRetriever([engine, EngineWords(engine)])
    if name == "engine-hybrid":
        return EngineFusion(engine)
    raise DataError(f"the pipeline of an engine must be one of {', '.join(PIPELINES)}, got {name}")
