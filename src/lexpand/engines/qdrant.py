"""Qdrant: a collection of a server, or a shard of Qdrant Edge in a folder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode import Encoder
from lexpand.engines.engine import Engine, check_alias, check_created, check_exact
from lexpand.engines.qdrant_filters import METADATA, key_of, qdrant_filter
from lexpand.engines.qdrant_points import Point, Points, Refused
from lexpand.engines.ranking import document_matches
from lexpand.engines.records import Record, plain_metadata
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, RefusedRecord
from lexpand.errors import EngineError
from lexpand.index import Matches
from lexpand.index.filters import Filter, parse_field

_NAMESPACE = uuid.UUID("6b0bd1c4-6f1e-5c67-9a3c-0f3a7f2f1d55")
_CARD = str(uuid.uuid5(_NAMESPACE, "lexpand"))
"""The id of the point that records the model; it has no vector, so no search finds it."""

_RECORDS_ONLY = {"must_not": [{"has_id": [_CARD]}]}
_PAGE = 1000
_SEARCHES = 32  # of one request


class QdrantEngine(Engine):
    """Vectors and payloads in Qdrant, with float32 weights and exact search.

    The id of a point is a UUID (version 5) of the record's id, since Qdrant allows no other text.

    Args:
        points: the collection or the shard.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the vectors and of the keys of the payload in a collection that
            something else filled.
    """

    def __init__(
        self, points: Points, encoder: Encoder | None = None, fields: Fields | None = None
    ) -> None:
        super().__init__(encoder, fields)
        self._points = points
        self._own: bool | None = None

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        name, target = self._points.name, self._points.target
        if not self._points.exists():
            return EngineInfo(name, target, None, None)
        card = _card(self._points)
        return EngineInfo.of(name, target, self._points.count(_RECORDS_ONLY), card)

    def create(self, schema: EngineSchema) -> None:
        """See `Engine.create`."""
        check_created(self, self._points.exists())
        check_exact(self, schema)
        keys = {key_of(parse_field(name)): kind for name, kind in schema.columns.items()}
        self._points.create(schema.shards, keys, self.fields.vector)
        try:
            self._points.upsert([Point(_CARD, {}, {"lexpand": schema.card()})], self.fields.vector)
        except BaseException:
            self._points.drop()  # without its card, nobody could push to it
            raise
        self.forget()

    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """See `Engine.write`. A request that is too large or refused is split."""
        try:
            self._points.upsert([_point(record) for record in records], self.fields.vector)
        except Refused as error:
            if len(records) == 1:
                return [RefusedRecord(records[0].record_id, str(error))], 0
            middle = len(records) // 2
            parts = [self.write(part) for part in (records[:middle], records[middle:])]
            return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
        return [], 0

    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """See `Engine.digests`."""
        found = self._points.retrieve(
            list(map(_point_id, record_ids)), payload=["record_id", "digest"], vector=None
        )
        return {each.payload["record_id"]: each.payload.get("digest", "") for each in found}

    def record_ids(self) -> Iterator[str]:
        """See `Engine.record_ids`."""
        for each in self._points.scroll(["record_id"], _RECORDS_ONLY, _PAGE):
            yield str(each.payload.get("record_id", each.id))

    def rows(self) -> Iterator[dict[str, Any]]:
        """See `Engine.rows`."""
        self._is_own()
        for each in self._points.scroll(True, _RECORDS_ONLY, _PAGE):
            yield {"_id": each.id, **each.payload}

    def delete(self, record_ids: Sequence[str]) -> None:
        """See `Engine.delete`."""
        for first in range(0, len(record_ids), _PAGE):
            self._points.delete(list(map(_point_id, record_ids[first : first + _PAGE])))

    def refresh(self) -> None:
        """See `Engine.refresh`. Writes are visible at once; Qdrant Edge writes them to disk."""
        self._points.flush()

    def forget(self) -> None:
        """See `Engine.forget`."""
        super().forget()
        self._own = None

    def drop(self) -> None:
        """See `Engine.drop`."""
        self._points.drop()
        self.forget()

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""
        self._is_own()
        shown = self._points.aliased(name)
        real = self._points.aliased(self._points.target)
        cards = [] if shown is None else [_card(shown)]
        check_alias(name, self.info(), cards, None if real is None else real.target)
        return self._points.alias(name)

    def close(self) -> None:
        """See `Retriever.close`. One process at a time can open a shard of Qdrant Edge."""
        self._points.close()

    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_vectors`."""
        self._is_own()
        checked = self.checked_filter(filter)
        allowed = None if checked is None else qdrant_filter(checked)
        queries = self.query_weights(vectors)
        found: list[Matches] = []
        for first in range(0, len(queries), _SEARCHES):
            found += self._searches(queries[first : first + _SEARCHES], k, allowed)
        return found

    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """See `Engine.best_records`."""
        self._is_own()
        queries = self.query_weights(vectors)
        answers = [
            self._points.search([query], 1, None, self.fields.vector)[0] if query else []
            for query in queries
        ]
        ids = [_plain_id(hits[0].id) for hits in answers if hits]
        payloads = self._points.retrieve(ids, payload=["record_id"], vector=None)
        names = {each.id: str(each.payload.get("record_id", each.id)) for each in payloads}
        return [(names[hits[0].id], hits[0].score) if hits else None for hits in answers]

    def _stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """See `Engine._stored`."""
        found: dict[str, Record] = {}
        for first in range(0, len(record_ids), _PAGE):
            ids = self._point_ids(record_ids[first : first + _PAGE])
            for each in self._points.retrieve(ids, payload=True, vector=self.fields.vector):
                record = self._record(each)
                found[record.record_id] = record
        return found

    def _point_ids(self, record_ids: Sequence[str]) -> list[str | int]:
        """Return the ids of points; without a push, those of records, which are ids of Qdrant."""
        if self._is_own():
            return list(map(_point_id, record_ids))
        return list(map(_plain_id, filter(_is_qdrant_id, record_ids)))

    def _is_own(self) -> bool:
        """Return whether a push made the target. It is asked once.

        Raises:
            EngineError: there is no target.
        """
        if self._own is None:
            info = self.info()
            if info.records is None:
                raise EngineError(f"{info.name} has no {info.target}: push to it first")
            self._own = info.model is not None
        return self._own

    def _record(self, point: Point) -> Record:
        payload, fields = point.payload, self.fields
        terms = sorted(point.vector)
        record_id = str(payload.get("record_id", point.id))
        return Record(
            record_id,
            str(payload.get("doc_id", record_id)) if self._is_own() else record_id,
            payload.get("passage", 0),
            str(payload.get(fields.title) or ""),
            str(payload.get(fields.text) or ""),
            json.loads(json.dumps(payload.get(METADATA, {}))),
            np.array(terms, np.uint32),
            np.array([point.vector[term] for term in terms], np.float32),
        )

    def _searches(
        self, queries: Sequence[Mapping[int, float]], k: int, allowed: Mapping[str, Any] | None
    ) -> list[Matches]:
        def search(
            asked: Sequence[Mapping[int, float]], limit: int
        ) -> list[list[tuple[str, float]]]:
            answers = self._points.search(asked, limit, allowed, self.fields.vector)
            own = self._is_own()
            return [
                [(str(each.payload["doc_id"]) if own else each.id, each.score) for each in hits]
                for hits in answers
            ]

        return document_matches(search, queries, k)


def _card(points: Points) -> dict[str, Any]:
    """Return what a collection records of itself; empty if something else made it."""
    found = points.retrieve([_CARD], payload=True, vector=None)
    return dict(found[0].payload.get("lexpand", {})) if found else {}


def _point_id(record_id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"record {record_id}"))


def _point(record: Record) -> Point:
    payload = {
        "record_id": record.record_id,
        "doc_id": record.doc_id,
        "passage": record.passage,
        "digest": record.digest(),
        "title": record.title,
        "text": record.text,
        METADATA: plain_metadata(record.metadata),
    }
    return Point(_point_id(record.record_id), record.weight_by_term(), payload)


def _plain_id(text: str) -> str | int:
    """Return an id of Qdrant as it is: an integer or a UUID."""
    return int(text) if text.isascii() and text.isdecimal() else text


def _is_qdrant_id(text: str) -> bool:
    """Return whether a text is an integer or a UUID."""
    if text.isascii() and text.isdecimal():
        return True
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
