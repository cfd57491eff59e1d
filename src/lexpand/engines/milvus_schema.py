"""The schema of a collection of Milvus, its indexes, and its rows.

Source: the documentation of Milvus: *SPARSE_INVERTED_INDEX*, *Full Text Search*, *Milvus Limits*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexpand.engines.milvus_filters import METADATA
from lexpand.engines.records import Record, plain_metadata

KEY = "record_id"
"""The primary key."""

WORDS = "words"
"""The field of the words of BM25, those of title and text."""

WORDS_VECTOR = "words_bm25"
"""The field that Milvus computes from the words."""

VECTOR_SEARCH: Mapping[str, Any] = {"metric_type": "IP", "params": {"drop_ratio_search": 0.0}}
"""How vectors are searched: no small weight of a query is dropped."""

WORD_SEARCH: Mapping[str, Any] = {"metric_type": "BM25", "params": {"drop_ratio_search": 0.0}}
"""How words are searched."""

_LONGEST = 65_535  # bytes of a VARCHAR
_LONGEST_ID = 512
_NO_TERMS = {2**32 - 2: 1.0}
"""The vector of a record without terms: the largest index of Milvus, far beyond a vocabulary.

Milvus Lite refuses vectors that are empty.
"""


def schema_of(milvus: Any, vector: str, analyzer: str) -> Any:  # noqa: ANN401 - pymilvus
    """Return the schema of a collection for a push.

    Args:
        milvus: the module pymilvus.
        vector: the name of the field of the weights.
        analyzer: the analyzer of words.
    """
    kinds = milvus.DataType
    schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(KEY, kinds.VARCHAR, is_primary=True, max_length=_LONGEST_ID)
    schema.add_field("doc_id", kinds.VARCHAR, max_length=_LONGEST)
    schema.add_field("passage", kinds.INT64)
    schema.add_field("digest", kinds.VARCHAR, max_length=64)
    schema.add_field("title", kinds.VARCHAR, max_length=_LONGEST)
    schema.add_field("text", kinds.VARCHAR, max_length=_LONGEST)
    schema.add_field(METADATA, kinds.JSON)
    schema.add_field(
        WORDS,
        kinds.VARCHAR,
        max_length=_LONGEST,
        enable_analyzer=True,
        analyzer_params={"type": analyzer},
    )
    schema.add_field(vector, kinds.SPARSE_FLOAT_VECTOR)
    schema.add_field(WORDS_VECTOR, kinds.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        milvus.Function(
            name="bm25",
            function_type=milvus.FunctionType.BM25,
            input_field_names=[WORDS],
            output_field_names=[WORDS_VECTOR],
        )
    )
    return schema


def index_params(milvus: Any, vector: str) -> Any:  # noqa: ANN401 - pymilvus
    """Return the indexes of a collection: exact, because no weight is dropped."""
    found = milvus.MilvusClient.prepare_index_params()
    for name, metric in ((vector, "IP"), (WORDS_VECTOR, "BM25")):
        found.add_index(
            name,
            index_type="SPARSE_INVERTED_INDEX",
            metric_type=metric,
            params={"drop_ratio_build": 0.0},
        )
    return found


def row_of(record: Record, vector: str) -> dict[str, Any]:
    """Return a record as a row. Words beyond what a field can hold are not searched by BM25."""
    words = f"{record.title}\n{record.text}" if record.title else record.text
    return {
        KEY: record.record_id,
        "doc_id": record.doc_id,
        "passage": record.passage,
        "digest": record.digest(),
        "title": record.title,
        "text": record.text,
        METADATA: plain_metadata(record.metadata),
        WORDS: words.encode()[:_LONGEST].decode(errors="ignore"),
        vector: record.weight_by_term() or _NO_TERMS,
    }


def weights_of(stored: Mapping[int, float]) -> dict[int, float]:
    """Return the weights of a stored vector by term; none of a record without terms."""
    return {int(term): weight for term, weight in stored.items() if term not in _NO_TERMS}
