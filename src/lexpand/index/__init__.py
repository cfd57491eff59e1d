"""Storage of sparse vectors, and exact top-k search for query vectors.

An index is a catalog of documents (SQLite) and immutable segment files with posting lists. Start
reading at `index.py`. `snapshot.py` is the state that a reader sees, `writer.py` makes changes, and
`catalog.py` holds the commit point.

The package does not encode text: `lexpand.encode` makes the vectors, and `lexpand.search` answers
text queries.
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
