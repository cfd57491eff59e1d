"""Targets of engines: what they are made for, what they record of themselves, and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lexpand.data import ModelId
from lexpand.errors import EngineError

_CARD_VERSION = 1


@dataclass(frozen=True, slots=True)
class EngineSchema:
    """What an engine must know before it is filled.

    Attributes:
        model: the model of the vectors.
        vocabulary_size: the number of its terms.
        columns: the type of each declared metadata field (``integer``, ``number``, ``boolean``,
            ``keyword``).
        shards: the number of shards.
        analyzer: the engine's analyzer of the words of BM25.
        seismic: the largest weight of the vectors, for approximate search by SEISMIC (OpenSearch);
            None for exact search.
        folded: whether the weights of documents are multiplied by query weights; see `Folding`.
    """

    model: ModelId
    vocabulary_size: int
    columns: Mapping[str, str] = field(default_factory=dict)
    shards: int = 1
    analyzer: str = "standard"
    seismic: float | None = None
    folded: bool = False

    def card(self) -> dict[str, Any]:
        """Return what a target records of itself, as JSON; see `EngineInfo.of`."""
        return {
            "version": _CARD_VERSION,
            "model": self.model.name,
            "contract_hash": self.model.hash,
            "columns": dict(self.columns),
            "folded": self.folded,
        }


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields of a target that something else filled; of a push by default.

    Attributes:
        vector: the field, column or named vector of the weights.
        text, title: fields of the texts; those that do not exist are empty.
        doc_id: the column of ids, in PostgreSQL. Elsewhere a record has an id of its own.
    """

    vector: str = "splade"
    text: str = "text"
    title: str = "title"
    doc_id: str = "doc_id"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is and holds.

    Attributes:
        name: such as ``elasticsearch 9.5.3``.
        target: the index or collection.
        records: the number of passages; None if the target does not exist.
        model: the model that `create` recorded; None if something else made the target.
        columns: the types of metadata fields that `create` recorded.
        folded: whether the weights of documents are multiplied by query weights; see `Folding`.
    """

    name: str
    target: str
    records: int | None
    model: ModelId | None
    columns: Mapping[str, str] = field(default_factory=dict)
    folded: bool = False

    @classmethod
    def of(cls, name: str, target: str, records: int, card: Mapping[str, Any]) -> EngineInfo:
        """Return what an engine is by the card of its target; empty if something else made it.

        Raises:
            EngineError: a newer version of Lexpand made the target.
        """
        if "model" not in card:
            return cls(name, target, records, None)
        if card["version"] > _CARD_VERSION:
            raise EngineError(
                f"{target} on {name} was made by a newer version of Lexpand: upgrade Lexpand"
            )
        model = ModelId(card["model"], card["contract_hash"])
        return cls(name, target, records, model, card["columns"], card.get("folded", False))


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that an engine did not take.

    Attributes:
        record_id: its id.
        reason: what the engine said.
        busy: whether the engine was too busy, and may take it later.
    """

    record_id: str
    reason: str
    busy: bool = False


@dataclass(slots=True)
class UploadReport:
    """The counts of an upload.

    Attributes:
        uploaded: records that were written.
        unchanged: records that the engine had already.
        deleted: records that the source no longer has.
        refused: records that the engine refused, or was too busy for.
        retries: batches that were sent again because the engine was busy.
    """

    uploaded: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: list[RefusedRecord] = field(default_factory=list)
    retries: int = 0
