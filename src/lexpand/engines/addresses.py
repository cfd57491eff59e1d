"""Addresses of engines: ``https://host:9200/index``, ``postgresql://host/database/table`` ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lexpand.encode import Encoder
from lexpand.engines.connection import Connection, Credentials, without_secrets
from lexpand.engines.engine import Engine
from lexpand.engines.lucene import LuceneEngine
from lexpand.engines.milvus import MilvusEngine
from lexpand.engines.milvus_client import LITE, SCHEMES, MilvusAddress
from lexpand.engines.postgres import PostgresEngine
from lexpand.engines.qdrant import QdrantEngine
from lexpand.engines.qdrant_points import EdgePoints, ServerPoints
from lexpand.engines.targets import Fields
from lexpand.errors import DataError

EDGE = "qdrant-edge:"
"""The start of the address of a folder of Qdrant Edge."""

_FORMS = (
    "http://localhost:9200/pages (Elasticsearch, OpenSearch, Qdrant),"
    " postgresql://localhost/database/table, milvus+http://localhost:19530/pages,"
    " qdrant-edge:FOLDER, or milvus-lite:FOLDER.db/pages"
)


def open_engine(
    address: str,
    encoder: Encoder | None = None,
    *,
    fields: Fields | None = None,
    credentials: Path | None = None,
    ca: Path | None = None,
) -> Engine:
    """Return the engine at an address, which names the server and its index.

    A server over HTTP says whether it is Elasticsearch, OpenSearch or Qdrant.

    Args:
        address: ``https://HOST:PORT/INDEX``; ``postgresql://HOST:PORT/DATABASE/TABLE``;
            ``milvus+https://HOST:PORT/COLLECTION``; ``qdrant-edge:FOLDER``; or
            ``milvus-lite:FOLDER.db/COLLECTION``.
        encoder: encodes queries; None to search with vectors only.
        fields: the names of the fields of a target that something else filled.
        credentials: a file of credentials; None for those of the environment.
        ca: a file of certificates that are trusted besides those of the system; by Milvus,
            instead of those.

    Raises:
        DataError: the address has another form.
        EngineError: the server cannot be reached, or is of an unknown kind.
        MissingExtra: a package is not installed.
    """
    if address.startswith(EDGE):
        return QdrantEngine(EdgePoints(_folder(address)), encoder, fields)
    try:
        scheme = urlsplit(address).scheme
    except ValueError as error:
        raise DataError(
            f"{without_secrets(address)} is no valid address ({error}): give one such as {_FORMS}"
        ) from None
    found = Credentials.find(credentials)
    if scheme in ("postgresql", "postgres"):
        return PostgresEngine(address, encoder, fields, credentials=found, ca=ca)
    if scheme in SCHEMES or address.startswith(LITE):
        parsed = MilvusAddress.parse(address)
        return MilvusEngine(parsed, encoder, fields, credentials=found, ca=ca)
    if scheme in ("http", "https"):
        return _over_http(address, encoder, fields, found, ca)
    raise DataError(
        f"the address of an engine must be such as {_FORMS}, got {without_secrets(address)}"
    )


def _folder(address: str) -> Path:
    name = address.removeprefix(EDGE)
    if not name or name.startswith("//"):
        raise DataError(
            f"the address of Qdrant Edge must be qdrant-edge:FOLDER, got {without_secrets(address)}"
        )
    return Path(name).expanduser()


def _over_http(
    address: str,
    encoder: Encoder | None,
    fields: Fields | None,
    credentials: Credentials,
    ca: Path | None,
) -> Engine:
    parts = urlsplit(address)
    name = unquote(parts.path.strip("/"))
    try:
        is_valid = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError:  # the port is no number
        is_valid = False
    if not is_valid or not name or set(name) & set("/*,?") or name[0] in "_-+":
        raise DataError(
            "the address of an engine must be URL/INDEX, with one index, such as"
            f" http://localhost:9200/pages, got {without_secrets(address)}"
        )
    if parts.query or parts.fragment:
        raise DataError(
            f"the address of an engine must end with its index, got {without_secrets(address)}"
        )
    base = f"{parts.scheme}://{parts.netloc}"
    connection = Connection(base, credentials, ca=ca)
    about = connection.request("GET", "/")
    if _is_qdrant(about):
        own = Connection(base, credentials, key_header="api-key", ca=ca)
        points = ServerPoints(own, name, str(about.get("version", "")))
        return QdrantEngine(points, encoder, fields)
    return LuceneEngine(connection, name, encoder, fields)


def _is_qdrant(about: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(about, dict) and "qdrant" in str(about.get("title", "")).lower()
