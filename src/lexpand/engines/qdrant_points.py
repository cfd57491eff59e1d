"""The points of Qdrant: over HTTP, or in a folder by Qdrant Edge."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexpand.engines.connection import Connection, escaped
from lexpand.errors import DataError, EngineError, FilterError, LexpandError, MissingExtra

if TYPE_CHECKING:
    import qdrant_edge

_TYPES = {"integer": "integer", "number": "float", "boolean": "bool", "keyword": "keyword"}
_REFUSALS = (400, 413, 422)


class Refused(EngineError):
    """Qdrant refuses the points of a request, or all of them together are too large."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point: its id, its weights by term, and its payload; of a search, its score."""

    id: str
    vector: Mapping[int, float]
    payload: Mapping[str, Any]
    score: float = 0.0


class Points(ABC):
    """A collection of points. Filters are those of the REST API; `field` names the vectors.

    Attributes:
        name: such as ``qdrant 1.16.0``.
        target: the collection.
    """

    name: str
    target: str

    @abstractmethod
    def exists(self) -> bool:
        """Return whether the collection exists."""

    @abstractmethod
    def create(self, shards: int, columns: Mapping[str, str], field: str) -> None:
        """Create the collection, with an index for each declared column, by its path."""

    @abstractmethod
    def upsert(self, points: Sequence[Point], field: str) -> None:
        """Write points; those with the same id are replaced.

        Raises:
            Refused: Qdrant refuses a point, or the request is too large.
            EngineError: Qdrant cannot be reached.
        """

    @abstractmethod
    def search(
        self,
        queries: Sequence[Mapping[int, float]],
        limit: int,
        allowed: Mapping[str, Any] | None,
        field: str,
    ) -> list[list[Point]]:
        """Return the best points of each query, with ``doc_id`` in their payload.

        Raises:
            FilterError: the filter cannot be expressed.
        """

    @abstractmethod
    def retrieve(
        self, ids: Sequence[str | int], *, payload: bool | list[str], vector: str | None
    ) -> list[Point]:
        """Return points by their ids, with the vectors of a name; unknown ids are left out."""

    @abstractmethod
    def scroll(
        self, payload: bool | list[str], allowed: Mapping[str, Any], page: int
    ) -> Iterator[Point]:
        """Yield all points that a filter allows."""

    @abstractmethod
    def count(self, allowed: Mapping[str, Any]) -> int:
        """Return the exact number of points that a filter allows."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Delete points."""

    @abstractmethod
    def drop(self) -> None:
        """Delete the collection."""

    @abstractmethod
    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""

    @abstractmethod
    def aliased(self, name: str) -> Points | None:
        """Return the collection that an alias points to; None if there is no such alias."""

    @abstractmethod
    def flush(self) -> None:
        """Write everything to disk."""

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""


class ServerPoints(Points):
    """A collection of a Qdrant server, over its REST API.

    Args:
        connection: the server.
        collection: the name of the collection.
        version: of the server.
    """

    def __init__(self, connection: Connection, collection: str, version: str) -> None:
        self._connection = connection
        self._path = f"/collections/{escaped(collection)}"
        self._version = version
        self.name = f"qdrant {version}"
        self.target = collection

    def exists(self) -> bool:
        """See `Points.exists`."""
        return self._connection.request("GET", self._path, missing=True) is not None

    def create(self, shards: int, columns: Mapping[str, str], field: str) -> None:
        """See `Points.create`."""
        body = {"vectors": {}, "sparse_vectors": {field: {}}, "shard_number": shards}
        self._connection.request("PUT", self._path, body)
        try:
            for key, kind in columns.items():
                column = {"field_name": key, "field_schema": _TYPES[kind]}
                self._connection.request("PUT", f"{self._path}/index?wait=true", column)
        except BaseException:
            self.drop()
            raise

    def upsert(self, points: Sequence[Point], field: str) -> None:
        """See `Points.upsert`."""
        plain = [
            {
                "id": each.id,
                "vector": {field: _sparse(each.vector)} if each.vector else {},
                "payload": dict(each.payload),
            }
            for each in points
        ]
        try:
            self._connection.request("PUT", f"{self._path}/points?wait=true", {"points": plain})
        except EngineError as error:
            if any(f"failed with {status}" in str(error) for status in _REFUSALS):
                raise Refused(str(error)) from None
            raise

    def search(
        self,
        queries: Sequence[Mapping[int, float]],
        limit: int,
        allowed: Mapping[str, Any] | None,
        field: str,
    ) -> list[list[Point]]:
        """See `Points.search`."""
        searches = [
            {
                "query": _sparse(query),
                "using": field,
                "limit": limit,
                "with_payload": ["doc_id"],
                **({} if allowed is None else {"filter": allowed}),
            }
            for query in queries
        ]
        answer = self._post("query/batch", {"searches": searches})
        return [[_point(each, field) for each in found["points"]] for found in answer]

    def retrieve(
        self, ids: Sequence[str | int], *, payload: bool | list[str], vector: str | None
    ) -> list[Point]:
        """See `Points.retrieve`."""
        asked = [] if vector is None else [vector]
        body = {"ids": list(ids), "with_payload": payload, "with_vector": asked}
        return [_point(each, vector) for each in self._post("", body)]

    def scroll(
        self, payload: bool | list[str], allowed: Mapping[str, Any], page: int
    ) -> Iterator[Point]:
        """See `Points.scroll`."""
        offset: object = None
        while True:
            body = {"limit": page, "offset": offset, "filter": allowed, "with_payload": payload}
            answer = self._post("scroll", body)
            yield from (_point(each, None) for each in answer["points"])
            offset = answer.get("next_page_offset")
            if offset is None:
                return

    def count(self, allowed: Mapping[str, Any]) -> int:
        """See `Points.count`."""
        return int(self._post("count", {"filter": allowed, "exact": True})["count"])

    def delete(self, ids: Sequence[str]) -> None:
        """See `Points.delete`."""
        self._post("delete?wait=true", {"points": list(ids)})

    def drop(self) -> None:
        """See `Points.drop`."""
        self._connection.request("DELETE", self._path, missing=True)

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""
        before = self._pointed(name)
        path = f"/collections/{escaped(name)}"
        if not before and self._connection.request("GET", path, missing=True) is not None:
            raise EngineError(f"{name} is a collection, so it cannot be an alias")
        actions: list[dict[str, Any]] = [{"delete_alias": {"alias_name": name}} for _ in before]
        made = {"collection_name": self.target, "alias_name": name}
        actions.append({"create_alias": made})
        self._connection.request("POST", "/collections/aliases", {"actions": actions})
        return before[0] if before else None

    def aliased(self, name: str) -> Points | None:
        """See `Points.aliased`."""
        found = self._pointed(name)
        return type(self)(self._connection, found[0], self._version) if found else None

    def _pointed(self, alias: str) -> list[str]:
        listed = self._connection.request("GET", "/aliases")["result"]["aliases"]
        return [each["collection_name"] for each in listed if each["alias_name"] == alias]

    def flush(self) -> None:
        """See `Points.flush`; the server does so itself."""

    def close(self) -> None:
        """See `Points.close`."""
        self._connection.close()

    def _post(self, what: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        path = f"{self._path}/points" + (f"/{what}" if what else "")
        return self._connection.request("POST", path, body)["result"]


class EdgePoints(Points):
    """A shard of Qdrant Edge, which is a folder. One process can open it at a time.

    Args:
        folder: the folder; it is made by `create`.

    Raises:
        MissingExtra: qdrant-edge-py is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._edge = _edge()
        self._folder = folder
        self._shard: qdrant_edge.EdgeShard | None = None
        self.name = f"qdrant-edge {_version()}"
        self.target = str(folder)

    def exists(self) -> bool:
        """See `Points.exists`."""
        return self._shard is not None or (self._folder / "edge_config.json").is_file()

    def create(self, shards: int, columns: Mapping[str, str], field: str) -> None:
        """See `Points.create`. A shard of Edge is one shard, and columns need no index."""
        del columns
        if shards != 1:
            raise DataError(f"Qdrant Edge has one shard, got {shards}")
        if self._folder.exists() and any(self._folder.iterdir()):
            raise EngineError(f"{self._folder} must be an empty folder or a shard, and is neither")
        self._folder.mkdir(parents=True, exist_ok=True)
        vectors = {field: self._edge.EdgeSparseVectorParams()}
        config = self._edge.EdgeConfig(sparse_vectors=vectors)
        with _refusing(EngineError, self._folder):
            self._shard = self._edge.EdgeShard.create(str(self._folder), config)

    def upsert(self, points: Sequence[Point], field: str) -> None:
        """See `Points.upsert`."""
        made = [
            self._edge.Point(
                each.id,
                {field: self._vector(each.vector)} if each.vector else {},
                dict(each.payload),
            )
            for each in points
        ]
        with _refusing(Refused, self._folder):
            self._open().update(self._edge.UpdateOperation.upsert_points(made))

    def search(
        self,
        queries: Sequence[Mapping[int, float]],
        limit: int,
        allowed: Mapping[str, Any] | None,
        field: str,
    ) -> list[list[Point]]:
        """See `Points.search`."""
        edge, shard = self._edge, self._open()
        chosen = None if allowed is None else self._filter(allowed)
        found = []
        for query in queries:
            nearest = edge.Query.Nearest(self._vector(query), using=field)
            request = edge.QueryRequest(
                limit, query=nearest, filter=chosen, with_payload=["doc_id"]
            )
            with _refusing(EngineError, self._folder):
                hits = shard.query(request)
            found.append([Point(str(each.id), {}, each.payload or {}, each.score) for each in hits])
        return found

    def retrieve(
        self, ids: Sequence[str | int], *, payload: bool | list[str], vector: str | None
    ) -> list[Point]:
        """See `Points.retrieve`."""
        asked: bool | list[str] = False if vector is None else [vector]
        with _refusing(EngineError, self._folder):
            found = self._open().retrieve(list(ids), with_payload=payload, with_vector=asked)
        return [
            Point(str(each.id), _weights(each.vector, vector), each.payload or {}) for each in found
        ]

    def scroll(
        self, payload: bool | list[str], allowed: Mapping[str, Any], page: int
    ) -> Iterator[Point]:
        """See `Points.scroll`."""
        offset = None
        while True:
            request = self._edge.ScrollRequest(
                offset=offset, limit=page, filter=self._filter(allowed), with_payload=payload
            )
            with _refusing(EngineError, self._folder):
                found, offset = self._open().scroll(request)
            yield from (Point(str(each.id), {}, each.payload or {}) for each in found)
            if offset is None:
                return

    def count(self, allowed: Mapping[str, Any]) -> int:
        """See `Points.count`."""
        request = self._edge.CountRequest(exact=True, filter=self._filter(allowed))
        return int(self._open().count(request))

    def delete(self, ids: Sequence[str]) -> None:
        """See `Points.delete`."""
        self._open().update(self._edge.UpdateOperation.delete_points(list(ids)))

    def drop(self) -> None:
        """See `Points.drop`."""
        if self.exists():
            self.close()
            shutil.rmtree(self._folder)

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""
        raise EngineError(
            f"a folder of Qdrant Edge has no aliases: rename folders instead of {name}"
        )

    def aliased(self, name: str) -> Points | None:
        """See `Points.aliased`."""
        return None

    def flush(self) -> None:
        """See `Points.flush`. Segments are merged too, so that searches are fast."""
        self._open().optimize()
        self._open().flush()

    def close(self) -> None:
        """See `Points.close`."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def _open(self) -> qdrant_edge.EdgeShard:
        if self._shard is None:
            try:
                self._shard = self._edge.EdgeShard.load(str(self._folder))
            except Exception as error:  # noqa: BLE001 - it has no other class
                raise EngineError(
                    f"{self._folder} cannot be opened as a shard of Qdrant Edge: {error}. One"
                    " process can open it at a time"
                ) from None
        return self._shard

    def _vector(self, weights: Mapping[int, float]) -> qdrant_edge.SparseVector:
        found: qdrant_edge.SparseVector = self._edge.SparseVector(
            list(weights), list(weights.values())
        )
        return found

    def _filter(self, plain: Mapping[str, Any]) -> qdrant_edge.Filter:
        """Return a filter of the REST API as one of Edge."""
        parts: dict[str, Any] = {
            clause: [self._condition(each) for each in conditions]
            for clause, conditions in plain.items()
        }
        found: qdrant_edge.Filter = self._edge.Filter(**parts)
        return found

    def _condition(self, plain: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a union of Edge
        edge = self._edge
        if "has_id" in plain:
            return edge.HasIdCondition(set(plain["has_id"]))
        if "is_empty" in plain:
            return edge.IsEmptyCondition(plain["is_empty"]["key"])
        if "match" in plain:
            value = plain["match"]["value"]
            if isinstance(value, bool):  # its Python package takes True for the integer 1
                raise FilterError(
                    "Qdrant Edge cannot filter by booleans: store them as text, such as yes and no"
                )
            return edge.FieldCondition(plain["key"], match=edge.MatchValue(value))
        if "range" in plain:
            return edge.FieldCondition(plain["key"], range=edge.RangeFloat(**plain["range"]))
        return self._filter(plain)


@contextmanager
def _refusing(kind: type[EngineError], folder: Path) -> Iterator[None]:
    """Raise the errors of Edge, which are plain exceptions, as an error of Lexpand."""
    try:
        yield
    except LexpandError:
        raise
    except Exception as error:  # noqa: BLE001 - it has no other class
        raise kind(f"{folder}: {str(error).removeprefix('Service runtime error: ')}") from None


def _edge() -> Any:  # noqa: ANN401 - a module
    try:
        import qdrant_edge
    except ImportError:
        raise MissingExtra("qdrant-edge-py", "qdrant-edge", "a shard of Qdrant Edge") from None
    return qdrant_edge


def _version() -> str:
    from importlib.metadata import version

    return version("qdrant-edge-py")


def _sparse(weights: Mapping[int, float]) -> dict[str, Any]:
    return {"indices": list(weights), "values": list(weights.values())}


def _weights(vectors: object, field: str | None) -> dict[int, float]:
    """Return the weights of a point of Edge."""
    found = vectors.get(field) if isinstance(vectors, Mapping) else None
    return {} if found is None else dict(zip(found.indices, found.values, strict=True))


def _point(plain: Mapping[str, Any], field: str | None) -> Point:
    vectors = plain.get("vector")
    sparse = (vectors.get(field) or {}) if isinstance(vectors, Mapping) else {}
    return Point(
        str(plain["id"]),
        dict(zip(sparse.get("indices", ()), sparse.get("values", ()), strict=True)),
        plain.get("payload") or {},
        float(plain.get("score", 0.0)),
    )
