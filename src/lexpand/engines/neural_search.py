"""Requests to OpenSearch's plugins neural-search and ML Commons.

No server ran here: the plugins are in no public repository of packages. The requests follow the
documentation of OpenSearch 3.9 (docs.opensearch.org): *Neural sparse ANN search*, *Neural sparse*,
*Neural sparse query two-phase processor*, *Hybrid search*, *Custom local models*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexpand.errors import DataError, EngineError

Version = tuple[int, int, int]

SEISMIC_VERSION: Version = (3, 3, 0)
"""The first version of OpenSearch with SEISMIC."""

ENGINE_VERSION: Version = (3, 9, 0)
"""The first version whose mapping names the engine of SEISMIC, ``lucene`` or ``native``."""

_SEISMIC_TERMS = 32_768
_QUERY_CEILING = 16.0
_WINDOW = 50


def seismic_mapping(
    largest: float, vocabulary_size: int, version: Version, *, engine: str = "lucene"
) -> dict[str, Any]:
    """Return the mapping of a field for approximate search by SEISMIC.

    Weights are stored in a byte, up to a ceiling, which is by default 3: larger weights would be
    cut.

    Args:
        largest: the largest weight of a document.
        vocabulary_size: the number of terms.
        version: of the server.
        engine: ``lucene``, in the heap of Java; or ``native``, in mapped files.

    Raises:
        DataError: the engine is another one.
        EngineError: the vocabulary is too large, because term ids are folded modulo 32,768; or the
            version has no native engine.
    """
    if engine not in ("lucene", "native"):
        raise DataError(f"the engine of SEISMIC must be lucene or native, got {engine!r}")
    if engine == "native" and version < ENGINE_VERSION:
        raise EngineError(
            "the native engine of SEISMIC needs OpenSearch 3.9 or later, got"
            f" {'.'.join(map(str, version))}: use the engine lucene"
        )
    if vocabulary_size > _SEISMIC_TERMS:
        raise EngineError(
            f"SEISMIC of OpenSearch folds term ids modulo {_SEISMIC_TERMS:,}, so that terms of a"
            f" vocabulary of {vocabulary_size:,} would collide: push without --seismic"
        )
    parameters = {
        "quantization_ceiling_ingest": round(largest, 4),
        "quantization_ceiling_search": _QUERY_CEILING,
    }
    named = {"engine": engine} if version >= ENGINE_VERSION else {}
    return {
        "type": "sparse_vector",
        "method": {"name": "seismic", **named, "parameters": parameters},
    }


def seismic_query(field: str, vector: Mapping[str, float], k: int) -> dict[str, Any]:
    """Return a query of such a field, which keeps all terms of the query."""
    parameters = {"k": k, "top_n": len(vector), "heap_factor": 1.0}
    query = neural_sparse_query(field, vector)
    query["neural_sparse"][field]["method_parameters"] = parameters
    return query


def neural_sparse_query(field: str, vector: Mapping[str, float]) -> dict[str, Any]:
    """Return a query by the weights of terms, which needs no model in the cluster.

    The field is of type ``rank_features``, as a push makes it.
    """
    return {"neural_sparse": {field: {"query_tokens": dict(vector)}}}


def model_query(field: str, text: str, model_id: str) -> dict[str, Any]:
    """Return a query by a text, which a model or a tokenizer in the cluster encodes."""
    return {"neural_sparse": {field: {"query_text": text, "model_id": model_id}}}


def two_phase_pipeline(
    *, prune_ratio: float = 0.4, expansion_rate: float = 5.0, max_window_size: int = 10_000
) -> dict[str, Any]:
    """Return a search pipeline that scores by the heavy terms of a query first (OpenSearch 2.15).

    Rankings are approximate: a document that only light terms would raise is not found. It must not
    be used with SEISMIC.

    Args:
        prune_ratio: terms below this share of the heaviest weight wait for the second phase; 0
            scores all terms at once.
        expansion_rate: the documents that are scored again, as a multiple of the result's size.
        max_window_size: the most documents that are scored again.

    Raises:
        DataError: a value is out of its range.
    """
    if not 0 <= prune_ratio <= 1:
        raise DataError(f"prune_ratio must be from 0 to 1, got {prune_ratio:g}")
    if expansion_rate <= 1:
        raise DataError(f"expansion_rate must be > 1, got {expansion_rate:g}")
    if max_window_size <= _WINDOW:
        raise DataError(f"max_window_size must be > {_WINDOW}, got {max_window_size}")
    parameters = {
        "prune_ratio": prune_ratio,
        "expansion_rate": expansion_rate,
        "max_window_size": max_window_size,
    }
    processor = {"enabled": True, "two_phase_parameter": parameters}
    return {"request_processors": [{"neural_sparse_two_phase_processor": processor}]}


def hybrid_query(words_field: str, text: str, vector_query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query by words and by vectors, for a pipeline that combines their scores.

    Args:
        words_field: the field of the words, ``words`` of a push.
        text: the words.
        vector_query: the query of the vectors.
    """
    return {"hybrid": {"queries": [{"match": {words_field: text}}, dict(vector_query)]}}


def normalization_pipeline(words: float = 0.5, vectors: float = 0.5) -> dict[str, Any]:
    """Return a search pipeline for `hybrid_query`: the mean of scores scaled to 0 to 1.

    Raises:
        DataError: a weight is negative, or they do not add up to 1.
    """
    if min(words, vectors) < 0 or abs(words + vectors - 1) > 1e-6:
        raise DataError(
            f"the weights of words and vectors must be >= 0 and add up to 1, got {words:g} and"
            f" {vectors:g}"
        )
    processor = {
        "normalization": {"technique": "min_max"},
        "combination": {
            "technique": "arithmetic_mean",
            "parameters": {"weights": [words, vectors]},
        },
    }
    return {"phase_results_processors": [{"normalization-processor": processor}]}


def encoding_pipeline(model_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return an ingest pipeline that encodes texts by a model in the cluster, without pruning.

    Args:
        model_id: the id that the cluster gave the model.
        fields: the field of the vector for each field of a text.
    """
    processor = {"model_id": model_id, "prune_type": "none", "field_map": dict(fields)}
    return {"processors": [{"sparse_encoding": processor}]}


def registration(
    name: str, version: str, url: str, content_hash: str, size: int, *, tokenizer: bool = False
) -> dict[str, Any]:
    """Return the body of ``POST /_plugins/_ml/models/_register`` for a model of one's own.

    Args:
        name: the name of the model.
        version: its version, such as ``1.0.0``.
        url: where the cluster finds the zip archive.
        content_hash: the SHA-256 of the archive, in hexadecimal digits.
        size: the bytes of the archive.
        tokenizer: whether the archive has a tokenizer and query weights instead of a model.

    Raises:
        DataError: the hash is no SHA-256.
    """
    if len(content_hash) != 64 or set(content_hash) - set("0123456789abcdef"):
        raise DataError(
            f"content_hash must be the 64 hexadecimal digits of sha256sum, got {content_hash!r}"
        )
    return {
        "name": name,
        "version": version,
        "function_name": "SPARSE_TOKENIZE" if tokenizer else "SPARSE_ENCODING",
        "model_format": "TORCH_SCRIPT",
        "model_content_size_in_bytes": size,
        "model_content_hash_value": content_hash,
        "model_config": {
            "model_type": "sparse",
            "embedding_dimension": 1,
            "framework_type": "sentence_transformers",
        },
        "url": url,
    }
