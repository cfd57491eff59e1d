"""The settings of a pipeline's parts: retrieval by vectors, by words, and reranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from lexpand.encode import Encoder
from lexpand.encode.folder import Backend
from lexpand.errors import DataError
from lexpand.index import BM25, Index
from lexpand.search.feedback import Feedback
from lexpand.search.rerank import CrossEncoder, Reranker
from lexpand.search.reranking import RERANK_DEPTH, RerankingRetriever
from lexpand.search.retriever import Retriever, Weighted
from lexpand.search.sparse import SparseRetriever
from lexpand.search.words import WordRetriever

Table = TypeVar("Table", Feedback, "Rerank")


@dataclass(frozen=True, slots=True)
class Splade:
    """The settings of retrieval by the vectors of the model; see `SparseRetriever`."""

    weight: float = 1.0
    effort: float = 1.0
    idf: float = 0.0
    prune: str = ""

    def retriever(self, index: Index, encoder: Encoder | None) -> Weighted:
        """Return the retriever over an index, with its weight.

        Raises:
            ContractMismatch, DataError: see `SparseRetriever`; or there is no encoder.
        """
        if encoder is None:
            raise DataError(
                "encoder must not be None for a pipeline that encodes queries: give the model"
            )
        retriever = SparseRetriever(
            index, encoder, effort=self.effort, idf=self.idf, prune=self.prune
        )
        return Weighted(retriever, self.weight)


@dataclass(frozen=True, slots=True)
class Words:
    """The settings of retrieval by BM25; see `WordRetriever`."""

    weight: float = 1.0
    k1: float = BM25().k1
    b: float = BM25().b
    exact: float = 0.0

    def retriever(self, index: Index, encoder: Encoder | None) -> Weighted:
        """Return the retriever over an index, with its weight. The encoder is not used.

        Raises:
            IndexStateError: see `WordRetriever`.
        """
        del encoder
        return Weighted(WordRetriever(index, BM25(self.k1, self.b), exact=self.exact), self.weight)


Part = Splade | Words


@dataclass(frozen=True, slots=True)
class Rerank:
    """The settings of reranking; see `RerankingRetriever` and `CrossEncoder.load`.

    Attributes:
        model: a model folder or an ONNX file.
        depth: the number of documents to rerank.
        budget_ms: the time limit of a query's reranking in milliseconds; None for no limit.
        max_tokens: a shorter maximum length of the input than that of the model.
        backend: the runtime of the model.

    Raises:
        DataError: the model is not a path.
    """

    model: str
    depth: int = RERANK_DEPTH
    budget_ms: float | None = None
    max_tokens: int | None = None
    backend: Backend = "onnx"

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise DataError(f"model of the reranker must be a path, got {self.model!r}")

    def load(self, threads: int | None) -> Reranker:
        """Load the model.

        Raises:
            ModelError, MissingExtra: see `CrossEncoder.load`.
        """
        return CrossEncoder.load(
            self.model, threads=threads, max_tokens=self.max_tokens, backend=self.backend
        )

    def retriever(self, first: Retriever, threads: int | None) -> Retriever:
        """Return a retriever that reranks the documents that ``first`` finds.

        Raises:
            DataError, ModelError, MissingExtra: see `RerankingRetriever` and `load`.
        """
        return RerankingRetriever(
            first, self.load(threads), depth=self.depth, budget_ms=self.budget_ms
        )


def read_table(kind: type[Table], name: str, raw: object) -> Table:
    """Read a TOML table as settings of a class.

    Raises:
        DataError: the value is not a table, a key is unknown or missing, or a value is invalid.
    """
    known = [each.name for each in fields(kind)]
    if not isinstance(raw, Mapping):
        raise DataError(f"{name} must be a table with {', '.join(known)}, got {raw!r}")
    check_keys(name, raw, set(known))
    if kind is Rerank and "model" not in raw:
        raise DataError(
            f"{name} must have a model: give the path of a model folder or an ONNX file"
        )
    return kind(**raw)


def check_keys(what: str, raw: Mapping[str, Any], known: set[str]) -> None:
    """Raise if a key of a table is unknown.

    Raises:
        DataError: a key is unknown.
    """
    unknown = sorted(set(raw) - known)
    if unknown:
        raise DataError(
            f"{what} has the unknown key {unknown[0]!r}: known keys are {', '.join(sorted(known))}"
        )
