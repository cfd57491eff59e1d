"""What a pipeline is made of, as its file says it: retrieval by vectors, by words, and reranking."""

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
    """Retrieval by the model's vectors; see `SparseRetriever`."""

    weight: float = 1.0
    effort: float = 1.0
    idf: float = 0.0

    def retriever(self, index: Index, encoder: Encoder | None) -> Weighted:
        """The retriever over an index, with its weight.

        Raises:
            ContractMismatch, DataError: see `SparseRetriever`; or there is no encoder.
        """
        if encoder is None:
            raise DataError("the pipeline encodes queries: give the model")
        return Weighted(
            SparseRetriever(index, encoder, effort=self.effort, idf=self.idf), self.weight
        )


@dataclass(frozen=True, slots=True)
class Words:
    """Retrieval by BM25; see `WordRetriever`."""

    weight: float = 1.0
    k1: float = BM25().k1
    b: float = BM25().b
    exact: float = 0.0

    def retriever(self, index: Index, encoder: Encoder | None) -> Weighted:
        """The retriever over an index, with its weight; no encoder is needed.

        Raises:
            IndexStateError: see `WordRetriever`.
        """
        del encoder
        return Weighted(WordRetriever(index, BM25(self.k1, self.b), exact=self.exact), self.weight)


Part = Splade | Words


@dataclass(frozen=True, slots=True)
class Rerank:
    """Reranking of the best documents; see `RerankingRetriever` and `CrossEncoder.load`.

    Attributes:
        model: a model folder or an ONNX file.
        depth: documents that are reranked.
        budget_ms: milliseconds that a query's reranking may take; None for as long as it takes.
        max_tokens: cut at fewer tokens than the model reads.
        backend: what runs the model.

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
            raise DataError(f"the reranker's model is {self.model!r}: it must be a path")

    def load(self, threads: int | None) -> Reranker:
        """The model.

        Raises:
            ModelError, MissingExtra: see `CrossEncoder.load`.
        """
        return CrossEncoder.load(
            self.model, threads=threads, max_tokens=self.max_tokens, backend=self.backend
        )

    def retriever(self, first: Retriever, threads: int | None) -> Retriever:
        """The retriever that reranks what ``first`` finds.

        Raises:
            DataError, ModelError, MissingExtra: see `RerankingRetriever` and `load`.
        """
        return RerankingRetriever(
            first, self.load(threads), depth=self.depth, budget_ms=self.budget_ms
        )


def read_table(kind: type[Table], name: str, raw: object) -> Table:
    """A table of TOML as one of these classes.

    Raises:
        DataError: it is no table, a key is unknown or missing, or a value is not one that it may
            have.
    """
    known = [each.name for each in fields(kind)]
    if not isinstance(raw, Mapping):
        raise DataError(f"{name} is {raw!r}: it must be a table with {', '.join(known)}")
    check_keys(name, raw, set(known))
    if kind is Rerank and "model" not in raw:
        raise DataError(f"{name} has no model: give the path of a model folder or an ONNX file")
    return kind(**raw)


def check_keys(what: str, raw: Mapping[str, Any], known: set[str]) -> None:
    """Nothing, where every key is known.

    Raises:
        DataError: one is not.
    """
    unknown = sorted(set(raw) - known)
    if unknown:
        raise DataError(
            f"{what} has the key {unknown[0]!r}: it may have {', '.join(sorted(known))}"
        )
