"""Requests to OpenSearch's plugins: those of its documentation. No server ran here."""

from typing import Any

import pytest

from lexpand.engines.neural_search import (
    encoding_pipeline,
    hybrid_query,
    model_query,
    neural_sparse_query,
    normalization_pipeline,
    registration,
    seismic_mapping,
    two_phase_pipeline,
)
from lexpand.errors import DataError, EngineError

HASH = "ab" * 32


def test_neural_sparse_by_raw_tokens() -> None:
    """docs.opensearch.org/latest/query-dsl/specialized/neural-sparse/."""
    assert neural_sparse_query("splade", {"1037": 1.7, "7": 0.5}) == {
        "neural_sparse": {"splade": {"query_tokens": {"1037": 1.7, "7": 0.5}}}
    }
    assert model_query("splade", "reset my login", "id") == {
        "neural_sparse": {"splade": {"query_text": "reset my login", "model_id": "id"}}
    }


def test_the_two_phase_pipeline() -> None:
    """Its page is search-plugins/search-pipelines/neural-sparse-query-two-phase-processor/."""
    assert two_phase_pipeline(prune_ratio=0.2) == {
        "request_processors": [
            {
                "neural_sparse_two_phase_processor": {
                    "enabled": True,
                    "two_phase_parameter": {
                        "prune_ratio": 0.2,
                        "expansion_rate": 5.0,
                        "max_window_size": 10_000,
                    },
                }
            }
        ]
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prune_ratio": 1.5}, "prune_ratio must be from 0 to 1, got 1.5"),
        ({"expansion_rate": 1.0}, "expansion_rate must be > 1, got 1"),
        ({"max_window_size": 50}, "max_window_size must be > 50, got 50"),
    ],
)
def test_wrong_parameters_of_two_phases(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        two_phase_pipeline(**options)


@pytest.mark.parametrize(
    ("version", "named"),
    [((3, 3, 0), {}), ((3, 8, 9), {}), ((3, 9, 0), {"engine": "lucene"})],
)
def test_the_engine_of_seismic_is_named_where_the_mapping_has_it(
    version: tuple[int, int, int], named: dict[str, str]
) -> None:
    method = seismic_mapping(3.0, 30_522, version)["method"]
    assert {key: value for key, value in method.items() if key != "parameters"} == {
        "name": "seismic",
        **named,
    }


def test_the_native_engine_of_seismic() -> None:
    """docs.opensearch.org/3.9/mappings/supported-field-types/sparse-vector/."""
    assert seismic_mapping(3.0, 30_522, (3, 9, 0), engine="native") == {
        "type": "sparse_vector",
        "method": {
            "name": "seismic",
            "engine": "native",
            "parameters": {
                "quantization_ceiling_ingest": 3.0,
                "quantization_ceiling_search": 16.0,
            },
        },
    }
    with pytest.raises(EngineError, match=r"needs OpenSearch 3\.9 or later, got 3\.8\.0"):
        seismic_mapping(3.0, 30_522, (3, 8, 0), engine="native")
    with pytest.raises(DataError, match="must be lucene or native, got 'faiss'"):
        seismic_mapping(3.0, 30_522, (3, 9, 0), engine="faiss")


def test_hybrid_search() -> None:
    """docs.opensearch.org/latest/vector-search/ai-search/hybrid-search/index/."""
    vectors = neural_sparse_query("splade", {"7": 1.0})
    assert hybrid_query("words", "reset my login", vectors) == {
        "hybrid": {"queries": [{"match": {"words": "reset my login"}}, vectors]}
    }
    assert normalization_pipeline(0.3, 0.7) == {
        "phase_results_processors": [
            {
                "normalization-processor": {
                    "normalization": {"technique": "min_max"},
                    "combination": {
                        "technique": "arithmetic_mean",
                        "parameters": {"weights": [0.3, 0.7]},
                    },
                }
            }
        ]
    }
    with pytest.raises(DataError, match=r"add up to 1, got 0\.5 and 0\.7"):
        normalization_pipeline(0.5, 0.7)


def test_a_model_in_the_cluster() -> None:
    """Its page is ml-commons-plugin/api/model-apis/register-model/."""
    body = registration("my-splade", "1.0.0", "https://example.org/m.zip", HASH, 1234)
    assert body["function_name"] == "SPARSE_ENCODING" and body["model_format"] == "TORCH_SCRIPT"
    assert (body["model_content_hash_value"], body["model_content_size_in_bytes"]) == (HASH, 1234)
    queries = registration("q", "1.0.0", "https://example.org/q.zip", HASH, 12, tokenizer=True)
    assert queries["function_name"] == "SPARSE_TOKENIZE"
    assert encoding_pipeline("id", {"text": "splade"}) == {
        "processors": [
            {
                "sparse_encoding": {
                    "model_id": "id",
                    "prune_type": "none",
                    "field_map": {"text": "splade"},
                }
            }
        ]
    }
    with pytest.raises(DataError, match="64 hexadecimal digits of sha256sum, got 'AB'"):
        registration("m", "1", "https://example.org/m.zip", "AB", 1)
