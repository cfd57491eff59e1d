"""The protocol of engines: a retriever over another search engine that can also be filled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lexpand.data import Document, ModelId, SparseVectors
from lexpand.encode import Encoder, QueryMode
from lexpand.engines.folding import Folding
from lexpand.engines.ranking import matches_of
from lexpand.engines.records import Record, passage_ids, record_id_of
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, RefusedRecord
from lexpand.errors import ContractMismatch, DataError, EngineError
from lexpand.index import Matches
from lexpand.index.columns import ColumnType, check_filter
from lexpand.index.filters import Expression, Filter, parse_filter
from lexpand.search import Retriever
from lexpand.search.retriever import check_queries, check_ranking


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
        self._known_target: EngineInfo | None = None

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

    def forget(self) -> None:
        """Ask what the target is at the next use, because it may be another one now."""
        self._known_target = None

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

    def search_fused(
        self, queries: Sequence[str], k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """Return the best ``k`` documents of each query by the engine's own fusion.

        It fuses the vectors with the words, and is not the pipeline ``hybrid`` of an index.

        Raises:
            DataError: there is no encoder.
            EngineError: the engine has no fusion, or the target has no words.
        """
        raise EngineError(
            f"{self.info().name} has no fusion of its own that Lexpand can use: choose another"
            " pipeline"
        )

    @abstractmethod
    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """Return the id and the score of the best record of each query; None without a hit."""

    def stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """Return records as the engine has them, without those that do not exist.

        Weights are those of the model: folded query weights are divided out.

        Raises:
            DataError: the target has folded query weights, and there is no table of them.
        """
        found = self._stored(record_ids)
        folding = self.folding()
        return (
            found if folding is None else {id: folding.unfold(each) for id, each in found.items()}
        )

    @abstractmethod
    def _stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """Return records as the engine has them, with the weights that it has."""

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
            EngineError: the engine has no aliases, the target does not exist, the name is that of a
                target, or see `check_alias`.
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
        columns = {name: ColumnType(kind) for name, kind in self._target().columns.items()}
        check_filter(columns, expression)
        return expression

    def query_weights(self, vectors: SparseVectors) -> list[dict[int, float]]:
        """Return the weights of queries for the target, by term, without those of 0.

        Raises:
            DataError: the target has folded query weights, and there is no table of them, or a
                query has a term that the table does not have.
        """
        weights = positive(vectors)
        folding = self.folding()
        return weights if folding is None else [folding.query(each) for each in weights]

    def _target(self) -> EngineInfo:
        """Return what the target is. An existing one is asked once; see `forget`."""
        if self._known_target is not None:
            return self._known_target
        info = self.info()
        if info.records is not None:
            self._known_target = info
        return info

    def folding(self) -> Folding | None:
        """Return the query weights that the target's weights are multiplied by; None for none.

        Raises:
            DataError: there are such weights, and no encoder with a table of them.
        """
        if not self._target().folded:
            return None
        if self.encoder is None:
            raise DataError(f"{self.target} has folded query weights: give the model")
        return Folding.of(self.encoder)

    def check_model(self, model: ModelId) -> None:
        """Check that the target has vectors of this model.

        Raises:
            ContractMismatch: it has vectors of another model.
        """
        found = self.info().model
        if found is not None and found != model and found.hash != model.hash:
            raise ContractMismatch(
                f"{self.target} holds vectors of {found.label}, not of {model.label}: give its"
                " model with --model, or push to another target"
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
        if not queries or not k:
            self._queries_encoder()
            return [_nothing() for _ in queries]
        return self.search_vectors(self.encoded_queries(queries), k, filter=filter)

    def encoded_queries(self, queries: Sequence[str]) -> SparseVectors:
        """Return the vectors of queries, which are looked up if query weights are folded.

        Raises:
            DataError: there is no encoder.
        """
        encoder = self._queries_encoder()
        mode = QueryMode.LOOKUP if self._target().folded else None
        return encoder.encode_queries(queries, mode=mode)

    def _queries_encoder(self) -> Encoder:
        if self.encoder is None:
            raise DataError("the engine needs an encoder for queries in words: give the model")
        return self.encoder

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


def check_alias(
    alias: str, info: EngineInfo, cards: Iterable[Mapping[str, Any]], real: str | None = None
) -> None:
    """Raise if an alias must not point to a target.

    It must not move between targets with and without folded query weights: searches that run have
    asked once which of both it is. They would go on with the query weights of the other, so that
    these count twice or not at all.

    Args:
        alias: the alias.
        info: the new target.
        cards: what the targets record of themselves that the alias points to; see `EngineInfo.of`.
        real: what the target is another name of; None for a target itself.

    Raises:
        EngineError: it would move so, no push made the target, or the target is an alias itself.
    """
    if real is not None:
        raise EngineError(f"{info.target} is an alias of {real}: name that instead")
    if info.model is None:
        raise EngineError(
            f"{info.target} on {info.name} must be made by a push before an alias points to it, and"
            " something else made it"
        )
    if any(bool(card.get("folded", False)) != info.folded for card in cards):
        had, has = ("no folded", "folded") if info.folded else ("folded", "no folded")
        raise EngineError(
            f"{alias} points to a target with {had} query weights and {info.target} has {has} ones,"
            " so searches that run would score wrongly: choose another alias, and let them use it"
        )
