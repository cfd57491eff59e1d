"""Here are documents: keep them, search them, see why. The front door of Lexpand.

A `Collection` is an index together with its encoder and its pipeline. Begin reading at
`collection.py`; `making.py` has the settings of an index, `ingestion.py` and `synchronizing.py`
bring documents in.

It is not for vectors of other models (`lexpand.index`), nor for judging what is found
(`lexpand.evaluation`).
"""

from lexpand.collection.collection import Collection, create, open, open_or_create
from lexpand.collection.encoding_files import encode_to_file
from lexpand.collection.facts import CollectionInfo
from lexpand.collection.ingestion import IngestReport, OnDuplicate, ingest
from lexpand.collection.making import Wishes
from lexpand.collection.synchronizing import SyncPlan, SyncReport, plan_sync, sync

__all__ = [
    "Collection",
    "CollectionInfo",
    "IngestReport",
    "OnDuplicate",
    "SyncPlan",
    "SyncReport",
    "Wishes",
    "create",
    "encode_to_file",
    "ingest",
    "open",
    "open_or_create",
    "plan_sync",
    "sync",
]
