"""What flows? Documents, queries, sparse vectors, vocabularies, runs and qrels, and how they come from files.

Everything else in Lexpand is handed these and hands them on. The room is for checking them once, where
they enter, and for the exchange formats: JSON lines, CSV, Parquet, text folders, BEIR's layout, TREC.

It is not for making vectors (`lexpand.encode`), for keeping documents (`lexpand.index`, which also finds a
doc_id that comes twice), nor for measures (`lexpand.evaluation`). It imports nothing of Lexpand but its errors.
"""

from lexpand.data.collections import collection_path
from lexpand.data.documents import Document, JsonValue, Query, check_id
from lexpand.data.qrels import Qrels
from lexpand.data.readers import Fields, read_documents, read_queries
from lexpand.data.run import Run, ScoredDocument
from lexpand.data.space import ModelId, VectorSpace
from lexpand.data.vectors import SparseVectors
from lexpand.data.vocabulary import Vocabulary

__all__ = [
    "Document",
    "Fields",
    "JsonValue",
    "ModelId",
    "Qrels",
    "Query",
    "Run",
    "ScoredDocument",
    "SparseVectors",
    "VectorSpace",
    "Vocabulary",
    "check_id",
    "collection_path",
    "read_documents",
    "read_queries",
]
