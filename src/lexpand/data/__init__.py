"""What flows? Documents, queries, sparse vectors, vocabularies, runs and qrels, and how they are read.

Every other package is handed these and hands them on. This one checks them once, where they enter,
and knows the formats of exchange: JSON, CSV, Parquet, text files, data frames, BEIR's layout, TREC.

It is not for making vectors (`lexpand.encode`), for keeping documents (`lexpand.index`, which also
finds a doc_id that comes twice), nor for measures (`lexpand.evaluation`). Of Lexpand it imports the
errors alone.
"""

from lexpand.data.collections import collection_path
from lexpand.data.document_encoding import Chunks, DocumentEncoding, Dtype, Long, LongDocuments
from lexpand.data.documents import Document, JsonValue, Query, check_id
from lexpand.data.given import documents_of
from lexpand.data.model_id import ModelId
from lexpand.data.pruning import Pruning, banned_terms, parse_pruning
from lexpand.data.qrels import Qrels
from lexpand.data.readers import Fields, read_documents, read_queries
from lexpand.data.run import Run, ScoredDocument
from lexpand.data.space import VectorSpace
from lexpand.data.vectors import SparseVectors
from lexpand.data.vocabulary import Vocabulary

__all__ = [
    "Chunks",
    "Document",
    "DocumentEncoding",
    "Dtype",
    "Fields",
    "JsonValue",
    "Long",
    "LongDocuments",
    "ModelId",
    "Pruning",
    "Qrels",
    "Query",
    "Run",
    "ScoredDocument",
    "SparseVectors",
    "VectorSpace",
    "Vocabulary",
    "banned_terms",
    "check_id",
    "collection_path",
    "documents_of",
    "parse_pruning",
    "read_documents",
    "read_queries",
]
