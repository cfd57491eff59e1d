"""Connections to Milvus: addresses, TLS, clients of pymilvus, and what is said about failures."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from lexpand.engines.connection import API_KEY, PASSWORD, USER, Credentials
from lexpand.errors import DataError, EngineError, LexpandError, MissingExtra, SourceError

LITE = "milvus-lite:"
"""The start of the address of a folder of Milvus Lite."""

SCHEMES = ("milvus+http", "milvus+https")
"""The schemes of the address of a server."""

TIMEOUT = 60.0
"""Seconds in which pymilvus repeats a request while a server is busy or cannot be reached."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_TOO_LARGE = "larger than max"
"""What gRPC says of a message over a limit; RESOURCE_EXHAUSTED is also a quota, say."""

_users: Counter[str] = Counter()
"""The open connections to each folder of Milvus Lite, which share one server in this process."""

_users_lock = Lock()
_NOT_REFUSALS = (2, 8, 9, 100)  # no connection, a limited rate, no writes at all, no collection


class Refused(EngineError):
    """Milvus refuses the rows of a request."""


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """The address of a collection.

    Attributes:
        uri: for pymilvus: a URL, or the absolute path of a folder of Milvus Lite.
        collection: the name of the collection.
    """

    uri: str
    collection: str

    @property
    def is_lite(self) -> bool:
        """Whether it is a folder of Milvus Lite."""
        return self.uri.endswith(".db")

    @classmethod
    def parse(cls, address: str) -> MilvusAddress:
        """Read ``milvus+https://HOST:PORT/COLLECTION`` or ``milvus-lite:FOLDER.db/COLLECTION``.

        Raises:
            DataError: the address has another form, or credentials in it.
        """
        if address.startswith(LITE):
            folder, _, collection = address.removeprefix(LITE).rpartition("/")
            path = os.path.abspath(Path(folder).expanduser())  # noqa: PTH100 - as Milvus Lite does
            found = cls(path, collection)
            if not folder.endswith(".db"):
                raise DataError(
                    f"the address of Milvus Lite must be milvus-lite:FOLDER.db/COLLECTION, got"
                    f" {address}"
                )
        else:
            parts = urlsplit(address)
            if parts.username or parts.password:
                raise DataError(
                    "the URL of an engine must not have credentials, which `ps` shows: set"
                    f" {USER} and {PASSWORD}, or {API_KEY}"
                )
            if not parts.hostname or not _has_port(address) or parts.query or parts.fragment:
                raise DataError(
                    "the address of Milvus must be milvus+https://HOST:PORT/COLLECTION, got"
                    f" {address}"
                )
            uri = f"{parts.scheme.removeprefix('milvus+')}://{parts.netloc}"
            found = cls(uri, unquote(parts.path.strip("/")))
        if not NAME.fullmatch(found.collection):
            raise DataError(
                "the name of a collection of Milvus must begin with a letter or _, and have only"
                f" letters, digits and _, got {found.collection!r}: choose another name"
            )
        return found


def connected(address: MilvusAddress, credentials: Credentials, ca: Path | None) -> Any:  # noqa: ANN401 - untyped
    """Return a client of pymilvus.

    Raises:
        DataError: credentials would be sent to another machine without TLS.
        EngineError: the server cannot be reached, or the folder cannot be opened.
        MissingExtra: pymilvus or milvus-lite is not installed.
        SourceError: the file of certificates cannot be read.
    """
    pymilvus = milvus_module()
    options: dict[str, Any] = {}
    if address.is_lite:
        _check_lite(address.uri)
    else:
        parts = urlsplit(address.uri)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if credentials.headers() and parts.scheme == "http" and not local:
            raise DataError(
                f"credentials must not be sent to {parts.hostname} without TLS: use milvus+https"
            )
        options = {
            "user": credentials.user,
            "password": credentials.password,
            "token": credentials.api_key,
            "secure": parts.scheme == "https",
        }
        if ca is not None:
            if not ca.is_file():
                raise SourceError(f"{ca} must be a file of certificates in PEM, and is no file")
            options["server_pem_path"] = str(ca)
    try:
        if not address.is_lite:
            return pymilvus.MilvusClient(address.uri, timeout=TIMEOUT, **options)
        with _users_lock:
            client = pymilvus.MilvusClient(address.uri, timeout=TIMEOUT)
            _users[address.uri] += 1
        return client
    except pymilvus.MilvusException as error:
        remedy = (
            "one process at a time can open a folder of Milvus Lite"
            if address.is_lite
            else "check the address, the credentials and that Milvus runs"
        )
        raise EngineError(
            f"{address.uri} cannot be opened: {_said(error.message)}: {remedy}"
        ) from None


def milvus_module() -> Any:  # noqa: ANN401 - a module
    """Return pymilvus, which then logs no failures, because they are raised.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pymilvus
    except ImportError:
        raise MissingExtra("pymilvus", "milvus", "talking to Milvus") from None
    for logger in ("pymilvus", "milvus_lite"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    return pymilvus


def release(address: MilvusAddress) -> None:
    """Let another process open a folder of Milvus Lite, if this was its last connection here."""
    if address.is_lite:
        from milvus_lite.server_manager import server_manager_instance

        with _users_lock:
            _users[address.uri] -= 1
            if not _users[address.uri]:
                del _users[address.uri]
                server_manager_instance.release_server(address.uri)


@contextmanager
def explained(where: str, *, refusing: bool = False) -> Iterator[None]:
    """Raise the errors of pymilvus as those of Lexpand.

    Args:
        where: the server or the folder, for people.
        refusing: whether an error other than of the connection is a `Refused`, and so is a message
            over a limit of gRPC.
    """
    import grpc

    pymilvus = milvus_module()
    try:
        yield
    except LexpandError:
        raise
    except pymilvus.MilvusException as error:
        code = error.code
        is_refusal = isinstance(code, int) and int(code) not in _NOT_REFUSALS
        if refusing and is_refusal:
            raise Refused(_said(error.message)) from None
        raise EngineError(f"{where}: {_said(error.message)}") from None
    except grpc.RpcError as error:
        details = _said(str(error.details() if hasattr(error, "details") else error))
        if refusing and _TOO_LARGE in details:
            raise Refused(details) from None
        raise EngineError(
            f"{where} failed: {details}: check the address and the credentials"
        ) from None


def _check_lite(folder: str) -> None:
    """Raise unless Milvus Lite can open a folder."""
    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        raise MissingExtra("milvus-lite", "milvus-lite", "a folder of Milvus Lite") from None
    path = Path(folder)
    if not path.parent.is_dir():
        raise DataError(f"{path.parent} must be a folder, in which Milvus Lite makes {path.name}")
    if path.exists() and not (path / "LOCK").is_file():
        raise DataError(f"{path} must be a folder of Milvus Lite, and is something else")


def _has_port(address: str) -> bool:
    try:
        return bool(urlsplit(address).port)
    except ValueError:  # the port is no number
        return False


def _said(text: str) -> str:
    return " ".join(text.split())[:500]
