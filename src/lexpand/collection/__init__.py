"""The main API of Lexpand: store documents, search them and explain the results.

A `Collection` is an index together with its encoder and its pipeline. Start reading at
`collection.py`. `settings.py` has the settings of an index; `ingestion.py` and `synchronizing.py`
bring documents in, and `reencoding.py` encodes them again.

The package does not take vectors of other models (`lexpand.index`), and does not measure results
(`lexpand.evaluation`).
"""

from lexpand.collection.collection import Collection, create, open, open_or_create
from lexpand.collection.encoding_files import encode_to_file
from lexpand.collection.info import CollectionInfo
from lexpand.collection.ingestion import IngestReport, OnDuplicate, ingest
from lexpand.collection.reencoding import ReencodeReport, reencode
from lexpand.collection.settings import IndexSettings
from lexpand.collection.synchronizing import SyncPlan, SyncReport, plan_sync, sync

__all__ = [
    "Collection",
    "CollectionInfo",
    "IndexSettings",
    "IngestReport",
    "OnDuplicate",
    "ReencodeReport",
    "SyncPlan",
    "SyncReport",
    "create",
    "encode_to_file",
    "ingest",
    "open",
    "open_or_create",
    "plan_sync",
    "reencode",
    "sync",
]
