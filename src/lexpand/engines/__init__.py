"""Engines: the same ranking in the search engine that people already run.

An engine is a retriever that can also be filled. Start reading at `engine.py`, the protocol.
`lucene.py` has Elasticsearch and OpenSearch, `qdrant.py` Qdrant, and `postgres.py` PostgreSQL.
`pushing.py` fills an engine from an index, and `verifying.py` proves that its ranking is that of
the index. `connection.py` talks HTTP.

The package does not encode documents, and has no index of its own (`lexpand.index`).
"""

from lexpand.engines.addresses import open_engine
from lexpand.engines.connection import Connection, Credentials
from lexpand.engines.engine import Engine, EngineInfo, EngineSchema, Fields, UploadReport
from lexpand.engines.explaining import explain_in_engine
from lexpand.engines.lucene import LuceneEngine
from lexpand.engines.postgres import PostgresEngine
from lexpand.engines.pushing import push
from lexpand.engines.qdrant import QdrantEngine
from lexpand.engines.verifying import Verdict, Verification, verify

__all__ = [
    "Connection",
    "Credentials",
    "Engine",
    "EngineInfo",
    "EngineSchema",
    "Fields",
    "LuceneEngine",
    "PostgresEngine",
    "QdrantEngine",
    "UploadReport",
    "Verdict",
    "Verification",
    "explain_in_engine",
    "open_engine",
    "push",
    "verify",
]
