"""Pipelines: the settings of a retriever, in a file or under a name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lexpand.data.documents import shown
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
    """The settings of a retriever.

    Attributes:
        parts: one part, or several for a `HybridRetriever`.
        fusion: the fusion of several parts.
        depth: the number of documents that each of several parts ranks.
        feedback: expand the model's query by the best documents, and the BM25 query if its
            ``words`` is set. None to search once.
        rerank: reorder the best documents with a reranker; None to keep their order.

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
        """Return a pipeline of `NAMED` by its name, or read a TOML file (docs/pipelines.md).

        The path of a reranker is relative to the folder of the file.

        Raises:
            SourceError: there is no such name or file, or the file is not TOML.
            DataError: a key is unknown, a value is invalid, or ``pipeline`` is no text or path.
        """
        if str(pipeline).lower() in NAMED:
            return NAMED[str(pipeline).lower()]
        if not isinstance(pipeline, str | Path):
            raise DataError(f"{_EXPECTED}, got {shown(pipeline)}")
        path = Path(pipeline)
        if path.is_dir():  # so is an empty text
            folder = " (a folder)" if str(pipeline) else ""
            raise SourceError(f"{_EXPECTED}, got {str(pipeline)!r}{folder}")
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise SourceError(f"{_EXPECTED}, got {str(pipeline)!r}") from None
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read as a pipeline: {error}") from error
        try:
            loaded = cls.from_dict(raw)
        except (DataError, TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from None
        if loaded.rerank is None:
            return loaded
        model = path.parent / Path(loaded.rerank.model).expanduser()
        return replace(loaded, rerank=replace(loaded.rerank, model=str(model)))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Pipeline:
        """Return the pipeline of a parsed TOML file.

        Raises:
            DataError: a key is unknown, or a value is invalid.
        """
        check_keys("the pipeline", raw, {"parts", "fusion", "depth", "feedback", "rerank"})
        parts = raw.get("parts", [])
        if not isinstance(parts, list) or not parts:
            raise DataError(
                f"parts of a pipeline must be [[parts]], each with a field, got {parts!r}"
            )
        if raw.get("fusion", Fusion.Z_SCORE) not in list(Fusion):
            raise DataError(f"fusion must be one of {', '.join(Fusion)}, got {raw['fusion']!r}")
        return cls(
            tuple(read_part(part) for part in parts),
            Fusion(raw.get("fusion", Fusion.Z_SCORE)),
            raw.get("depth", DEPTH),
            read_table(Feedback, "feedback", raw["feedback"]) if "feedback" in raw else None,
            read_table(Rerank, "rerank", raw["rerank"]) if "rerank" in raw else None,
        )

    def to_toml(self) -> str:
        """Return the text of a file that `load` reads as this pipeline."""
        values = {"fusion": self.fusion, "depth": self.depth}
        defaults = {"fusion": Fusion.Z_SCORE, "depth": DEPTH}
        settings = {name: value for name, value in values.items() if value != defaults[name]}
        return write_toml(settings, self.parts, self.feedback, self.rerank)

    def save(self, path: str | Path) -> None:
        """Write `to_toml` to a file atomically. The path of a reranker becomes absolute.

        Raises:
            StorageError: the file cannot be written.
        """
        pipeline = self
        if self.rerank is not None:
            model = Path(self.rerank.model).expanduser().resolve()
            pipeline = replace(self, rerank=replace(self.rerank, model=str(model)))
        with atomic_write(Path(path)) as file:
            file.write(pipeline.to_toml().encode())

    @property
    def needs_model(self) -> bool:
        """Whether queries are encoded by a model."""
        return any(isinstance(part, Splade) for part in self.parts)

    def retriever(
        self, index: Index, encoder: Encoder | None, *, threads: int | None = None
    ) -> Retriever:
        """Return the retriever over an index.

        Args:
            index: the documents.
            encoder: the model of their vectors; may be None if `needs_model` is false.
            threads: the number of threads that a reranker may use; all cores of this process by
                default.

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
            "feedback of the kind words=False expands the model's query: add a part of field "
            "splade, or use feedback with words=True"
        )


DEFAULT = "hybrid"
"""The name of the default pipeline."""

# With this factor, words decide the ranking of identifiers. docs/benchmarks.md has the measures of
# smaller factors.
_EXACT = 100.0

NAMED: dict[str, Pipeline] = {
    # docs/benchmarks.md has the measures of other weights and powers.
    "hybrid": Pipeline(
        (Splade(weight=0.6, idf=1.0), Words(weight=0.4, exact=_EXACT)), Fusion.EXPECTED
    ),
    "best": Pipeline(
        (Splade(weight=0.5, idf=0.5), Words(weight=0.5, exact=_EXACT)),
        Fusion.MAXIMUM,
        feedback=Feedback(5, 50, 0.3, words=True),
    ),
    "splade": Pipeline(),
    "bm25": Pipeline((Words(),)),
}
"""The pipelines with a name; docs/benchmarks.md has the measures of each."""

_EXPECTED = f"pipeline must be one of {', '.join(NAMED)}, or the path of a TOML file"


def read_part(raw: object) -> Part:
    """Read a part from its form in TOML.

    Raises:
        DataError: the field or a key is unknown, or a value is invalid.
    """
    if not isinstance(raw, Mapping) or raw.get("field") not in PARTS:
        raise DataError(f"field of a part must be one of {', '.join(PARTS)}, got the part {raw!r}")
    kind = PARTS[raw["field"]]
    values = {name: value for name, value in raw.items() if name != "field"}
    check_keys(f"a part of field {raw['field']}", values, {each.name for each in fields(kind)})
    return kind(**values)


def resolve(
    pipeline: Pipeline | str | Path | None, index: Index
) -> tuple[Pipeline, tuple[Note, ...]]:
    """Return the pipeline for an index, with notes on the choice.

    Without words in the index, the default falls back to the model alone. A pipeline that is named
    explicitly does not fall back.

    Raises:
        SourceError, DataError: see `Pipeline.load`.
    """
    if pipeline is not None:
        return (pipeline if isinstance(pipeline, Pipeline) else Pipeline.load(pipeline)), ()
    if index.schema.words is not None:
        return NAMED[DEFAULT], ()
    detail = (
        f"the index has no BM25 field, so the pipeline splade searched instead of {DEFAULT}: "
        f"create a new index with a BM25 field to use {DEFAULT}"
    )
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
    """Open an index, and its model if the pipeline needs it.

    Args:
        path: the folder of the index.
        pipeline: see `Pipeline.load`. None for the default: hybrid, or the model alone if the index
            has no BM25 field.
        model: the path of the model, if it has moved.
        queries: the encoding of queries.
        rules: edits of the model's queries; see `encoder_of`.
        threads: the number of threads that the encoder and a reranker may use.

    Raises:
        NotAnIndex, NewerFormat, CorruptIndex: see `Index.open`.
        ModelError: the model or the reranker cannot be loaded, or the index has vectors of another
            model.
        MissingExtra: the reranker runs on PyTorch, which is not installed.
        SourceError, DataError: see `Pipeline.load`.
        IndexStateError: the pipeline searches words, and the index has none.
    """
    index = Index.open(path)
    try:
        resolved, _ = resolve(pipeline, index)
        encoder = None
        if resolved.needs_model:
            encoder = encoder_of(index, model=model, queries=queries, rules=rules, threads=threads)
        return resolved.retriever(index, encoder, threads=threads)
    except BaseException:
        index.close()
        raise
