"""Addresses of engines: ``https://host:9200/index``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lexpand.encode import Encoder
from lexpand.engines.connection import Connection, Credentials
from lexpand.engines.engine import Engine
from lexpand.engines.lucene import LuceneEngine
from lexpand.errors import DataError


def open_engine(
    address: str,
    encoder: Encoder | None = None,
    *,
    credentials: Path | None = None,
    ca: Path | None = None,
) -> Engine:
    """Return the engine at an address, which names the cluster and its index.

    The cluster says whether it is Elasticsearch or OpenSearch.

    Args:
        address: such as ``https://search.example.org:9200/pages``.
        encoder: encodes queries; None to search with vectors only.
        credentials: a file of credentials; None for those of the environment.
        ca: a file of certificates that are trusted besides those of the system.

    Raises:
        DataError: the address names no index.
        EngineError: the cluster cannot be reached, or is of an unknown kind.
        MissingExtra: urllib3 is not installed.
    """
    parts = urlsplit(address)
    name = unquote(parts.path.strip("/"))
    if not name or "/" in name or parts.query or parts.fragment:
        raise DataError(
            f"the address of an engine must be URL/INDEX, such as http://localhost:9200/pages, got"
            f" {address}"
        )
    found = Credentials.find(credentials)
    base = f"{parts.scheme}://{parts.netloc}"
    return LuceneEngine(Connection(base, found, ca=ca), name, encoder)
