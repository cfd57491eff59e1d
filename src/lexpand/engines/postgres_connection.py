"""Connections to PostgreSQL: addresses, TLS, pools, and what is said about failures."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from lexpand.engines.connection import Credentials, without_secrets
from lexpand.errors import DataError, EngineError, MissingExtra

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

_OLDEST = (0, 7)  # of pgvector, with sparsevec
_POOL = 16
_LONGEST_NAME = 63  # in bytes
_TIMEOUT = 30.0
_CONNECTION, _INTERVENTION = "08", "57"  # classes of SQLSTATE


class ConnectionLost(EngineError):
    """The connection was lost, or the server is starting or stopping."""


class Connected:
    """A connection of a pool for one transaction, whose errors are Lexpand's.

    Args:
        pool: the pool.
        where: the database, for people.
        refusing: whether `refusals` are left as they are, for a caller that looks for the record.
    """

    def __init__(self, pool: ConnectionPool, where: str, *, refusing: bool = False) -> None:
        self._context = pool.connection()
        self._where = where
        self._refusing = refusing

    def __enter__(self) -> Connection:
        from psycopg_pool import PoolTimeout

        try:
            return self._context.__enter__()
        except PoolTimeout as error:
            raise ConnectionLost(
                f"{self._where} cannot be reached: {error}: check the address, the user and the"
                " password"
            ) from None

    def __exit__(self, raised: type[BaseException] | None, error: Any, trace: Any) -> None:  # noqa: ANN401
        import psycopg

        try:
            self._context.__exit__(raised, error, trace)
        except psycopg.Error as failed:  # of the commit
            error = failed
        if isinstance(error, psycopg.Error) and not (
            self._refusing and isinstance(error, refusals())
        ):
            code = error.sqlstate or _CONNECTION
            kind = ConnectionLost if code.startswith((_CONNECTION, _INTERVENTION)) else EngineError
            raise kind(f"{self._where}: {_explained(error)}") from None


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which the database refuses a record."""
    import psycopg

    return (
        psycopg.DataError,
        psycopg.IntegrityError,
        psycopg.errors.ProgramLimitExceeded,
        ValueError,
    )


def identified(options: Mapping[str, Any], where: str) -> str:
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


def connection_options(
    address: str, credentials: Credentials, ca: Path | None
) -> tuple[dict[str, Any], str]:
    """Return the options of a connection and the name of the table.

    Raises:
        DataError: the address has another form, or a password in it; or there is an API key.
    """
    parts = urlsplit(address)
    path = [unquote(part) for part in parts.path.strip("/").split("/")]
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(asked) - {"host", "port"})
    if len(path) != 2 or not all(path) or parts.fragment or unknown:
        raise DataError(
            "the address of PostgreSQL must be postgresql://HOST:PORT/DATABASE/TABLE, got"
            f" {without_secrets(address)}"
        )
    check_name(path[1])
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
    if port := asked.get("port") or _port_of(parts.netloc):
        if not port.isdigit():
            raise DataError(f"the port of PostgreSQL must be a number, got {port!r}")
        options["port"] = int(port)
    if user := credentials.user or unquote(parts.username or ""):
        options["user"] = user
    if credentials.password:
        options["password"] = credentials.password
    if not (host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")):
        options |= {"sslmode": "verify-full", "sslrootcert": "system" if ca is None else str(ca)}
    return options, path[1]


def check_name(name: str) -> None:
    """Check that PostgreSQL does not cut a name, so that two names would be one.

    Raises:
        DataError: it has more than 63 bytes, or U+0000.
    """
    if len(name.encode()) > _LONGEST_NAME or "\0" in name:
        raise DataError(
            f"a name in PostgreSQL must have at most {_LONGEST_NAME} bytes, got"
            f" {len(name.encode())}: {name!r}; choose a shorter one"
        )


def _port_of(netloc: str) -> str:
    """Return the port of an address as it is written; empty if it has none."""
    place = netloc.rpartition("@")[2]
    return place.rpartition("]")[2].rpartition(":")[2] if ":" in place.rpartition("]")[2] else ""


def connection_pool(options: Mapping[str, Any]) -> ConnectionPool:
    """Return a pool of connections, which are made when they are needed."""
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
