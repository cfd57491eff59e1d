"""A retriever's form in a file or under a name, so that it can be shared, compared and put on a command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lexpand.encode import Encoder, Pruning, QueryMode
from lexpand.errors import DataError, SourceError
from lexpand.index import BM25, Index
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion
from lexpand.search.hybrid import DEPTH, HybridRetriever
from lexpand.search.retriever import Retriever
from lexpand.search.sparse import SparseRetriever, encoder_of
from lexpand.search.words import WordRetriever


@dataclass(frozen=True, slots=True)
class Splade:
    """Retrieval by the model's vectors; see `SparseRetriever`."""

    weight: float = 1.0
    effort: float = 1.0
    idf: float = 0.0


@dataclass(frozen=True, slots=True)
class Words:
    """Retrieval by BM25; see `WordRetriever`."""

    weight: float = 1.0
    k1: float = BM25().k1
    b: float = BM25().b


Part = Splade | Words

_KINDS: dict[str, type[Part]] = {"splade": Splade, "bm25": Words}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a retriever is made of.

    Attributes:
        parts: one, or several for a `HybridRetriever`.
        fusion: of several parts.
        depth: of several parts: documents that each ranks.
        feedback: the best documents add to the model's query; None for once.
    """

    parts: tuple[Part, ...] = (Splade(),)
    fusion: Fusion = Fusion.Z_SCORE
    depth: int = DEPTH
    feedback: Feedback | None = None

    @classmethod
    def load(cls, pipeline: str | Path) -> Pipeline:
        """The pipeline of a name (``splade``, ``bm25``, ``hybrid``) or of a TOML file (docs/pipelines.md).

        Raises:
            SourceError: there is no such name or file, or the file is no TOML.
            DataError: a key is unknown, or a value is not one that it may have.
        """
        if str(pipeline) in NAMED:
            return NAMED[str(pipeline)]
        path = Path(pipeline)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SourceError(
                f"no pipeline {str(pipeline)!r}: give {', '.join(NAMED)}, or the path of a TOML file"
            ) from None
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read as a pipeline: {error}") from error
        try:
            return cls.from_dict(raw)
        except (DataError, TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Pipeline:
        """What a TOML file says.

        Raises:
            DataError: a key is unknown, or a value is not one that it may have.
        """
        _check_keys("the pipeline", raw, {"parts", "fusion", "depth", "feedback"})
        parts = raw.get("parts", [])
        if not isinstance(parts, list) or not parts:
            raise DataError("a pipeline needs [[parts]], each with a field")
        if raw.get("fusion", Fusion.Z_SCORE) not in list(Fusion):
            raise DataError(f"no fusion {raw['fusion']!r}: give one of {', '.join(Fusion)}")
        return cls(
            tuple(_part(part) for part in parts),
            Fusion(raw.get("fusion", Fusion.Z_SCORE)),
            raw.get("depth", DEPTH),
            _feedback(raw.get("feedback")),
        )

    @property
    def needs_model(self) -> bool:
        """Whether queries are encoded."""
        return any(isinstance(part, Splade) for part in self.parts)

    def retriever(self, index: Index, encoder: Encoder | None) -> Retriever:
        """The retriever over an index; without an encoder where none is needed.

        Raises:
            IndexStateError, ContractMismatch, DataError: see the retrievers.
        """
        parts = [_weighted(part, index, encoder) for part in self.parts]
        if len(parts) > 1:
            return HybridRetriever(parts, fusion=self.fusion, depth=self.depth, feedback=self.feedback)
        alone = parts[0]
        if self.feedback is None:
            return alone
        if not isinstance(alone, SparseRetriever):
            raise DataError("feedback adds to the model's query: the pipeline needs a part of field splade")
        return alone.with_feedback(self.feedback)


NAMED: dict[str, Pipeline] = {
    "splade": Pipeline(),
    "bm25": Pipeline((Words(),)),
    "hybrid": Pipeline((Splade(), Words())),
}
"""Pipelines that have a name. The weights of `hybrid` are the plainest, not tuned (LOG.md)."""


def open_retriever(
    path: str | Path,
    pipeline: Pipeline | str | Path = "splade",
    *,
    model: str | Path | None = None,
    threads: int | None = None,
    query_mode: QueryMode | str | None = None,
    query_pruning: Pruning | str | None = None,
) -> Retriever:
    """Open an index, and the model that it names if the pipeline needs it.

    Args:
        path: the index's folder.
        pipeline: see `Pipeline.load`.
        model: where the model is, if it has moved since.
        threads: that the encoder may use.
        query_mode: see `Encoder.load`.
        query_pruning: see `Encoder.load`.

    Raises:
        NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
        ModelError: the model cannot be loaded, or is not the index's.
        SourceError, DataError: see `Pipeline.load`.
        IndexStateError: the pipeline searches words, and the index has none.
    """
    made = pipeline if isinstance(pipeline, Pipeline) else Pipeline.load(pipeline)
    index = Index.open(path)
    try:
        encoder = None
        if made.needs_model:
            encoder = encoder_of(
                index, model=model, threads=threads, query_mode=query_mode, query_pruning=query_pruning
            )
        return made.retriever(index, encoder)
    except BaseException:
        index.close()
        raise


def _part(raw: object) -> Part:
    if not isinstance(raw, Mapping) or raw.get("field") not in _KINDS:
        raise DataError(f"the part {raw!r}: its field must be one of {', '.join(_KINDS)}")
    kind = _KINDS[raw["field"]]
    values = {name: value for name, value in raw.items() if name != "field"}
    _check_keys(f"a part of field {raw['field']}", values, {each.name for each in fields(kind)})
    return kind(**values)


def _feedback(raw: object) -> Feedback | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise DataError(f"feedback is {raw!r}: it must be a table with documents, terms and weight")
    _check_keys("feedback", raw, {each.name for each in fields(Feedback)})
    return Feedback(**raw)


def _check_keys(what: str, raw: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(raw) - known)
    if unknown:
        raise DataError(f"{what} has the key {unknown[0]!r}: it may have {', '.join(sorted(known))}")


def _weighted(part: Part, index: Index, encoder: Encoder | None) -> Retriever:
    if isinstance(part, Words):
        return part.weight * WordRetriever(index, BM25(part.k1, part.b))
    if encoder is None:
        raise DataError("the pipeline encodes queries: give the model")
    return part.weight * SparseRetriever(index, encoder, effort=part.effort, idf=part.idf)
