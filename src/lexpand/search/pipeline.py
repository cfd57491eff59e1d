"""A retriever's form in a file or under a name, so that it can be shared, compared and put on a command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lexpand.data.streams import atomic_write
from lexpand.encode import Encoder, QueryEncoding, Rules
from lexpand.errors import DataError, SourceError
from lexpand.index import Index
from lexpand.search.feedback import Feedback
from lexpand.search.fusion import Fusion, parse_fusion
from lexpand.search.hybrid import DEPTH, HybridRetriever
from lexpand.search.kinds import PARTS
from lexpand.search.notes import Note, Reason
from lexpand.search.parts import Part, Rerank, Splade, Words, check_keys, read_table
from lexpand.search.retriever import Retriever
from lexpand.search.sparse import SparseRetriever, encoder_of
from lexpand.search.toml_form import write_toml
from lexpand.search.words import WordRetriever


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a retriever is made of.

    Attributes:
        parts: one, or several for a `HybridRetriever`.
        fusion: of several parts.
        depth: of several parts: documents that each ranks.
        feedback: the best documents add to the model's query, and to that of the words if it says
            so; None for once.
        rerank: the best documents are put in order by a reranker; None for the order in which they
            are found.

    Raises:
        DataError: there is no such fusion.
    """

    parts: tuple[Part, ...] = (Splade(),)
    fusion: Fusion = Fusion.Z_SCORE
    depth: int = DEPTH
    feedback: Feedback | None = None
    rerank: Rerank | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "fusion", parse_fusion(self.fusion))

    @classmethod
    def load(cls, pipeline: str | Path) -> Pipeline:
        """The pipeline of a name of `NAMED`, or of a TOML file (docs/pipelines.md).

        A reranker's path goes out from the file's folder.

        Raises:
            SourceError: there is no such name or file, or the file is no TOML.
            DataError: a key is unknown, or a value is not one that it may have.
        """
        if str(pipeline).lower() in NAMED:
            return NAMED[str(pipeline).lower()]
        path = Path(pipeline)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise SourceError(
                f"no pipeline {str(pipeline)!r}: give {', '.join(NAMED)}, or the path of a TOML file"
            ) from None
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read as a pipeline: {error}") from error
        try:
            made = cls.from_dict(raw)
        except (DataError, TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from None
        if made.rerank is None:
            return made
        model = path.parent / Path(made.rerank.model).expanduser()
        return replace(made, rerank=replace(made.rerank, model=str(model)))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Pipeline:
        """What a TOML file says.

        Raises:
            DataError: a key is unknown, or a value is not one that it may have.
        """
        check_keys("the pipeline", raw, {"parts", "fusion", "depth", "feedback", "rerank"})
        parts = raw.get("parts", [])
        if not isinstance(parts, list) or not parts:
            raise DataError("a pipeline needs [[parts]], each with a field")
        if raw.get("fusion", Fusion.Z_SCORE) not in list(Fusion):
            raise DataError(f"no fusion {raw['fusion']!r}: give one of {', '.join(Fusion)}")
        return cls(
            tuple(read_part(part) for part in parts),
            Fusion(raw.get("fusion", Fusion.Z_SCORE)),
            raw.get("depth", DEPTH),
            read_table(Feedback, "feedback", raw["feedback"]) if "feedback" in raw else None,
            read_table(Rerank, "rerank", raw["rerank"]) if "rerank" in raw else None,
        )

    def to_toml(self) -> str:
        """The text of a file that `load` reads as this pipeline."""
        whole = {"fusion": self.fusion, "depth": self.depth}
        plain = {"fusion": Fusion.Z_SCORE, "depth": DEPTH}
        settings = {name: value for name, value in whole.items() if value != plain[name]}
        return write_toml(settings, self.parts, self.feedback, self.rerank)

    def save(self, path: str | Path) -> None:
        """Write `to_toml` to a file, atomically; a reranker's path becomes absolute.

        Raises:
            StorageError: the disk refused.
        """
        made = self
        if self.rerank is not None:
            made = replace(
                self,
                rerank=replace(
                    self.rerank, model=str(Path(self.rerank.model).expanduser().resolve())
                ),
            )
        with atomic_write(Path(path)) as file:
            file.write(made.to_toml().encode())

    @property
    def needs_model(self) -> bool:
        """Whether queries are encoded."""
        return any(isinstance(part, Splade) for part in self.parts)

    def retriever(
        self, index: Index, encoder: Encoder | None, *, threads: int | None = None
    ) -> Retriever:
        """The retriever over an index; without an encoder where none is needed.

        Args:
            index: the documents.
            encoder: the model of their vectors.
            threads: that a reranker may use; all cores of this process by default.

        Raises:
            IndexStateError, ContractMismatch, DataError: see the retrievers.
            ModelError, MissingExtra: the reranker cannot be loaded.
        """
        first = self._first(index, encoder)
        return first if self.rerank is None else self.rerank.retriever(first, threads)

    def _first(self, index: Index, encoder: Encoder | None) -> Retriever:
        parts = [part.retriever(index, encoder) for part in self.parts]
        if len(parts) > 1:
            return HybridRetriever(
                parts, fusion=self.fusion, depth=self.depth, feedback=self.feedback
            )
        alone = parts[0].retriever
        if self.feedback is None:
            return alone
        if isinstance(alone, SparseRetriever) or (
            isinstance(alone, WordRetriever) and self.feedback.words
        ):
            return alone.with_feedback(self.feedback)
        raise DataError(
            "feedback adds to the model's query: the pipeline needs a part of field splade, or feedback with words"
        )


DEFAULT = "hybrid"
"""The pipeline that is taken where none is named."""

# Words decide where a query has identifiers: docs/benchmarks.md has the figures of smaller factors.
_EXACT = 100.0

NAMED: dict[str, Pipeline] = {
    "hybrid": Pipeline((Splade(), Words(exact=_EXACT)), Fusion.EXPECTED),
    "best": Pipeline(
        (Splade(weight=0.5, idf=0.5), Words(weight=0.5, exact=_EXACT)),
        Fusion.MAXIMUM,
        feedback=Feedback(5, 50, 0.3, words=True),
    ),
    "splade": Pipeline(),
    "bm25": Pipeline((Words(),)),
}
"""Pipelines that have a name; docs/benchmarks.md has what each measures."""


def read_part(raw: object) -> Part:
    """A part as TOML has it.

    Raises:
        DataError: its field or a key is unknown, or a value is not one that it may have.
    """
    if not isinstance(raw, Mapping) or raw.get("field") not in PARTS:
        raise DataError(f"the part {raw!r}: its field must be one of {', '.join(PARTS)}")
    kind = PARTS[raw["field"]]
    values = {name: value for name, value in raw.items() if name != "field"}
    check_keys(f"a part of field {raw['field']}", values, {each.name for each in fields(kind)})
    return kind(**values)


def resolve(
    pipeline: Pipeline | str | Path | None, index: Index
) -> tuple[Pipeline, tuple[Note, ...]]:
    """The pipeline to search an index with, and what there is to say of it.

    The default falls back to the model alone in an index without words; one that was asked for by
    name does not.

    Raises:
        SourceError, DataError: see `Pipeline.load`.
    """
    if pipeline is not None:
        return (pipeline if isinstance(pipeline, Pipeline) else Pipeline.load(pipeline)), ()
    if index.schema.words is not None:
        return NAMED[DEFAULT], ()
    detail = f"the index has no words, so the pipeline splade searched instead of {DEFAULT}; index again to have both"
    return NAMED["splade"], (Note(Reason.FALLBACK, detail=detail),)


def open_retriever(
    path: str | Path,
    pipeline: Pipeline | str | Path | None = None,
    *,
    model: str | Path | None = None,
    queries: QueryEncoding = QueryEncoding(),
    rules: Rules | str | Path | None = None,
    threads: int | None = None,
) -> Retriever:
    """Open an index, and the model that it names if the pipeline needs it.

    Args:
        path: the index's folder.
        pipeline: see `Pipeline.load`; None for the default, hybrid, or the model alone in an index
            without words.
        model: where the model is, if it has moved since.
        queries: how queries are encoded.
        rules: edits of the model's queries; see `encoder_of`.
        threads: that the encoder and a reranker may use.

    Raises:
        NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
        ModelError: the model or the reranker cannot be loaded, or the model is not the index's.
        MissingExtra: the reranker runs on PyTorch, which is not installed.
        SourceError, DataError: see `Pipeline.load`.
        IndexStateError: the pipeline searches words, and the index has none.
    """
    index = Index.open(path)
    try:
        made, _ = resolve(pipeline, index)
        encoder = None
        if made.needs_model:
            encoder = encoder_of(index, model=model, queries=queries, rules=rules, threads=threads)
        return made.retriever(index, encoder, threads=threads)
    except BaseException:
        index.close()
        raise
