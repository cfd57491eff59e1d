"""A collection of Milvus: the requests of pymilvus that an engine needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lexpand.engines.connection import Credentials
from lexpand.engines.milvus_client import (
    TIMEOUT,
    MilvusAddress,
    connected,
    explained,
    milvus_module,
    release,
)
from lexpand.engines.milvus_filters import is_escaped, keys_filter, later_filter
from lexpand.engines.milvus_schema import VECTOR_SEARCH, WORD_SEARCH, WORDS_VECTOR
from lexpand.errors import EngineError

Row = dict[str, Any]

_PAGE = 500
_SEARCHES = 32  # of one request
_RRF = 60  # the constant of reciprocal rank fusion, which is Milvus's default
_STRONG = {"consistency_level": "Strong", "timeout": TIMEOUT}
"""Reads see all that was written before."""


class MilvusCollection:
    """A collection by its address. Errors are those of Lexpand.

    Attributes:
        name: the name of the collection.
        is_lite: whether it is in a folder of Milvus Lite.
    """

    def __init__(self, address: MilvusAddress, credentials: Credentials, ca: Path | None) -> None:
        self._address = address
        self._where = address.uri
        self.name = address.collection
        self.is_lite = address.is_lite
        self._client = connected(address, credentials, ca)
        self._is_loaded = False
        self._is_open = True

    def version(self) -> str:
        """Return the version of the engine."""
        with explained(self._where):
            found = str(self._client.get_server_version(timeout=TIMEOUT))
        return found.rpartition("-")[2].removeprefix("v") if self.is_lite else found.lstrip("v")

    def described(self) -> Mapping[str, Any] | None:
        """Return the description of the collection, and load it; None if it does not exist."""
        with explained(self._where):
            if not self._client.has_collection(self.name, timeout=TIMEOUT):
                return None
            if not self._is_loaded:
                self._client.load_collection(self.name, timeout=TIMEOUT)
                self._is_loaded = True
            found: Mapping[str, Any] = self._client.describe_collection(self.name, timeout=TIMEOUT)
        return found

    def create(self, schema: object, indexes: object, shards: int, card: Mapping[str, str]) -> None:
        """Create and load the collection; the card are its properties."""
        with explained(self._where):
            self._client.create_collection(
                self.name,
                schema=schema,
                index_params=indexes,
                num_shards=shards,
                consistency_level="Strong",
                properties=dict(card),
                timeout=TIMEOUT,
            )

    def upsert(self, rows: Sequence[Row]) -> None:
        """Write rows; those with the same key are replaced.

        Raises:
            Refused: Milvus refuses a row, or the request is too large.
            EngineError: Milvus cannot be reached.
        """
        with explained(self._where, refusing=True):
            self._client.upsert(self.name, list(rows), timeout=TIMEOUT)

    def count(self) -> int:
        """Return the number of rows."""
        with explained(self._where):
            (row,) = self._client.query(self.name, filter="", output_fields=["count(*)"], **_STRONG)
        return int(row["count(*)"])

    def get(self, key: str, ids: Sequence[str | int], names: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of keys, without those that do not exist.

        Args:
            key: the primary key.
            ids: its values. pymilvus would not escape them.
            names: the fields of a row.
        """
        for first in range(0, len(ids), _PAGE):
            asked = keys_filter(key, ids[first : first + _PAGE])
            with explained(self._where):
                found = self._client.query(
                    self.name, filter=asked, output_fields=list(names), **_STRONG
                )
            yield from found

    def all(self, key: str, names: Sequence[str]) -> Iterator[Row]:
        """Yield all rows, by ascending keys: a window of results would end at 16,384.

        The iterator of pymilvus goes on after the last key of a page and does not escape it, so
        another one begins after a key that must be escaped.
        """
        rows = self._iterator(names, "")
        try:
            while page := self._next(rows):
                yield from page
                last = page[-1][key]
                if isinstance(last, str) and is_escaped(last):
                    rows.close()
                    rows = self._iterator(names, later_filter(key, last))
        finally:
            rows.close()

    def _iterator(self, names: Sequence[str], allowed: str) -> Any:  # noqa: ANN401 - of pymilvus
        with explained(self._where):
            return self._client.query_iterator(
                self.name, batch_size=_PAGE, filter=allowed, output_fields=list(names), **_STRONG
            )

    def _next(self, rows: Any) -> list[Row]:  # noqa: ANN401 - an iterator of pymilvus
        with explained(self._where):
            return list(rows.next())

    def search(
        self,
        asked: Sequence[Mapping[int, float]] | Sequence[str],
        field: str,
        limit: int,
        allowed: str,
        names: Sequence[str],
    ) -> list[list[Row]]:
        """Return the best rows of each query, vectors or words, with their ``distance``."""
        params = WORD_SEARCH if field == WORDS_VECTOR else VECTOR_SEARCH
        found: list[list[Row]] = []
        for first in range(0, len(asked), _SEARCHES):
            with explained(self._where):
                answer = self._client.search(
                    self.name,
                    data=list(asked[first : first + _SEARCHES]),
                    anns_field=field,
                    filter=allowed,
                    limit=limit,
                    output_fields=list(names),
                    search_params=dict(params),
                    **_STRONG,
                )
            found += [list(hits) for hits in answer]
        return found

    def fuse(
        self,
        asked: Mapping[str, Mapping[int, float] | str],
        depth: int,
        limit: int,
        allowed: str,
        names: Sequence[str],
    ) -> list[Row]:
        """Return the best rows by the reciprocal ranks of one query's searches.

        Args:
            asked: the vector or the words for each field.
            depth: the rows of each search.
            limit: the rows of the result.
            allowed: the filter.
            names: the fields of a row.
        """
        milvus = milvus_module()
        requests = [
            milvus.AnnSearchRequest(
                [data],
                field,
                dict(WORD_SEARCH if field == WORDS_VECTOR else VECTOR_SEARCH),
                depth,
                expr=allowed or None,
            )
            for field, data in asked.items()
        ]
        with explained(self._where):
            (hits,) = self._client.hybrid_search(
                self.name,
                requests,
                milvus.RRFRanker(_RRF),
                limit=limit,
                output_fields=list(names),
                **_STRONG,
            )
        return list(hits)

    def delete(self, key: str, ids: Sequence[str | int]) -> None:
        """Delete rows by the values of their primary key, which pymilvus would not escape."""
        for first in range(0, len(ids), _PAGE):
            gone = keys_filter(key, ids[first : first + _PAGE])
            with explained(self._where):
                self._client.delete(self.name, filter=gone, timeout=TIMEOUT)

    def drop(self) -> None:
        """Delete the collection, if it exists."""
        with explained(self._where):
            self._client.drop_collection(self.name, timeout=TIMEOUT)
        self._is_loaded = False

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`."""
        before = self._pointed(name)
        with explained(self._where):
            if before is None and self._client.has_collection(name, timeout=TIMEOUT):
                raise EngineError(f"{name} is a collection, so it cannot be an alias")
            change = self._client.create_alias if before is None else self._client.alter_alias
            change(collection_name=self.name, alias=name, timeout=TIMEOUT)
        return before

    def pointed(self, alias: str) -> Mapping[str, Any] | None:
        """Return the description of an alias's collection; None if there is none."""
        name = self._pointed(alias)
        with explained(self._where):
            if name is None or not self._client.has_collection(name, timeout=TIMEOUT):
                return None
            found: Mapping[str, Any] = self._client.describe_collection(name, timeout=TIMEOUT)
        return found

    def _pointed(self, alias: str) -> str | None:
        """Return the collection of an alias; None if there is no such alias."""
        try:
            found = self._client.describe_alias(alias=alias, timeout=TIMEOUT)
        except milvus_module().MilvusException:
            return None
        return str(found.get("collection_name") or "") or None

    def close(self) -> None:
        """Close the connection; the last one lets another process open a folder of Milvus Lite."""
        if self._is_open:
            self._is_open = False
            self._client.close()
            release(self._address)
