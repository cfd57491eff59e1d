"""PostgreSQL with pgvector: a table with a ``sparsevec`` column."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from lexpand.data import ModelId, SparseVectors
from lexpand.encode import Encoder
from lexpand.engines.connection import Credentials
from lexpand.engines.engine import (
    Engine,
    EngineInfo,
    EngineSchema,
    RefusedRecord,
    check_created,
    matches_of,
)
from lexpand.engines.jsonpath import filter_condition
from lexpand.engines.records import Record, plain_metadata
from lexpand.errors import DataError, EngineError, MissingExtra
from lexpand.index import Matches
from lexpand.index.filters import Filter, parse_filter

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

FIELD = "splade"
"""The column of the vectors."""

SCHEME = "postgresql"

_OLDEST = (0, 7)  # of pgvector, with sparsevec
_PAGE = 1000
_POOL = 16
_ATTEMPTS = 6
_META_VERSION = 1
_TIMEOUT = 30.0
_CONNECTION, _INTERVENTION = "08", "57"  # classes of SQLSTATE

_COLUMNS = """(
    record_id text COLLATE "C" PRIMARY KEY,
    doc_id text COLLATE "C" NOT NULL,
    passage integer NOT NULL,
    digest text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    metadata jsonb NOT NULL,
    splade sparsevec({size}) NOT NULL
)"""
_NAMES = ("record_id", "doc_id", "passage", "digest", "title", "text", "metadata", FIELD)


class PostgresEngine(Engine):
    """A table of PostgreSQL with pgvector 0.7 or later.

    Vectors have float32 weights. Searches read every row, so they are exact.

    Args:
        address: ``postgresql://HOST:PORT/DATABASE/TABLE``; ``?host=DIR`` for a socket.
        encoder: encodes queries; None to search with vectors only.
        credentials: a user and a password; empty for those of libpq (``PGUSER``, ``PGPASSWORD``,
            ``~/.pgpass``).
        ca: a file of certificates that are trusted instead of those of the system.

    Raises:
        DataError: the address names no table, or has a password in it.
        EngineError: the database cannot be reached, or lacks pgvector.
        MissingExtra: psycopg is not installed.
    """

    def __init__(
        self,
        address: str,
        encoder: Encoder | None = None,
        *,
        credentials: Credentials | None = None,
        ca: Path | None = None,
    ) -> None:
        super().__init__(encoder)
        self._options, self._table = _options(address, credentials or Credentials(), ca)
        self._where = f"{self._options['host']}/{self._options['dbname']}"
        self._name = _identified(self._options, self._where)
        self._pool = _pool(self._options)
        self._size: int | None = None

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        found = self._rows(
            "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s)",
            [self._quoted()],
        )
        if not found:
            return EngineInfo(self._name, self._table, None, None)
        meta = _meta(found[0][0])
        model = ModelId(meta["model"], meta["contract_hash"]) if meta else None
        ((count,),) = self._rows(f"SELECT count(*) FROM {self._quoted()}")
        return EngineInfo(self._name, self._table, count, model, meta.get("columns", {}))

    def create(self, schema: EngineSchema) -> None:
        """See `Engine.create`. The database has no shards, so their number is ignored."""
        check_created(self, self.info().records is not None)
        meta = {
            "version": _META_VERSION,
            "model": schema.model.name,
            "contract_hash": schema.model.hash,
            "columns": dict(schema.columns),
        }
        comment = json.dumps({"lexpand": meta}).replace("'", "''")
        table = self._quoted()
        columns = _COLUMNS.format(size=schema.vocabulary_size)
        # A vector is compressed in vain, and is read by every search.
        self._run(
            f"CREATE TABLE {table} {columns};"
            f" ALTER TABLE {table} ALTER COLUMN {FIELD} SET STORAGE EXTERNAL;"
            f" COMMENT ON TABLE {table} IS '{comment}'"
        )
        self._size = schema.vocabulary_size

    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """See `Engine.write`. Records that the database refuses are found by halving."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._write(list(records)), attempt
            except _Lost:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(min(8.0, 0.5 * 2**attempt))
        raise AssertionError("unreachable")

    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """See `Engine.digests`."""
        rows = self._rows(
            f"SELECT record_id, digest FROM {self._quoted()} WHERE record_id = ANY(%s)",
            [_storable(record_ids)],
        )
        return dict(rows)

    def record_ids(self) -> Iterator[str]:
        """See `Engine.record_ids`."""
        last = ""
        while True:
            rows = self._rows(
                f"SELECT record_id FROM {self._quoted()} WHERE record_id > %s"
                f" ORDER BY record_id LIMIT {_PAGE}",
                [last],
            )
            yield from (record_id for (record_id,) in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def delete(self, record_ids: Sequence[str]) -> None:
        """See `Engine.delete`."""
        self._run(
            f"DELETE FROM {self._quoted()} WHERE record_id = ANY(%s)", [_storable(record_ids)]
        )

    def refresh(self) -> None:
        """See `Engine.refresh`; every write is visible at once."""

    def drop(self) -> None:
        """See `Engine.drop`."""
        self._run(f"DROP TABLE IF EXISTS {self._quoted()}")

    def close(self) -> None:
        """See `Engine.close`."""
        self._pool.close()

    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_vectors`."""
        allowed, values = "true", list[str]()
        if filter is not None:
            allowed, values = filter_condition(parse_filter(filter), "metadata")
        size = self._dimensions()
        found = []
        for vector in vectors.as_dicts():
            query = _text({term: weight for term, weight in vector.items() if weight > 0}, size)
            rows = self._rows(
                f"SELECT doc_id, max(-({FIELD} <#> %s::sparsevec)) AS score FROM {self._quoted()}"
                f" WHERE {allowed} GROUP BY doc_id HAVING max(-({FIELD} <#> %s::sparsevec)) > 0"
                " ORDER BY score DESC, doc_id LIMIT %s",
                [query, *values, query, k],
            )
            found.append(matches_of(rows, k))
        return found

    def stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """See `Engine.stored`."""
        rows = self._rows(
            f"SELECT record_id, doc_id, passage, title, text, metadata, {FIELD}::text"
            f" FROM {self._quoted()} WHERE record_id = ANY(%s)",
            [_storable(record_ids)],
        )
        return {row[0]: _record(row) for row in rows}

    def _quoted(self) -> str:
        return '"' + self._table.replace('"', '""') + '"'

    def _dimensions(self) -> int:
        """Return the number of terms of the column."""
        if self._size is None:
            rows = self._rows(
                "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s)"
                " AND attname = %s",
                [self._quoted(), FIELD],
            )
            if not rows:
                raise EngineError(f"{self._where} has no table {self._table} with {FIELD}")
            self._size = int(rows[0][0])
        return self._size

    def _write(self, records: list[Record]) -> list[RefusedRecord]:
        if not records:
            return []
        try:
            with self._connected() as connection:
                _upsert(connection, self._quoted(), records, self._dimensions())
            return []
        except _refusals() as error:
            if len(records) == 1:
                reason = str(error).partition("\n")[0]
                return [RefusedRecord(records[0].record_id, reason)]
        middle = len(records) // 2
        return self._write(records[:middle]) + self._write(records[middle:])

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    def _run(self, query: str, values: Sequence[object] = ()) -> None:
        with self._connected() as connection:
            connection.execute(query.encode(), values or None)

    def _connected(self) -> _Connected:
        return _Connected(self._pool, self._where)


class _Lost(EngineError):
    """The connection was lost, or the server is starting or stopping."""


class _Connected:
    """A connection of a pool for one transaction, whose errors are Lexpand's."""

    def __init__(self, pool: ConnectionPool, where: str) -> None:
        self._context = pool.connection()
        self._where = where

    def __enter__(self) -> Connection:
        from psycopg_pool import PoolTimeout

        try:
            return self._context.__enter__()
        except PoolTimeout as error:
            raise _Lost(
                f"{self._where} cannot be reached: {error}: check the address, the user and the"
                " password"
            ) from None

    def __exit__(self, raised: type[BaseException] | None, error: Any, trace: Any) -> None:  # noqa: ANN401
        import psycopg

        self._context.__exit__(raised, error, trace)
        if isinstance(error, psycopg.Error) and not isinstance(error, _refusals()):
            code = error.sqlstate or _CONNECTION
            kind = _Lost if code.startswith((_CONNECTION, _INTERVENTION)) else EngineError
            raise kind(f"{self._where}: {_explained(error)}") from None


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which the database refuses a record."""
    import psycopg

    return (
        psycopg.DataError,
        psycopg.IntegrityError,
        psycopg.errors.ProgramLimitExceeded,
        ValueError,
    )


def _identified(options: Mapping[str, Any], where: str) -> str:
    """Return the name of the engine; pgvector is created if the database has none."""
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("psycopg", "postgres", "talking to PostgreSQL") from None
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    try:
        connection = psycopg.connect(**options)
    except psycopg.OperationalError as error:
        said = str(error).strip().partition("\n")[0]
        raise EngineError(
            f"{where} cannot be reached: {said}: check the address, the user and the password"
        ) from None
    try:
        with connection:
            found = connection.execute(query).fetchone()
            if found is None:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                found = connection.execute(query).fetchone()
            version = connection.info.parameter_status("server_version") or ""
    except psycopg.Error as error:
        raise EngineError(f"{where}: {_explained(error)}") from None
    pgvector = str(found[0]) if found else "none"
    numbers = tuple(int(part) for part in pgvector.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise EngineError(
            f"{where} must have pgvector {_OLDEST[0]}.{_OLDEST[1]} or later for sparse vectors,"
            f" got {pgvector}: ALTER EXTENSION vector UPDATE"
        )
    return f"postgresql {version.split()[0]} with pgvector {pgvector}"


def _explained(error: Exception) -> str:
    from psycopg import errors

    said = str(error).partition("\n")[0]
    if isinstance(error, errors.FeatureNotSupported | errors.UndefinedFile):
        return f"{said}: install pgvector on the server (https://github.com/pgvector/pgvector)"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{said}: give the user this right, or ask an administrator to run it"
    return said


def _options(address: str, credentials: Credentials, ca: Path | None) -> tuple[dict[str, Any], str]:
    """Return the options of a connection and the name of the table."""
    parts = urlsplit(address)
    path = [unquote(part) for part in parts.path.strip("/").split("/")]
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(asked) - {"host", "port"})
    if len(path) != 2 or not all(path) or parts.fragment or unknown:
        raise DataError(
            "the address of PostgreSQL must be postgresql://HOST:PORT/DATABASE/TABLE, got"
            f" {address.rpartition('@')[2]}"
        )
    if parts.password:
        raise DataError(
            "the address must not have a password, which `ps` shows: set"
            " LEXPAND_ENGINE_USER and LEXPAND_ENGINE_PASSWORD, or PGPASSWORD, or ~/.pgpass"
        )
    if credentials.api_key:
        raise DataError("PostgreSQL needs a user and a password, not an API key")
    host = asked.get("host") or parts.hostname or os.environ.get("PGHOST") or "localhost"
    options: dict[str, Any] = {"host": host, "dbname": path[0], "connect_timeout": 10}
    options["application_name"] = "lexpand"
    if port := asked.get("port") or parts.port:
        options["port"] = int(port)
    if user := credentials.user or unquote(parts.username or ""):
        options["user"] = user
    if credentials.password:
        options["password"] = credentials.password
    if not (host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")):
        options |= {"sslmode": "verify-full", "sslrootcert": "system" if ca is None else str(ca)}
    return options, path[1]


def _pool(options: Mapping[str, Any]) -> ConnectionPool:
    import logging

    from psycopg_pool import ConnectionPool

    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # its timeout says the same
    return ConnectionPool(
        kwargs=dict(options),
        min_size=0,
        max_size=_POOL,
        timeout=_TIMEOUT,
        reconnect_timeout=_TIMEOUT,
        check=ConnectionPool.check_connection,
        open=True,
    )


def _upsert(connection: Connection, table: str, records: Sequence[Record], size: int) -> None:
    """Write records by COPY to a temporary table, and from there."""
    names = ", ".join(_NAMES)
    others = ", ".join(f"{name} = EXCLUDED.{name}" for name in _NAMES[1:])
    connection.execute(f"CREATE TEMP TABLE incoming (LIKE {table}) ON COMMIT DROP".encode())
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY incoming ({names}) FROM STDIN".encode()) as copy,
    ):
        for each in records:
            copy.write_row(_row(each, size))
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming"
        f" ON CONFLICT (record_id) DO UPDATE SET {others}".encode()
    )


def _row(record: Record, size: int) -> tuple[object, ...]:
    metadata = json.dumps(plain_metadata(record.metadata), ensure_ascii=False)
    if "\0" in record.title + record.text + record.record_id or "\\u0000" in metadata:
        raise ValueError("PostgreSQL cannot store the character U+0000")
    weights = dict(zip(record.terms.tolist(), record.weights, strict=True))
    return (
        record.record_id,
        record.doc_id,
        record.passage,
        record.digest(),
        record.title,
        record.text,
        metadata,
        _text(weights, size),
    )


def _text(weights: Mapping[int, float], size: int) -> str:
    """Return a sparsevec; its indices start at 1."""
    pairs = ",".join(f"{term + 1}:{weight:.9g}" for term, weight in weights.items())
    return f"{{{pairs}}}/{size}"


def _record(row: tuple[Any, ...]) -> Record:
    record_id, doc_id, passage, title, text, metadata, vector = row
    pairs = [pair.split(":") for pair in vector[1 : vector.rindex("}")].split(",") if pair]
    terms = np.array([int(index) - 1 for index, _ in pairs], np.uint32)
    weights = np.array([float(weight) for _, weight in pairs], np.float32)
    return Record(record_id, doc_id, passage, title, text, metadata, terms, weights)


def _meta(comment: str | None) -> dict[str, Any]:
    """Return what `create` recorded in the comment of a table; empty if something else made it."""
    try:
        found = json.loads(comment or "{}")
    except ValueError:
        return {}
    return dict(found.get("lexpand", {})) if isinstance(found, dict) else {}


def _storable(record_ids: Sequence[str]) -> list[str]:
    """Return the ids that PostgreSQL can have."""
    return [record_id for record_id in record_ids if "\0" not in record_id]
