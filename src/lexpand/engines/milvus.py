"""Milvus: a collection of a server, or of a folder of Milvus Lite.

Milvus Lite is the emulator of Milvus by its makers. No server ran here: requests to one follow the
documentation of Milvus 2.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode import Encoder
from lexpand.engines.connection import Credentials
from lexpand.engines.engine import Engine, check_alias, check_created, check_exact
from lexpand.engines.milvus_client import NAME, MilvusAddress, Refused, milvus_module
from lexpand.engines.milvus_collection import MilvusCollection
from lexpand.engines.milvus_filters import METADATA, milvus_filter
from lexpand.engines.milvus_schema import (
    KEY,
    WORDS_VECTOR,
    index_params,
    row_of,
    schema_of,
    weights_of,
)
from lexpand.engines.ranking import document_matches
from lexpand.engines.records import Record
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, RefusedRecord
from lexpand.errors import DataError, EngineError
from lexpand.index import Matches
from lexpand.index.filters import Filter

_CARD = "lexpand"
"""The property of a collection that records the model."""

_MOST = 16_384
"""The most hits of a query (milvus.io, *Milvus Limits*)."""

_FUSED = 500  # hits of each ranking that are fused, as many as an index fuses
_OWN = ["doc_id", "passage", "title", "text", METADATA]
_Both = dict[str, Mapping[int, float] | str]  # the vector and the words of a query, by field
_INT64, _FIRST_VECTOR = 5, 100  # of Milvus's DataType


class MilvusEngine(Engine):
    """Vectors, texts and BM25 in Milvus, with float32 weights and exact search.

    Args:
        address: the collection.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the fields of a collection that something else filled.
        credentials: who asks; None for nobody.
        ca: a file of the certificates that are trusted instead of those of the system.
    """

    def __init__(
        self,
        address: MilvusAddress,
        encoder: Encoder | None = None,
        fields: Fields | None = None,
        *,
        credentials: Credentials | None = None,
        ca: Path | None = None,
    ) -> None:
        super().__init__(encoder, fields)
        self._collection = MilvusCollection(address, credentials or Credentials(), ca)
        self._known: Mapping[str, Any] | None = None

    @cached_property
    def _engine_name(self) -> str:
        kind = "milvus-lite" if self._collection.is_lite else "milvus"
        return f"{kind} {self._collection.version()}"

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        name, target = self._engine_name, self._collection.name
        found = self._collection.described()
        if found is None:
            return EngineInfo(name, target, None, None)
        return EngineInfo.of(name, target, self._collection.count(), _card(found))

    def create(self, schema: EngineSchema) -> None:
        """See `Engine.create`."""
        check_created(self, self.info().records is not None)
        check_exact(self, schema)
        if self._collection.is_lite and schema.shards != 1:
            raise DataError(f"Milvus Lite has one shard, got {schema.shards}")
        milvus = milvus_module()
        self._collection.create(
            schema_of(milvus, self.fields.vector, schema.analyzer),
            index_params(milvus, self.fields.vector),
            schema.shards,
            {_CARD: json.dumps(schema.card())},
        )
        self.forget()

    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """See `Engine.write`. A request that is refused, or too large for gRPC, is split."""
        try:
            self._collection.upsert([row_of(record, self.fields.vector) for record in records])
        except Refused as error:
            if len(records) == 1:
                return [RefusedRecord(records[0].record_id, str(error))], 0
            middle = len(records) // 2
            parts = [self.write(part) for part in (records[:middle], records[middle:])]
            return parts[0][0] + parts[1][0], 0
        return [], 0

    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """See `Engine.digests`."""
        rows = self._collection.get(KEY, record_ids, [KEY, "digest"])
        return {row[KEY]: row["digest"] for row in rows}

    def record_ids(self) -> Iterator[str]:
        """See `Engine.record_ids`."""
        key = self._key
        yield from (str(row[key]) for row in self._collection.all(key, [key]))

    def rows(self) -> Iterator[dict[str, Any]]:
        """See `Engine.rows`."""
        plain, key = self._plain_fields(), self._key
        vectors = {each["name"] for each in self._fields()} - set(plain)
        names = [KEY, *_OWN] if self._is_own() else ["*"] if self._has_others() else plain
        for row in self._collection.all(key, names):
            kept = {name: value for name, value in row.items() if name not in vectors}
            yield {"_id": str(row[key]), **kept}

    def delete(self, record_ids: Sequence[str]) -> None:
        """See `Engine.delete`."""
        self._collection.delete(self._key, self._key_values(record_ids))

    def refresh(self) -> None:
        """See `Engine.refresh`. Searches are strongly consistent, so they see what was written."""

    def forget(self) -> None:
        """See `Engine.forget`."""
        super().forget()
        self._known = None

    def drop(self) -> None:
        """See `Engine.drop`."""
        self._collection.drop()
        self.forget()

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`.

        Raises:
            DataError: Milvus refuses the name.
        """
        self._described()
        if not NAME.fullmatch(name):
            raise DataError(
                "an alias of Milvus must be letters, digits and underscores, and begin with no"
                f" digit, got {name!r}"
            )
        real = self._collection.pointed(self._collection.name)
        shown = self._collection.pointed(name)
        cards = [] if shown is None else [_card(shown)]
        points = None if real is None else str(real.get("collection_name"))
        check_alias(name, self.info(), cards, points)
        return self._collection.alias(name)

    def close(self) -> None:
        """See `Retriever.close`. One process at a time can open a folder of Milvus Lite."""
        self._collection.close()

    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_vectors`."""
        return self._ranked(self.query_weights(vectors), self.fields.vector, k, filter)

    def search_words(
        self, queries: Sequence[str], k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_words`: over titles and texts together."""
        self._check_words()
        return self._ranked([query.strip() for query in queries], WORDS_VECTOR, k, filter)

    def search_fused(
        self, queries: Sequence[str], k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_fused`: the reciprocal ranks of ``hybrid_search``."""
        self._check_words()
        allowed = self._allowed(filter)
        vectors = self.query_weights(self.encoded_queries(queries))
        asked: list[_Both] = []
        for query, vector in zip(queries, vectors, strict=True):
            both: _Both = {self.fields.vector: vector, WORDS_VECTOR: query.strip()}
            asked.append({field: data for field, data in both.items() if data})

        def search(several: Sequence[_Both], limit: int) -> list[list[tuple[str, float]]]:
            depth = min(_MOST, max(limit, _FUSED))
            answers = (
                self._collection.fuse(each, depth, limit, allowed, ["doc_id"]) for each in several
            )
            return [self._scored(hits) for hits in answers]

        return document_matches(search, asked, k, _MOST)

    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """See `Engine.best_records`."""
        key = self._key
        found: list[tuple[str, float] | None] = []
        for vector in self.query_weights(vectors):
            hits: list[dict[str, Any]] = []
            if vector:
                (hits,) = self._collection.search([vector], self.fields.vector, 1, "", [])
            found.append((str(hits[0][key]), hits[0]["distance"]) if hits else None)
        return found

    def _stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """See `Engine._stored`."""
        own, key, fields = self._is_own(), self._key, self.fields
        names = _OWN
        if not own:
            there = self._plain_fields()
            names = [
                each for each in (fields.title, fields.text) if each in there or self._has_others()
            ]
        found: dict[str, Record] = {}
        for row in self._collection.get(
            key, self._key_values(record_ids), [key, *names, fields.vector]
        ):
            weights = weights_of(row.get(fields.vector) or {})
            record_id = str(row[key])
            found[record_id] = Record(
                record_id,
                row["doc_id"] if own else record_id,
                row["passage"] if own else 0,
                str(row.get(fields.title) or ""),
                str(row.get(fields.text) or ""),
                row[METADATA] if own else {},
                np.array(sorted(weights), np.uint32),
                np.array([weights[term] for term in sorted(weights)], np.float32),
            )
        return found

    def _ranked(
        self,
        queries: Sequence[Mapping[int, float]] | Sequence[str],
        field: str,
        k: int,
        filter: Filter | None,
    ) -> list[Matches]:
        allowed = self._allowed(filter)
        names = ["doc_id"] if self._is_own() else []

        def search(asked: Sequence[Any], limit: int) -> list[list[tuple[str, float]]]:
            answers = self._collection.search(asked, field, limit, allowed, names)
            return [self._scored(hits) for hits in answers]

        return document_matches(search, queries, k, _MOST)

    def _scored(self, hits: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
        """Return the documents of hits, with their scores.

        Milvus Lite 3.2 gives scores of BM25 with a minus; no other score is negative.
        """
        own, key = self._is_own(), self._key
        return [
            (str(hit["entity"]["doc_id"] if own else hit[key]), abs(float(hit["distance"])))
            for hit in hits
        ]

    def _described(self) -> Mapping[str, Any]:
        """Return the description of the collection. It is asked once.

        Raises:
            EngineError: there is no collection.
        """
        if self._known is None:
            self._known = self._collection.described()
        if self._known is None:
            raise EngineError(
                f"{self._engine_name} has no {self._collection.name}: push to it first"
            )
        return self._known

    def _is_own(self) -> bool:
        """Return whether a push made the collection."""
        return _CARD in self._described().get("properties", {})

    def _has_others(self) -> bool:
        """Return whether rows may have fields that the schema does not name."""
        return bool(self._described().get("enable_dynamic_field"))

    def _fields(self) -> list[Mapping[str, Any]]:
        return list(self._described()["fields"])

    def _plain_fields(self) -> list[str]:
        """Return the names of the fields that are no vectors."""
        return [each["name"] for each in self._fields() if int(each["type"]) < _FIRST_VECTOR]

    def _key_field(self) -> Mapping[str, Any]:
        return next(each for each in self._fields() if each.get("is_primary"))

    @property
    def _key(self) -> str:
        """The name of the primary key."""
        return str(self._key_field()["name"])

    def _key_values(self, record_ids: Sequence[str]) -> Sequence[str | int]:
        """Return values of the primary key, without ids that no row can have."""
        if int(self._key_field()["type"]) != _INT64:
            return record_ids
        return [number for each in record_ids if (number := _integer(each)) is not None]

    def _check_words(self) -> None:
        if not self._is_own():
            raise EngineError(
                f"{self._collection.name} must be made by a push to be searched by words, and"
                " something else made it"
            )

    def _allowed(self, filter: Filter | None) -> str:
        checked = self.checked_filter(filter)
        return "" if checked is None else milvus_filter(checked)


def _card(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a collection records of itself; empty if something else made it."""
    return dict(json.loads(described.get("properties", {}).get(_CARD, "{}")))


def _integer(text: str) -> int | None:
    """Return the integer of 64 bits that has this text; None if there is none."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and -(2**63) <= number < 2**63 else None
