"""What a collection holds, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lexpand.index import Index
from lexpand.search import Pipeline
from lexpand.search.pipeline import NAMED


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection holds, and how it was made.

    Attributes:
        path: the folder.
        documents: documents of the commit that searches see; ``passages`` are their passages, more
            where long documents are in chunks.
        commit, committed_at: its number and time (UTC).
        model, contract_hash, model_location: whose vectors.
        encoding: how documents are encoded, where it is not the plain way
            (`DocumentEncoding.to_dict`).
        vocabulary_size: terms of the model.
        words: the language of the words for BM25; None without words.
        columns: metadata fields with a type.
        pipeline: the name of the pipeline that searches, or its parts.
        segments: files of the index; ``stored_weights`` are in them.
        segment_bytes, catalog_bytes: on disk; ``bytes_a_weight`` by what segments hold.
        deleted_passages: passages whose space a merge or `compact` gives back.
    """

    path: str
    documents: int
    passages: int
    commit: int
    committed_at: str
    model: str
    contract_hash: str
    model_location: str
    encoding: dict[str, Any]
    vocabulary_size: int
    words: str | None
    columns: dict[str, str]
    pipeline: str
    segments: int
    stored_weights: int
    deleted_passages: int
    segment_bytes: int
    catalog_bytes: int
    bytes_a_weight: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        rows = {name: _shown(value) for name, value in asdict(self).items()}
        width = max(map(len, rows))
        return "\n".join(
            f"{name.replace('_', ' '):<{width}}  {value}" for name, value in rows.items()
        )


def facts_of(index: Index, pipeline: Pipeline) -> CollectionInfo:
    """What an index holds, searched by a pipeline."""
    found = index.info()
    words = index.schema.words
    language = None if words is None else words.language or "any language"
    encoding = {
        name: value for name, value in found.space.encoding.to_dict().items() if name != "rules"
    }
    return CollectionInfo(
        path=str(index.path),
        documents=found.commit.documents,
        passages=found.live_passages,
        commit=found.commit.commit_id,
        committed_at=found.commit.created_at,
        model=found.space.model.name,
        contract_hash=found.space.model.hash,
        model_location=found.space.location,
        encoding=encoding,
        vocabulary_size=len(found.space.vocabulary),
        words=language,
        columns=dict(found.columns),
        pipeline=_name_of(pipeline),
        segments=found.segments,
        stored_weights=found.nnz,
        deleted_passages=found.passages - found.live_passages,
        segment_bytes=found.segment_bytes,
        catalog_bytes=found.catalog_bytes,
        bytes_a_weight={
            name: round(size / max(1, found.nnz), 2) for name, size in found.parts.items()
        },
    )


def _name_of(pipeline: Pipeline) -> str:
    named = [name for name, known in NAMED.items() if known == pipeline]
    return named[0] if named else f"{len(pipeline.parts)} parts"


def _shown(value: object) -> str:
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items()) or "-"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
