"""Here are sparse vectors: keep them, and find the best k for a query vector.

The room holds a catalog of documents (SQLite) beside immutable segments of postings, and searches
them exactly. Begin reading at `index.py`; `snapshot.py` is what a reader sees, `writer.py` what a
writer does, and `catalog.py` the commit point.

It is not for text: `lexpand.encode` makes the vectors, `lexpand.search` answers questions in words.
"""

from lexpand.index.catalog import Commit
from lexpand.index.index import Index
from lexpand.index.passages import RankedPassages
from lexpand.index.results import (
    IndexInfo,
    Match,
    Matches,
    Presence,
    StoredVector,
    WordScore,
    WordShare,
)
from lexpand.index.schema import Schema
from lexpand.index.searcher import Searcher
from lexpand.index.searching import BM25
from lexpand.index.stored import StoredBatch
from lexpand.index.word_queries import WordQuery
from lexpand.index.writer import COMMIT_EVERY

__all__ = [
    "BM25",
    "COMMIT_EVERY",
    "Commit",
    "Index",
    "IndexInfo",
    "Match",
    "Matches",
    "Presence",
    "RankedPassages",
    "Schema",
    "Searcher",
    "StoredBatch",
    "StoredVector",
    "WordQuery",
    "WordScore",
    "WordShare",
]
