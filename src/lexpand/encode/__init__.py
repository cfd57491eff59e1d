"""Here is text: which terms, with which weights?

The room turns texts into sparse vectors: tokenization, truncation, the transformer's body on ONNX
Runtime, the SPLADE head in the native core, and the model folder that holds them together. Beside
it, texts to words for BM25.

It is not for keeping vectors (`lexpand.index`) nor for training models (`lexpand.train`).
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
