"""Elasticsearch and OpenSearch: one engine, two dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from lexpand.data import SparseVectors, Vocabulary
from lexpand.encode import Encoder
from lexpand.engines.connection import Connection, escaped
from lexpand.engines.engine import Engine, check_alias, check_created
from lexpand.engines.filters import METADATA, column_properties, filter_query
from lexpand.engines.lucene_dialects import ELASTICSEARCH, OPENSEARCH, identified
from lexpand.engines.neural_search import SEISMIC_VERSION, seismic_mapping, seismic_query
from lexpand.engines.ranking import matches_of
from lexpand.engines.records import Record, plain_metadata
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, RefusedRecord
from lexpand.errors import ContractMismatch, DataError, EngineError
from lexpand.index import Matches
from lexpand.index.filters import Filter

WORDS = "words"
"""The field of the words of BM25, those of title and text."""

_TYPES = {"integer": "long", "number": "double", "boolean": "boolean", "keyword": "keyword"}
_PAGE = 1000
_SEARCHES = 32  # of one request
_BUSY_ITEM = (429, 502, 503, 504)
_MOST = 10_000  # hits of a search
_TOO_LARGE = 413
_NO_INDEX = "index_not_found_exception"
_PRUNING_QUERIES = 5
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an index is laid out.

    Attributes:
        own: whether a push made it.
        columns: the types of declared metadata fields.
        tokens: whether terms are named by tokens instead of ids.
        seismic: whether vectors are searched by SEISMIC of OpenSearch.
    """

    own: bool
    columns: Mapping[str, str]
    tokens: bool
    seismic: bool


class LuceneEngine(Engine):
    """An index of Elasticsearch (``sparse_vector``) or OpenSearch (``rank_features``).

    Both store weights with 9 significant bits (Lucene's FeatureField). The terms of an index that
    something else filled may be named by tokens, which the vocabulary of the encoder translates.

    Args:
        connection: the cluster.
        index: the name of its index.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the fields of an index that something else filled.

    Raises:
        EngineError: the cluster cannot be reached, is neither of the two, or is too old.
    """

    def __init__(
        self,
        connection: Connection,
        index: str,
        encoder: Encoder | None = None,
        fields: Fields | None = None,
    ) -> None:
        super().__init__(encoder, fields)
        self._connection = connection
        self._index = index
        self.dialect, self.version = identified(connection)
        self.precision = self.dialect.precision
        self._layout: _Layout | None = None

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        name = f"{self.dialect.name} {'.'.join(map(str, self.version))}"
        found = self._connection.request("GET", f"/{self._path}/_mapping", missing=True)
        if not found:
            return EngineInfo(name, self._index, None, None)
        metas = list(map(_card, found.values()))
        if len({meta.get("contract_hash") for meta in metas}) > 1:
            models = sorted({str(meta.get("model", "an unknown model")) for meta in metas})
            raise ContractMismatch(
                f"{self._index} is an alias of {', '.join(sorted(found))}, whose vectors are of"
                f" different models ({', '.join(models)}): let it point to one of them"
            )
        count = self._connection.request("GET", f"/{self._path}/_count")["count"]
        return EngineInfo.of(name, self._index, count, metas[0])

    def create(self, schema: EngineSchema) -> None:
        """See `Engine.create`."""
        check_created(self, self.info().records is not None)
        properties = {
            "doc_id": {"type": "keyword"},
            "passage": {"type": "integer"},
            "digest": {"type": "keyword", "index": False, "doc_values": False},
            "title": {"type": "text", "analyzer": schema.analyzer, "copy_to": WORDS},
            "text": {"type": "text", "analyzer": schema.analyzer, "copy_to": WORDS},
            WORDS: {"type": "text", "analyzer": schema.analyzer},
            METADATA: {
                "dynamic": False,
                "properties": column_properties(schema.columns, _TYPES),
            },
            self.fields.vector: self._vector_mapping(schema),
        }
        mappings = {"dynamic": False, "_meta": {"lexpand": schema.card()}, "properties": properties}
        settings: dict[str, Any] = {"number_of_shards": schema.shards}
        if schema.seismic is not None:
            settings["index"] = {"sparse": True}
        try:
            self._connection.request(
                "PUT", f"/{self._path}", {"settings": settings, "mappings": mappings}
            )
        except EngineError as error:
            if schema.seismic is None:
                raise
            raise EngineError(
                f"{error}. SEISMIC needs the plugin neural-search: install it, or push without"
                " --seismic"
            ) from None
        self.forget()

    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """See `Engine.write`. A request that is too large is split."""
        waiting = {record.record_id: self._source_of(record) for record in records}
        refused: list[RefusedRecord] = []
        retries = 0
        busy: Mapping[str, str] = {}
        for attempt in range(self._connection.attempts):
            busy, bad = self._bulk(waiting)
            refused += bad
            waiting = {record_id: waiting[record_id] for record_id in busy}
            if not waiting:
                return refused, retries
            retries += 1
            self._connection.wait(attempt)
        said = [
            RefusedRecord(
                record_id,
                f"the engine was busy for too long ({busy[record_id]}): push again later",
                busy=True,
            )
            for record_id in waiting
        ]
        return [*refused, *said], retries

    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """See `Engine.digests`."""
        if not record_ids:
            return {}
        found = self._connection.request(
            "POST",
            f"/{self._path}/_mget?_source_includes=digest",
            {"ids": list(record_ids)},
        )
        return {
            each["_id"]: each["_source"].get("digest", "")
            for each in found["docs"]
            if each.get("found")
        }

    def record_ids(self) -> Iterator[str]:
        """See `Engine.record_ids`."""
        yield from (hit["_id"] for hit in self._scrolled(False))

    def rows(self) -> Iterator[dict[str, Any]]:
        """See `Engine.rows`."""
        for hit in self._scrolled({"excludes": [self.fields.vector]}):
            yield {"_id": hit["_id"], **hit["_source"]}

    def _scrolled(self, source: object) -> Iterator[dict[str, Any]]:
        """Yield all hits by the scroll interface, which needs no field to sort by.

        Only the first request is repeated: a repeated one would skip a page.

        Raises:
            EngineError: a page was lost.
        """
        body = {"size": _PAGE, "_source": source, "sort": ["_doc"], "track_total_hits": True}
        path = f"/{self._path}/_search?scroll=5m"
        answer = self._connection.request("POST", path, body)
        total = answer.get("hits", {}).get("total", {}).get("value")
        yielded = 0
        try:
            while True:
                _check_search(answer, self._index)
                hits = answer["hits"]["hits"]
                if not hits:
                    break
                yield from hits
                yielded += len(hits)
                place = {"scroll": "5m", "scroll_id": answer["_scroll_id"]}
                answer = self._connection.request("POST", "/_search/scroll", place, once=True)
            if yielded != total:
                raise EngineError(
                    f"{self._index} gave {yielded:,} of its {total:,} records: run it again"
                )
        finally:
            place = {"scroll_id": answer["_scroll_id"]}
            self._connection.request("DELETE", "/_search/scroll", place, missing=True)

    def delete(self, record_ids: Sequence[str]) -> None:
        """See `Engine.delete`."""
        for first in range(0, len(record_ids), _PAGE):
            waiting = list(record_ids[first : first + _PAGE])
            for attempt in range(self._connection.attempts):
                waiting = self._delete(waiting, attempt + 1 == self._connection.attempts)
                if not waiting:
                    break
                self._connection.wait(attempt)

    def _delete(self, record_ids: Sequence[str], last: bool) -> list[str]:
        """Delete records, and return those that the engine was too busy for."""
        lines = [json.dumps({"delete": {"_id": each}}) for each in record_ids]
        answer = self._connection.request("POST", f"/{self._path}/_bulk", _lines(lines))
        busy = []
        for item in answer["items"]:
            done = item["delete"]
            if done["status"] in _BUSY_ITEM and not last:
                busy.append(done["_id"])
            elif done["status"] not in (200, 404):
                raise EngineError(
                    f"{self._index}: deleting {done['_id']!r} failed: {_reason(done.get('error'))}:"
                    " push again later"
                )
        return busy

    def refresh(self) -> None:
        """See `Engine.refresh`."""
        self._connection.request("POST", f"/{self._path}/_refresh")

    def forget(self) -> None:
        """See `Engine.forget`."""
        super().forget()
        self._layout = None

    def drop(self) -> None:
        """See `Engine.drop`."""
        self._connection.request("DELETE", f"/{self._path}", missing=True)
        self.forget()

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""
        info = self.info()
        _check_exists(info)
        found = self._connection.request("GET", f"/_alias/{escaped(name)}", missing=True) or {}
        before = sorted(found)
        if not found and self._connection.request("GET", f"/{escaped(name)}", missing=True):
            raise EngineError(f"{name} is an index, so it cannot be an alias: choose another name")
        shown = self._connection.request("GET", f"/{escaped(name)}/_mapping") if found else {}
        own = self._connection.request("GET", f"/{self._path}/_mapping")
        real = None if self._index in own else ", ".join(sorted(own))
        check_alias(name, info, map(_card, shown.values()), real)
        actions: list[dict[str, Any]] = [
            {"remove": {"index": each, "alias": name}} for each in before
        ]
        actions.append({"add": {"index": self._index, "alias": name}})
        self._connection.request("POST", "/_aliases", {"actions": actions})
        return ", ".join(before) or None

    def close(self) -> None:
        """See `Retriever.close`."""
        self._connection.close()

    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_vectors`."""
        return self._searches(
            [self._body(each, k, filter) for each in self.query_weights(vectors)], k
        )

    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """See `Engine.best_records`."""
        found: list[tuple[str, float] | None] = []
        for vector in self.query_weights(vectors):
            body = {**self._body(vector, 1, None), "_source": False}
            hits = self._search(body)["hits"]["hits"]
            found.append((hits[0]["_id"], hits[0]["_score"]) if hits else None)
        return found

    def search_words(
        self, queries: Sequence[str], k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_words`: over titles and texts together."""
        # That nobody pushed it is said before what else a layout misses.
        known = self._layout is not None or self._is_own(self.info())
        if not known or not self._laid_out().own:
            raise EngineError(
                f"{self._index} must be made by a push to be searched by words, and something else"
                " made it"
            )
        return self._searches(
            [self._asking({"match": {WORDS: query}}, k, filter) for query in queries], k
        )

    def _stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """See `Engine._stored`."""
        found: dict[str, Record] = {}
        for first in range(0, len(record_ids), _PAGE):
            ids = list(record_ids[first : first + _PAGE])
            body = {
                "size": len(ids),
                "query": {"ids": {"values": ids}},
                "_source": self.dialect.source(self.version),
            }
            for hit in self._search(body)["hits"]["hits"]:
                found[hit["_id"]] = self._record_of(hit)
        return found

    def pruning_note(self, vectors: SparseVectors) -> str | None:
        """See `Engine.pruning_note`: Elasticsearch prunes unless the mapping or the query says not.

        Queries are sent with ``prune: false``, and without it.
        """
        if self.dialect is not ELASTICSEARCH:
            return None
        for vector in self.query_weights(vectors)[:_PRUNING_QUERIES]:
            stated = self._body(vector, _PAGE, None)
            unstated = json.loads(json.dumps(stated))
            unstated["query"].get("sparse_vector", {}).pop("prune", None)
            hits = [
                [(hit["_id"], hit["_score"]) for hit in self._search(body)["hits"]["hits"]]
                for body in (stated, unstated)
            ]
            if hits[0] != hits[1]:
                return (
                    "a query that does not say prune: false gets other hits"
                    f" ({len(hits[1]):,} instead of {len(hits[0]):,}): always send it"
                )
        return None

    @property
    def _path(self) -> str:
        return escaped(self._index)

    def _body(self, vector: Mapping[int, float], k: int, filter: Filter | None) -> dict[str, Any]:
        named = {self._name(term): weight for term, weight in vector.items()}
        query: dict[str, Any] = {"match_none": {}}
        if named and self._laid_out().seismic:
            query = seismic_query(self.fields.vector, named, k)
        elif named:
            query = self.dialect.query(self.fields.vector, named)
        return self._asking(query, k, filter)

    def _asking(self, query: dict[str, Any], k: int, filter: Filter | None) -> dict[str, Any]:
        """Return the body of a search.

        Raises:
            DataError: there are more hits than a search can have.
        """
        if k > _MOST:
            raise DataError(
                f"{self.dialect.name} gives at most {_MOST:,} documents of a search, got k = {k:,}:"
                " ask for fewer"
            )
        laid_out = self._laid_out()
        checked = self.checked_filter(filter)
        if checked is not None:
            allowed = filter_query(checked, laid_out.columns)
            query = {"bool": {"must": [query], "filter": [allowed]}}
        return {
            "size": k,
            "query": query,
            "_source": ["doc_id"],
            **({"collapse": {"field": "doc_id"}} if laid_out.own else {}),
            "track_total_hits": False,
        }

    def _vector_mapping(self, schema: EngineSchema) -> dict[str, Any]:
        if schema.seismic is None:
            return self.dialect.mapping(self.version)
        if self.dialect is not OPENSEARCH or self.version < SEISMIC_VERSION:
            raise EngineError(
                f"SEISMIC needs OpenSearch {SEISMIC_VERSION[0]}.{SEISMIC_VERSION[1]} or later, got"
                f" {self.info().name}: push without --seismic"
            )
        return seismic_mapping(schema.seismic, schema.vocabulary_size, self.version)

    def _laid_out(self) -> _Layout:
        if self._layout is None:
            info = self.info()
            own = self._is_own(info)
            asks = not own or self.dialect is OPENSEARCH
            types = self._types_of_vectors() if asks else []
            if not own and not types:
                raise EngineError(
                    f"{info.target} on {info.name} has no field {self.fields.vector} of vectors:"
                    " name the field, or push to another target"
                )
            tokens = not own and self._has_tokens()
            is_seismic = self.dialect is OPENSEARCH and "sparse_vector" in types
            self._layout = _Layout(own, info.columns, tokens, is_seismic)
        return self._layout

    @staticmethod
    def _is_own(info: EngineInfo) -> bool:
        """Return whether a push made the target, or will: it is not there yet."""
        return info.model is not None or info.records is None

    def _types_of_vectors(self) -> list[str]:
        """Return the types of the field of vectors in the mappings of the target."""
        path = f"/{self._path}/_mapping/field/{escaped(self.fields.vector)}"
        found = self._connection.request("GET", path, missing=True) or {}
        return [
            str(leaf.get("type"))
            for index in found.values()
            for each in index.get("mappings", {}).values()
            for leaf in each.get("mapping", {}).values()
        ]

    def _has_tokens(self) -> bool:
        """Return whether the terms of an index are named by tokens, by a sample."""
        found = self._connection.request(
            "POST",
            f"/{self._path}/_search",
            {"size": _SAMPLE, "_source": self.dialect.source(self.version)},
            missing=True,
        )
        hits = found["hits"]["hits"] if found else []
        names = (name for hit in hits for name in _at(hit["_source"], self.fields.vector) or {})
        return not all(name.isdigit() for name in names)

    def _name(self, term: int) -> str:
        """Return the name of a term in the index."""
        return self._vocabulary().term(term) if self._laid_out().tokens else str(term)

    def _vocabulary(self) -> Vocabulary:
        if self.encoder is None:
            raise DataError(f"{self._index} names terms by tokens: give the model")
        return self.encoder.space.vocabulary

    def _source_of(self, record: Record) -> bytes:
        source = {
            "doc_id": record.doc_id,
            "passage": record.passage,
            "digest": record.digest(),
            "title": record.title,
            "text": record.text,
            METADATA: plain_metadata(record.metadata),
            self.fields.vector: record.vector(),
        }
        return json.dumps(source, ensure_ascii=False).encode()

    def _record_of(self, hit: Mapping[str, Any]) -> Record:
        source, fields = hit["_source"], self.fields
        weights = self._by_term(_at(source, fields.vector) or {})
        terms = sorted(weights)
        return Record(
            hit["_id"],
            source["doc_id"] if self._laid_out().own else hit["_id"],
            source.get("passage", 0),
            str(_at(source, fields.title) or ""),
            str(_at(source, fields.text) or ""),
            source.get(METADATA, {}),
            np.array(terms, np.uint32),
            np.array([weights[term] for term in terms], np.float32),
        )

    def _by_term(self, named: Mapping[str, float]) -> dict[int, float]:
        """Return weights by term id; a name that no term has gets an id beyond the vocabulary."""
        if not self._laid_out().tokens and all(name.isdigit() for name in named):
            return {int(name): weight for name, weight in named.items()}
        vocabulary = self._vocabulary()
        unknown = count(len(vocabulary))
        ids = ((vocabulary.id(name), weight) for name, weight in named.items())
        return {next(unknown) if term is None else term: weight for term, weight in ids}

    def _searches(self, bodies: Sequence[Mapping[str, Any]], k: int) -> list[Matches]:
        return [
            each
            for first in range(0, len(bodies), _SEARCHES)
            for each in self._searched(bodies[first : first + _SEARCHES], k)
        ]

    def _searched(self, bodies: Sequence[Mapping[str, Any]], k: int) -> list[Matches]:
        lines = [line for body in bodies for line in ("{}", json.dumps(body))]
        answer = self._connection.request("POST", f"/{self._path}/_msearch", _lines(lines))
        own = self._laid_out().own
        found = []
        for each in answer["responses"]:
            _check_search(each, self._index)
            hits = (
                (hit["_source"]["doc_id"] if own else hit["_id"], hit["_score"])
                for hit in each["hits"]["hits"]
            )
            found.append(matches_of(hits, k))
        return found

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        path = f"/{self._path}/_search"
        answer = self._connection.request("POST", path, body, missing=True)
        if answer is None:
            raise EngineError(f"{self.dialect.name} has no {self._index}: push to it first")
        _check_search(answer, self._index)
        return dict(answer)

    def _bulk(self, sources: Mapping[str, bytes]) -> tuple[dict[str, str], list[RefusedRecord]]:
        """Write records.

        Returns:
            What the engine said for the ids that it was too busy for, and those it refused.
        """
        if not sources:
            return {}, []
        content = b"".join(
            json.dumps({"index": {"_id": record_id}}).encode() + b"\n" + source + b"\n"
            for record_id, source in sources.items()
        )
        try:
            answer = self._connection.request("POST", f"/{self._path}/_bulk", content)
        except EngineError as error:
            if f"failed with {_TOO_LARGE}" not in str(error) or len(sources) == 1:
                raise
            ids = list(sources)
            halves = [ids[: len(ids) // 2], ids[len(ids) // 2 :]]
            parts = [self._bulk({each: sources[each] for each in half}) for half in halves]
            return parts[0][0] | parts[1][0], parts[0][1] + parts[1][1]
        busy: dict[str, str] = {}
        refused: list[RefusedRecord] = []
        for item in answer["items"]:
            done = item["index"]
            if done["status"] in _BUSY_ITEM:
                busy[done["_id"]] = _reason(done.get("error"))
            elif done["status"] >= 300:
                refused.append(RefusedRecord(done["_id"], _reason(done.get("error"))))
        return busy, refused


def _card(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an index records of itself; empty if something else made it."""
    return dict(described["mappings"].get("_meta", {}).get("lexpand", {}))


def _check_exists(info: EngineInfo) -> None:
    if info.records is None:
        raise EngineError(f"{info.name} has no {info.target}: push to it first")


def _at(source: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the value of a field, such as ``ml.tokens``; None if there is none."""
    if path in source:
        return source[path]
    first, dot, rest = path.partition(".")
    inner = source.get(first)
    return _at(inner, rest) if dot and isinstance(inner, Mapping) else None


def _check_search(answer: Mapping[str, Any], index: str) -> None:
    """Raise if a search failed, or if a shard did not answer, which would lose documents."""
    if "error" in answer:
        if isinstance(answer["error"], Mapping) and answer["error"].get("type") == _NO_INDEX:
            raise EngineError(f"there is no {index}: push to it first")
        raise EngineError(f"{index}: the search failed: {_reason(answer['error'])}")
    failed = answer.get("_shards", {}).get("failed", 0)
    if failed:
        reasons = [
            f"shard {each.get('shard')} on node {each.get('node')}: {_reason(each.get('reason'))}"
            for each in answer["_shards"].get("failures", [])
        ]
        raise EngineError(
            f"{index}: {failed} of {answer['_shards']['total']} shards did not answer:"
            f" {'; '.join(reasons) or 'no reason given'}"
        )
    if answer.get("timed_out"):
        raise EngineError(f"{index}: the search timed out, so its ranking is incomplete")


def _reason(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    cause = error.get("caused_by")
    inner = f" ({_reason(cause)})" if isinstance(cause, Mapping) else ""
    return f"{error.get('type')}: {error.get('reason')}{inner}"


def _lines(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
