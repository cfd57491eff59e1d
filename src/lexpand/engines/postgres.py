"""PostgreSQL with pgvector: a table with a ``sparsevec`` column."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lexpand.data import SparseVectors
from lexpand.encode import Encoder
from lexpand.engines.connection import Credentials
from lexpand.engines.engine import Engine, check_alias, check_created, check_exact
from lexpand.engines.jsonpath import filter_condition, has_nul
from lexpand.engines.postgres_connection import (
    Connected,
    ConnectionLost,
    check_name,
    connection_options,
    connection_pool,
    identified,
    refusals,
)
from lexpand.engines.ranking import matches_of
from lexpand.engines.records import Record, plain_metadata
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, RefusedRecord
from lexpand.errors import EngineError
from lexpand.index import Matches
from lexpand.index.filters import Filter

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

FIELD = "splade"
"""The column of the vectors that `create` makes."""

_PAGE = 1000
_ATTEMPTS = 6

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


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table, as SQL.

    Attributes:
        record_id, doc_id, vector: see `Record`.
        read: what is selected for a `Record`, in its order.
        size: the number of terms of the vectors.
    """

    record_id: str
    doc_id: str
    vector: str
    read: tuple[str, ...]
    size: int

    @classmethod
    def own(cls, size: int) -> _Columns:
        """Return the columns of a table that `create` made."""
        names = ("record_id", "doc_id", "passage", "title", "text", "metadata", f"{FIELD}::text")
        return cls("record_id", "doc_id", FIELD, names, size)


class PostgresEngine(Engine):
    """A table of PostgreSQL with pgvector 0.7 or later.

    Vectors have float32 weights. Searches read every row, so they are exact.

    Args:
        address: ``postgresql://HOST:PORT/DATABASE/TABLE``; ``?host=DIR`` for a socket.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the columns of a table that something else filled.
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
        fields: Fields | None = None,
        *,
        credentials: Credentials | None = None,
        ca: Path | None = None,
    ) -> None:
        super().__init__(encoder, fields)
        self._options, self._table = connection_options(address, credentials or Credentials(), ca)
        self._where = f"{self._options['host']}/{self._options['dbname']}"
        self._name = identified(self._options, self._where)
        self._pool = connection_pool(self._options)
        self._made: _Columns | None = None

    def info(self) -> EngineInfo:
        """See `Engine.info`."""
        found = self._rows(
            "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s)",
            [_quoted(self._table)],
        )
        if not found:
            return EngineInfo(self._name, self._table, None, None)
        ((count,),) = self._rows(f"SELECT count(*) FROM {self._quoted()}")
        return EngineInfo.of(self._name, self._table, count, _meta(found[0][0]))

    def create(self, schema: EngineSchema) -> None:
        """See `Engine.create`. The database has no shards, so their number is ignored."""
        check_created(self, self.info().records is not None)
        check_exact(self, schema)
        comment = _escaped(json.dumps({"lexpand": schema.card()}).replace("'", "''"))
        table = self._quoted()
        columns = _COLUMNS.format(size=schema.vocabulary_size)
        # A vector is compressed in vain, and is read by every search.
        self._run(
            f"CREATE TABLE {table} {columns};"
            f" ALTER TABLE {table} ALTER COLUMN {FIELD} SET STORAGE EXTERNAL;"
            f" COMMENT ON TABLE {table} IS '{comment}'"
        )
        self.forget()

    def write(self, records: Sequence[Record]) -> tuple[list[RefusedRecord], int]:
        """See `Engine.write`. Records that the database refuses are found by halving."""
        return _retried(lambda: self._write(list(records)))

    def digests(self, record_ids: Sequence[str]) -> dict[str, str]:
        """See `Engine.digests`."""
        rows = self._rows(
            f"SELECT record_id, digest FROM {self._quoted()} WHERE record_id = ANY(%s)",
            [_storable(record_ids)],
        )
        return dict(rows)

    def record_ids(self) -> Iterator[str]:
        """See `Engine.record_ids`."""
        last, name = "", self._columns().record_id
        while True:
            rows = self._rows(
                f"SELECT {name} FROM {self._quoted()} WHERE {name} > %s"
                f" ORDER BY {name} LIMIT {_PAGE}",
                [last],
            )
            yield from (record_id for (record_id,) in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def rows(self) -> Iterator[dict[str, Any]]:
        """See `Engine.rows`."""
        columns = self._columns()
        with self._connected() as connection, connection.cursor("rows") as cursor:
            query = f"SELECT {columns.record_id}, to_jsonb(t) FROM {self._quoted()} AS t"
            cursor.execute(query.encode(), [])
            for record_id, row in cursor:
                row.pop(self.fields.vector, None)
                yield {"_id": record_id, **row}

    def delete(self, record_ids: Sequence[str]) -> None:
        """See `Engine.delete`."""
        self._run(
            f"DELETE FROM {self._quoted()} WHERE record_id = ANY(%s)", [_storable(record_ids)]
        )

    def refresh(self) -> None:
        """See `Engine.refresh`; every write is visible at once."""

    def forget(self) -> None:
        """See `Engine.forget`."""
        super().forget()
        self._made = None

    def drop(self) -> None:
        """See `Engine.drop`."""
        self._run(f"DROP TABLE IF EXISTS {self._quoted()}")
        self.forget()

    def alias(self, name: str) -> str | None:
        """See `Engine.alias`. An alias is a view, whose comment says what it shows."""
        check_name(name)
        info = self.info()
        if info.records is None:
            raise EngineError(f"{self._name} has no {self._table}: push to it first")
        found = self._rows(
            "SELECT relkind::text, obj_description(oid, 'pg_class') FROM pg_class"
            " WHERE oid = to_regclass(%s)",
            [_quoted(name)],
        )
        shown = _meta(found[0][1]).get("view_of") if found else None
        if found and (found[0][0] != "v" or shown is None):
            raise EngineError(f"{name} is no alias made by Lexpand: choose another name")
        ((comment,),) = self._rows(
            "SELECT obj_description(to_regclass(%s), 'pg_class')", [_quoted(self._table)]
        )
        card = _meta(comment)
        check_alias(name, info, [_meta(each) for _, each in found], card.get("view_of"))
        meta = json.dumps({"lexpand": {**card, "view_of": self._table}})
        view, text = _escaped(_quoted(name)), _escaped(meta.replace("'", "''"))
        made = f"VIEW {view} AS SELECT * FROM {self._quoted()}; COMMENT ON VIEW {view} IS '{text}'"
        if found and self._has_the_columns_of(name):
            self._run(f"CREATE OR REPLACE {made}")  # keeps privileges and views on this one
        elif found:
            self._run(f"DROP VIEW {view}; CREATE {made}; {self._grants(name)}")
        else:
            self._run(f"CREATE {made}")
        return None if shown is None else str(shown)

    def _has_the_columns_of(self, view: str) -> bool:
        """Return whether a view has the columns of the table, so that it can be replaced."""
        query = (
            "SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE attrelid ="
            " to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return self._rows(query, [_quoted(view)]) == self._rows(query, [_quoted(self._table)])

    def _grants(self, view: str) -> str:
        """Return the statements that give the privileges on a view again."""
        rows = self._rows(
            "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee))"
            " END, privilege_type, is_grantable FROM pg_class, aclexplode(relacl)"
            " WHERE oid = to_regclass(%s) AND grantee <> relowner",
            [_quoted(view)],
        )
        return "; ".join(
            _escaped(f"GRANT {privilege} ON {_quoted(view)} TO {grantee}")
            + (" WITH GRANT OPTION" if grantable else "")
            for grantee, privilege, grantable in rows
        )

    def close(self) -> None:
        """See `Retriever.close`."""
        self._pool.close()

    def search_vectors(
        self, vectors: SparseVectors, k: int, *, filter: Filter | None = None
    ) -> list[Matches]:
        """See `Engine.search_vectors`."""
        allowed, values = "true", list[str]()
        checked = self.checked_filter(filter)
        if checked is not None:
            allowed, values = filter_condition(checked, "metadata")
        columns = self._columns()
        product = f"max(-({columns.vector} <#> %s::sparsevec))"
        found = []
        for weights in self.query_weights(vectors):
            query = _text(weights, columns.size)
            rows = self._rows(
                f"SELECT {columns.doc_id} AS document, {product} AS score FROM {self._quoted()}"
                f" WHERE {allowed} AND {columns.vector} IS NOT NULL"
                f" GROUP BY document HAVING {product} > 0"
                " ORDER BY score DESC, document LIMIT %s",
                [query, *values, query, k],
            )
            found.append(matches_of(rows, k))
        return found

    def best_records(self, vectors: SparseVectors) -> list[tuple[str, float] | None]:
        """See `Engine.best_records`."""
        columns = self._columns()
        found: list[tuple[str, float] | None] = []
        for weights in self.query_weights(vectors):
            query = _text(weights, columns.size)
            rows = self._rows(
                f"SELECT {columns.record_id}, -({columns.vector} <#> %s::sparsevec) AS score"
                f" FROM {self._quoted()} WHERE {columns.vector} IS NOT NULL"
                " ORDER BY score DESC LIMIT 1",
                [query],
            )
            found.append((rows[0][0], rows[0][1]) if rows and rows[0][1] > 0 else None)
        return found

    def _stored(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """See `Engine._stored`."""
        columns = self._columns()
        rows = self._rows(
            f"SELECT {', '.join(columns.read)} FROM {self._quoted()}"
            f" WHERE {columns.record_id} = ANY(%s) AND {columns.vector} IS NOT NULL",
            [_storable(record_ids)],
        )
        return {row[0]: _record(row) for row in rows}

    def _quoted(self) -> str:
        return _escaped(_quoted(self._table))

    def _columns(self) -> _Columns:
        """Return the columns of the table.

        Raises:
            EngineError: the table does not exist, or lacks the vectors or the ids.
        """
        if self._made is None:
            rows = self._rows(
                "SELECT attname, atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s)"
                " AND attnum > 0 AND NOT attisdropped",
                [_quoted(self._table)],
            )
            there = dict(rows)
            if self.fields.vector not in there:
                listed = ", ".join(there) or "no table of that name"
                raise EngineError(
                    f"{self._where} has no table {self._table} with {self.fields.vector}: there is"
                    f" {listed}; push to it first, or name the field of the vectors"
                )
            if set(_NAMES) <= set(there):
                self._made = _Columns.own(there[FIELD])
            else:
                self._made = self._others(there)
        return self._made

    def _others(self, there: Mapping[str, int]) -> _Columns:
        """Return the columns of a table that something else made."""
        fields = self.fields
        if fields.doc_id not in there:
            raise EngineError(
                f"{self._table} has no column {fields.doc_id} of ids: name the field of the ids,"
                f" one of {', '.join(there)}"
            )
        record_id = f'{_escaped(_quoted(fields.doc_id))}::text COLLATE "C"'
        vector = _escaped(_quoted(fields.vector))
        title, text = (
            f"coalesce({_escaped(_quoted(name))}::text, '')" if name in there else "''"
            for name in (fields.title, fields.text)
        )
        read = (record_id, record_id, "0", title, text, "'{}'::jsonb", f"{vector}::text")
        return _Columns(record_id, record_id, vector, read, there[fields.vector])

    def _write(self, records: list[Record]) -> list[RefusedRecord]:
        if not records:
            return []
        try:
            columns = self._columns()
            with Connected(self._pool, self._where, refusing=True) as connection:
                _upsert(connection, self._quoted(), records, columns.size)
            return []
        except refusals() as error:
            if len(records) == 1:
                reason = str(error).partition("\n")[0]
                return [RefusedRecord(records[0].record_id, reason)]
        middle = len(records) // 2
        return self._write(records[:middle]) + self._write(records[middle:])

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        def read() -> list[tuple[Any, ...]]:
            with self._connected() as connection:
                return connection.execute(query.encode(), list(values)).fetchall()

        return _retried(read)[0]

    def _run(self, query: str, values: Sequence[object] = ()) -> None:
        def run() -> None:
            with self._connected() as connection:
                connection.execute(query.encode(), list(values))

        _retried(run)

    def _connected(self) -> Connected:
        return Connected(self._pool, self._where)


def _retried(act: Callable[[], T]) -> tuple[T, int]:
    """Do something again while connections are lost; return its result and the repetitions."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return act(), attempt
        except ConnectionLost:
            time.sleep(min(8.0, 0.5 * 2**attempt))
    return act(), _ATTEMPTS - 1


def _upsert(connection: Connection, table: str, records: Sequence[Record], size: int) -> None:
    """Write records by COPY to a temporary table, and from there."""
    names = ", ".join(_NAMES)
    others = ", ".join(f"{name} = EXCLUDED.{name}" for name in _NAMES[1:])
    connection.execute(f"CREATE TEMP TABLE incoming (LIKE {table}) ON COMMIT DROP".encode(), [])
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY incoming ({names}) FROM STDIN".encode()) as copy,
    ):
        for each in records:
            copy.write_row(_row(each, size))
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming"
        f" ON CONFLICT (record_id) DO UPDATE SET {others}".encode(),
        [],
    )


def _row(record: Record, size: int) -> tuple[object, ...]:
    metadata = json.dumps(plain_metadata(record.metadata), ensure_ascii=False)
    if "\0" in record.title + record.text + record.record_id or has_nul(metadata):
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


def _quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _escaped(text: str) -> str:
    """Return a text for a query, in which a percent sign begins a parameter."""
    return text.replace("%", "%%")


def _storable(record_ids: Sequence[str]) -> list[str]:
    """Return the ids that PostgreSQL can have."""
    return [record_id for record_id in record_ids if "\0" not in record_id]
