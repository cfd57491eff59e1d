"""Statistics and settings of a collection, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lexpand.index import Index
from lexpand.search import Pipeline
from lexpand.search.pipeline import NAMED


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """The contents and the settings of a collection.

    Attributes:
        path: the folder.
        documents: the number of documents in the commit that searches see.
        passages: the number of their passages; more than documents if long ones are in chunks.
        commit: the number of the commit.
        committed_at: the time of the commit (UTC).
        model: the name of the model.
        contract_hash: the hash of the model's contract.
        model_location: ``default``, or the folder of the model.
        encoding: the settings of the document encoding that differ from the defaults, without
            rules (`DocumentEncoding.to_dict`).
        vocabulary_size: the number of terms of the model.
        words: the language of the BM25 field; None if there is none.
        columns: the declared metadata fields with their types.
        pipeline: the name of the pipeline, or the number of its parts.
        segments: the number of segment files.
        stored_weights: the number of weights in the segments.
        deleted_passages: the passages whose space a merge or `compact` frees.
        segment_bytes: the size of the segments on disk.
        catalog_bytes: the size of the catalog on disk.
        bytes_per_weight: the size of each part of the segments, in bytes per stored weight.
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
    bytes_per_weight: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = {name: _shown(value) for name, value in asdict(self).items()}
        width = max(map(len, rows))
        return "\n".join(
            f"{name.replace('_', ' '):<{width}}  {value}" for name, value in rows.items()
        )


def info_of(index: Index, pipeline: Pipeline) -> CollectionInfo:
    """Return the facts of an index that a pipeline searches."""
    info = index.info()
    words = index.schema.words
    language = None if words is None else words.language or "any language"
    encoding = {
        name: value for name, value in info.space.encoding.to_dict().items() if name != "rules"
    }
    return CollectionInfo(
        path=str(index.path),
        documents=info.commit.documents,
        passages=info.live_passages,
        commit=info.commit.commit_id,
        committed_at=info.commit.created_at,
        model=info.space.model.name,
        contract_hash=info.space.model.hash,
        model_location=info.space.location,
        encoding=encoding,
        vocabulary_size=len(info.space.vocabulary),
        words=language,
        columns=dict(info.columns),
        pipeline=_name_of(pipeline),
        segments=info.segments,
        stored_weights=info.nnz,
        deleted_passages=info.passages - info.live_passages,
        segment_bytes=info.segment_bytes,
        catalog_bytes=info.catalog_bytes,
        bytes_per_weight={
            name: round(size / max(1, info.nnz), 2) for name, size in info.parts.items()
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
