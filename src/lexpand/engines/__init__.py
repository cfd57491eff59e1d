"""Engines: the same ranking in the search engine that people already run.

An engine is a retriever that can also be filled. Start reading at `engine.py`, the protocol.
`lucene.py` has Elasticsearch and OpenSearch, `qdrant.py` Qdrant, `milvus.py` Milvus, and
`postgres.py` PostgreSQL.
`pushing.py` fills an engine from an index, and `verifying.py` proves that its ranking is that of
the index. `connection.py` talks HTTP.

`bulk.py` encodes more documents than one machine can, a shard at a time, and `distributing.py`
gives the shards to Ray or Spark.

The package does not search indexes (`lexpand.search`) or keep them (`lexpand.index`).
"""

from lexpand.engines.addresses import open_engine
from lexpand.engines.bulk import BulkJob, Shard, ShardReport
from lexpand.engines.connection import Connection, Credentials
from lexpand.engines.distributing import Cluster, encode_shards
from lexpand.engines.engine import Engine
from lexpand.engines.explaining import explain_in_engine
from lexpand.engines.lucene import LuceneEngine
from lexpand.engines.milvus import MilvusEngine
from lexpand.engines.postgres import PostgresEngine
from lexpand.engines.pushing import push
from lexpand.engines.qdrant import QdrantEngine
from lexpand.engines.targets import EngineInfo, EngineSchema, Fields, UploadReport
from lexpand.engines.verifying import Verdict, Verification, verify
from lexpand.engines.words import EngineFusion, EngineWords, engine_pipeline

__all__ = [
    "BulkJob",
    "Cluster",
    "Connection",
    "Credentials",
    "Engine",
    "EngineFusion",
    "EngineInfo",
    "EngineSchema",
    "EngineWords",
    "Fields",
    "LuceneEngine",
    "MilvusEngine",
    "PostgresEngine",
    "QdrantEngine",
    "Shard",
    "ShardReport",
    "UploadReport",
    "Verdict",
    "Verification",
    "encode_shards",
    "engine_pipeline",
    "explain_in_engine",
    "open_engine",
    "push",
    "verify",
]
