"""What differs between Elasticsearch and OpenSearch: the field, the query, the versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lexpand.engines.connection import Connection
from lexpand.errors import EngineError

Version = tuple[int, int, int]

_LARGEST_BOOST = 64.0
_NINE_BITS = 2.0**-8


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the two engines.

    Attributes:
        name: of the engine.
        oldest: the oldest version that works.
        mapping: returns the mapping of the vector field.
        query: returns the query of a field by the weights of terms.
        source: returns what a search must say to get vectors back.
        precision: the largest relative error of a stored weight.
    """

    name: str
    oldest: Version
    mapping: Callable[[Version], dict[str, Any]]
    query: Callable[[str, Mapping[str, float]], dict[str, Any]]
    source: Callable[[Version], Any]
    precision: float


def _sparse_vector(version: Version) -> dict[str, Any]:
    """Pruning is on by default since 8.19 and 9.1, and changes rankings, so it is always stated."""
    stated = version >= (9, 1, 0) or (8, 19, 0) <= version < (9, 0, 0)
    return {"type": "sparse_vector", **({"index_options": {"prune": False}} if stated else {})}


def _sparse_query(field: str, vector: Mapping[str, float]) -> dict[str, Any]:
    return {"sparse_vector": {"field": field, "query_vector": dict(vector), "prune": False}}


def _rank_query(field: str, vector: Mapping[str, float]) -> dict[str, Any]:
    """Return a sum of linear clauses. The boost of a clause is the weight, in (0, 64]."""
    largest = max(vector.values(), default=0.0)
    if largest > _LARGEST_BOOST:
        raise EngineError(
            f"OpenSearch accepts query weights up to {_LARGEST_BOOST:g}, got {largest:g}: scale the"
            " query, which does not change the ranking"
        )
    clauses = [
        {"rank_feature": {"field": f"{field}.{term}", "linear": {}, "boost": weight}}
        for term, weight in vector.items()
    ]
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


ELASTICSEARCH = Dialect(
    "elasticsearch",
    (8, 15, 0),
    _sparse_vector,
    _sparse_query,
    lambda version: {"exclude_vectors": False} if version >= (9, 2, 0) else True,
    _NINE_BITS,
)
OPENSEARCH = Dialect(
    "opensearch",
    (2, 11, 0),
    lambda version: {"type": "rank_features"},
    _rank_query,
    lambda version: True,
    _NINE_BITS,
)


def identified(connection: Connection) -> tuple[Dialect, Version]:
    """Return the dialect and the version of a cluster.

    Raises:
        EngineError: it cannot be reached, is neither of the two, or is too old.
    """
    answer = connection.request("GET", "/")
    about = answer.get("version", {}) if isinstance(answer, dict) else {}
    number = str(about.get("number", ""))
    parts = number.partition("-")[0].split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:3]):
        raise EngineError(
            f"{connection.base} must be Elasticsearch or OpenSearch, and answered"
            f" {json.dumps(answer)[:120]}"
        )
    version = (*map(int, parts[:3]), 0)[:3]
    dialect = OPENSEARCH if about.get("distribution") == "opensearch" else ELASTICSEARCH
    found = (version[0], version[1], version[2])
    if found < dialect.oldest:
        oldest = ".".join(map(str, dialect.oldest[:2]))
        raise EngineError(
            f"{connection.base} must be {dialect.name} {oldest} or later, got {number}"
        )
    return dialect, found
