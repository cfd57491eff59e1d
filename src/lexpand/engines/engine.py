"""The protocol of engines: a retriever over another search engine that can also be filled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexpand.data import Document, ModelId, SparseVectors
from lexpand.encode import Encoder
from lexpand.engines.records import Record, passage_ids, record_id_of
from lexpand.errors import ContractMismatch, DataError, EngineError
from lexpand.index import Matches
from lexpand.index.columns import ColumnType, check_filter
from lexpand.index.filters import Expression, Filter, parse_filter
from lexpand.search import Retriever
from lexpand.search.retriever import check_queries, check_ranking

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
    """

    model: ModelId
    vocabulary_size: int
    columns: Mapping[str, str] = field(default_factory=dict)
    shards: int = 1
    analyzer: str = "standard"
    seismic: float | None = None

    def card(self) -> dict[str, Any]:
        """Return what a target records of itself, as JSON; see `EngineInfo.of`."""
        return {
            "version": _CARD_VERSION,
            "model": self.model.name,
            "contract_hash": self.model.hash,
            "columns": dict(self.columns),
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
    """

    name: str
    target: str
    records: int | None
    model: ModelId | None
    columns: Mapping[str, str] = field(default_factory=dict)

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
        return cls(name, target, records, model, card["columns"])


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that an engine refused, with its reason."""

    record_id: str
    reason: str


@dataclass(slots=True)
class UploadReport:
    """The counts of an upload.

    Attributes:
        uploaded: records that were written.
        unchanged: records that the engine had already.
        deleted: records that the source no longer has.
        refused: records that the engine refused.
        retries: batches that were sent again because the engine was busy.
    """

    uploaded: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: list[RefusedRecord] = field(default_factory=list)
    retries: int = 0


class Engine(Retriever):
    """A retriever over a search engine. The engine stores passages; documents are ranked.

    Attributes:
        precision: the largest relative error of a stored weight.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the fields.
    """

    precision: float = 0.0

    def __init__(self, encoder: Encoder | None = None, fields: Fields | None = None) -> None:
        self.encoder = encoder
        self.fields = fields or Fields()
        self._declared: Mapping[str, ColumnType] | None = None

    @abstractmethod
    def info(self) -> EngineInfo:
        """Return what the engine is and holds.

        Raises:
            EngineError: the engine cannot be reached.
        """

    @abstractmethod
    def create(self, schema: EngineSchema) -> None:
        """Create the target.

        Raises:
            EngineError: it exists, or the engine refuses.
        """

    @abstractmethod
    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """Write records in one request; records with the same id are replaced.

        Returns:
            The records that the engine refused, and the number of retries.
        """

    @abstractmethod
    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """Return `Record.digest` of those records that the engine has."""

    @abstractmethod
    def record_ids(self) -> Iterator[str]:
        """Yield the ids of all records."""

    @abstractmethod
    def delete(self, record_ids: Sequence[str]) -> None:
        """Delete records; ids that do not exist are ignored."""

    @abstractmethod
    def refresh(self) -> None:
        """Make everything that was written visible to searches."""

    @abstractmethod
    def drop(self) -> None:
        """Delete the target."""

    @abstractmethod
    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """Return the best ``k`` documents of each query vector by dot product."""

    def search_words(
        self, queries: Sequence[str], k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """Return the best ``k`` documents of each query by the engine's BM25.

        Raises:
            EngineError: the engine has no BM25, or the target has no words.
        """
        raise EngineError(f"{self.info().name} has no BM25 that Lexpand can use")

    @abstractmethod
    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """Return the id and the score of the best record of each query; None without a hit."""

    @abstractmethod
    def stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """Return records as the engine has them, without those that do not exist."""

    @abstractmethod
    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what the engine has for each record, without its vector; ``_id`` is its id.

        Raises:
            EngineError: the engine cannot be reached, or has no such target.
        """

    def exported(self) -> Iterator[dict[str, Any]]:
        """Yield the documents as rows that `lexpand index` reads.

        Rows of a push have ``doc_id``, ``title``, ``text`` and the metadata; a passage of a chunked
        document is a document of its own. Rows of others have all their fields.

        Raises:
            EngineError: see `rows`.
        """
        own = self.info().model is not None
        for row in self.rows():
            yield _document_row(row) if own else row

    def alias(self, name: str) -> str | None:
        """Make an alias point to this target, at once for all searches.

        Args:
            name: the alias.

        Returns:
            The target that the alias pointed to; None if it is new.

        Raises:
            EngineError: the engine has no aliases, the target does not exist, or the name is that
                of a target.
        """
        raise EngineError(f"{self.info().name} has no aliases")

    def pruning_note(self, vectors: SparseVectors) -> str | None:
        """Return a remark if searches that do not state pruning get other hits; else None."""
        del vectors
        return None

    @property
    def target(self) -> str:
        """The name of the index or collection."""
        return self.info().target

    def checked_filter(self, filter: Filter | None) -> Expression | None:
        """Return a filter as an expression, with its values checked against declared columns.

        Raises:
            FilterError: the filter is invalid, or compares a column with another type.
        """
        if filter is None:
            return None
        expression = parse_filter(filter)
        if self._declared is None:
            info = self.info()
            columns = {name: ColumnType(kind) for name, kind in info.columns.items()}
            self._declared = None if info.records is None else columns
            check_filter(columns, expression)
        else:
            check_filter(self._declared, expression)
        return expression

    def check_model(self, model: ModelId) -> None:
        """Check that the target has vectors of this model.

        Raises:
            ContractMismatch: it has vectors of another model.
        """
        found = self.info().model
        if found is not None and found != model and found.hash != model.hash:
            raise ContractMismatch(
                f"{self.target} holds vectors of {found.label}, not of {model.label}: push to"
                " another target, or drop this one"
            )

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """See `Retriever.rank`; queries are encoded here.

        Raises:
            DataError: there is no encoder, or a group is given.
        """
        check_ranking(k, threads)
        queries = check_queries(queries)
        if group_by is not None:
            raise DataError("group_by must be None for an engine")
        if self.encoder is None:
            raise DataError("the engine needs an encoder for queries in words: give the model")
        if not queries or not k:
            return [_nothing() for _ in queries]
        return self.search_vectors(self.encoder.encode_queries(queries), k, filter=filter)

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """Return documents by their ids; of a document in chunks, the first chunk."""
        first = [record_id for doc_id in doc_ids for record_id in passage_ids(doc_id, 0)]
        whole = [record_id_of(doc_id, None) for doc_id in doc_ids]
        documents = {
            record.doc_id: Document(record.doc_id, record.text, record.title, dict(record.metadata))
            for record in self.stored([*first, *whole]).values()
            if not record.passage
        }
        return {doc_id: documents[doc_id] for doc_id in doc_ids if doc_id in documents}


def positive(vectors: SparseVectors) -> list[dict[int, float]]:
    """Return the weights above 0 of each vector, by term; engines refuse others."""
    return [
        {term: weight for term, weight in vector.items() if weight > 0}
        for vector in vectors.as_dicts()
    ]


def matches_of(hits: Iterable[tuple[str, float]], k: int) -> Matches:
    """Return the best ``k`` documents of scored passages, which come best first."""
    best: dict[str, float] = {}
    for doc_id, score in hits:
        best.setdefault(doc_id, score)
    ids = list(best)[:k]
    scores: NDArray[np.float64] = np.array([best[doc_id] for doc_id in ids], np.float64)
    return Matches(ids, scores, np.zeros(len(ids), np.uint32))


def _document_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a record that a push wrote as one of its document."""
    texts = {name: row[name] for name in ("title", "text") if row.get(name)}
    record_id = row.get("record_id", row["_id"])
    return {**row.get("metadata", {}), "doc_id": record_id, **texts}


def _nothing() -> Matches:
    return matches_of((), 0)


def check_created(engine: Engine, exists: bool) -> None:
    """Raise if the target of `Engine.create` exists.

    Raises:
        EngineError: it exists.
    """
    if exists:
        raise EngineError(f"{engine.target} exists: drop it, or push to it")


def check_exact(engine: Engine, schema: EngineSchema) -> None:
    """Raise if SEISMIC is asked of an engine that does not have it.

    Raises:
        EngineError: it is asked for.
    """
    if schema.seismic is not None:
        raise EngineError(f"{engine.info().name} has no SEISMIC: push without --seismic")
