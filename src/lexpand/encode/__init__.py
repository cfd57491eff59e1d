"""Encode text as sparse vectors of weighted terms.

The package covers tokenization, truncation, the transformer body on ONNX Runtime, the SPLADE head
in the native core, and the model folder that holds them together. It also splits text into words
for BM25.

It does not store vectors (`lexpand.index`) or train models (`lexpand.train`).
"""

from lexpand.encode.cache import VectorCache
from lexpand.encode.contract import Contract, Golden, QueryMode, Role
from lexpand.encode.encoder import Encoder
from lexpand.encode.encoding import Encoding, Trace
from lexpand.encode.folder import add_query_table
from lexpand.encode.languages import languages
from lexpand.encode.long_documents import EncodedDocuments
from lexpand.encode.query_encoding import QueryEncoding
from lexpand.encode.query_table import QueryTable
from lexpand.encode.rules.rules import Rules
from lexpand.encode.statistics import EncodingStatistics
from lexpand.encode.tokens import Token
from lexpand.encode.words import WordAnalyzer, WordCounts

__all__ = [
    "Contract",
    "EncodedDocuments",
    "Encoder",
    "Encoding",
    "EncodingStatistics",
    "Golden",
    "QueryEncoding",
    "QueryMode",
    "QueryTable",
    "Role",
    "Rules",
    "Token",
    "Trace",
    "VectorCache",
    "WordAnalyzer",
    "WordCounts",
    "add_query_table",
    "languages",
]
