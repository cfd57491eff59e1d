"""The data that all packages share: documents, queries, sparse vectors, vocabularies, runs, qrels.

This package checks the data once, when it is created, and reads and writes exchange formats: JSON,
CSV, Parquet, text files, data frames, BEIR's layout and TREC.

It does not encode texts (`lexpand.encode`), store documents and detect repeated ids
(`lexpand.index`), or measure runs (`lexpand.evaluation`). Of Lexpand, it imports only the errors.
"""

from lexpand.data.collections import collection_path
from lexpand.data.document_encoding import Chunks, DocumentEncoding, Dtype, Long, LongDocuments
from lexpand.data.documents import Document, JsonValue, Query, check_id
from lexpand.data.judged import JudgedQueries, read_judged, read_query_log, write_quepid
from lexpand.data.model_id import ModelId
from lexpand.data.objects import documents_of
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
    "JudgedQueries",
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
    "read_judged",
    "read_queries",
    "read_query_log",
    "write_quepid",
]
