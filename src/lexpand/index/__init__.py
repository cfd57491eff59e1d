"""Here are sparse vectors: keep them, and find the best k for a query vector.

The room holds a catalogue of documents (SQLite) beside immutable segments of postings, and searches them exactly.

It is not for text: `lexpand.encode` makes the vectors, `lexpand.search` answers questions in words.
"""

from lexpand.index.catalogue import Commit
from lexpand.index.index import Index
from lexpand.index.ingestion import COMMIT_EVERY, IngestReport, OnDuplicate, ingest
from lexpand.index.results import IndexInfo, Match, Presence, StoredVector

__all__ = [
    "COMMIT_EVERY",
    "Commit",
    "Index",
    "IndexInfo",
    "IngestReport",
    "Match",
    "OnDuplicate",
    "Presence",
    "StoredVector",
    "ingest",
]
