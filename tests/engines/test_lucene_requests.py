"""Requests to Elasticsearch and OpenSearch, and answers that report failures, by a stand-in."""

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fake_cluster import ROOT, Answer, FakeCluster, running

from lexpand import SparseVectors
from lexpand.data import ModelId
from lexpand.engines import Connection, EngineSchema, LuceneEngine
from lexpand.engines.filters import column_properties
from lexpand.engines.records import Record, passage_ids, record_id_of
from lexpand.errors import DataError, EngineError

MODEL = ModelId("m", "ab" * 32)
OPEN: Answer = (200, {"version": {"number": "3.8.0", "distribution": "opensearch"}})


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running(FakeCluster({"GET /": [ROOT]})) as found:
        yield found


def engine_of(cluster: FakeCluster) -> LuceneEngine:
    return LuceneEngine(Connection(cluster.url, sleep=lambda _: None, attempts=4), "pages")


def record(name: str) -> Record:
    terms, weights = np.array([7, 1037], np.uint32), np.array([0.5, 1.7], np.float32)
    return Record(name, name, 0, "T", "text", {}, terms, weights)


def vectors(*rows: dict[int, float]) -> SparseVectors:
    indptr = np.cumsum([0, *map(len, rows)])
    terms = np.array([term for row in rows for term in sorted(row)], np.uint32)
    weights = np.array([row[term] for row in rows for term in sorted(row)], np.float32)
    return SparseVectors(indptr.astype(np.int64), terms, weights, 30522, MODEL)


def created(cluster: FakeCluster, number: str) -> dict:
    cluster.answers["GET /"] = [(200, {"version": {"number": number}})]
    cluster.answers["PUT /pages"] = [(200, {"acknowledged": True})]
    engine_of(cluster).create(EngineSchema(MODEL, 30522, {"year": "integer"}, 3))
    return dict(json.loads(cluster.asked[-1][3]))


@pytest.mark.parametrize(
    ("number", "stated"),
    [("8.15.0", False), ("8.18.9", False), ("8.19.0", True), ("9.0.4", False), ("9.1.0", True)],
)
def test_pruning_is_stated_where_the_mapping_has_it(
    cluster: FakeCluster, number: str, stated: bool
) -> None:
    body = created(cluster, number)
    field = body["mappings"]["properties"]["splade"]
    expected = {"index_options": {"prune": False}} if stated else {}
    assert field == {"type": "sparse_vector", **expected}
    assert body["settings"] == {"number_of_shards": 3}
    assert body["mappings"]["properties"]["metadata"]["properties"] == {"year": {"type": "long"}}
    assert body["mappings"]["_meta"]["lexpand"]["contract_hash"] == MODEL.hash


HITS = {
    "hits": {"hits": [{"_id": "a", "_score": 2.0, "_source": {"doc_id": "a"}}]},
    "_shards": {"total": 1, "failed": 0},
}


def test_elasticsearch_is_searched_without_pruning(cluster: FakeCluster) -> None:
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [HITS]})]
    (matches,) = engine_of(cluster).search_vectors(vectors({1037: 1.5}), 5)
    assert list(matches.doc_ids) == ["a"]
    body = json.loads(cluster.asked[-1][3].splitlines()[1])
    assert body["query"] == {
        "sparse_vector": {"field": "splade", "query_vector": {"1037": 1.5}, "prune": False}
    }
    assert body["size"] == 5 and body["collapse"] == {"field": "doc_id"}


def test_opensearch_is_searched_by_linear_clauses(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [OPEN]
    cluster.answers["PUT /pages"] = [(200, {})]
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [HITS]})]
    engine = engine_of(cluster)
    engine.create(EngineSchema(MODEL, 30522))
    created_as = json.loads(cluster.asked[-1][3])
    assert created_as["mappings"]["properties"]["splade"] == {"type": "rank_features"}
    engine.search_vectors(vectors({7: 0.5, 1037: 1.5}), 5)
    assert json.loads(cluster.asked[-1][3].splitlines()[1])["query"]["bool"]["should"] == [
        {"rank_feature": {"field": "splade.7", "linear": {}, "boost": 0.5}},
        {"rank_feature": {"field": "splade.1037", "linear": {}, "boost": 1.5}},
    ]
    with pytest.raises(EngineError, match="accepts query weights up to 64, got 65"):
        engine.search_vectors(vectors({7: 65.0}), 5)


def test_an_empty_query_finds_nothing(cluster: FakeCluster) -> None:
    empty = {"hits": {"hits": []}, "_shards": {"total": 1, "failed": 0}}
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [empty]})]
    (matches,) = engine_of(cluster).search_vectors(vectors({}), 5)
    assert len(matches) == 0
    assert json.loads(cluster.asked[-1][3].splitlines()[1])["query"] == {"match_none": {}}


def bulk_answer(*statuses: int) -> Callable[[bytes], tuple[int, dict]]:
    def answer(body: bytes) -> tuple[int, dict]:
        ids = [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]
        items = [
            {
                "index": {
                    "_id": name,
                    "status": status,
                    **({"error": {"type": "bad", "reason": "why"}} if status >= 300 else {}),
                }
            }
            for name, status in zip(ids, statuses, strict=True)
        ]
        return 200, {"errors": any(status >= 300 for status in statuses), "items": items}

    return answer


def test_busy_items_are_sent_again_and_refused_ones_listed(cluster: FakeCluster) -> None:
    cluster.answers["POST /pages/_bulk"] = [
        bulk_answer(201, 429, 400, 429),
        bulk_answer(429, 201),
        bulk_answer(201),
    ]
    refused, retries = engine_of(cluster).write([record(name) for name in "abcd"])
    assert [(each.record_id, each.reason) for each in refused] == [("c", "bad: why")]
    assert retries == 2
    sent = [
        [json.loads(line)["index"]["_id"] for line in asked[3].splitlines()[::2]]
        for asked in cluster.asked[1:]
    ]
    assert sent == [["a", "b", "c", "d"], ["b", "d"], ["b"]]
    assert cluster.asked[-1][2]["Content-Type"] == "application/x-ndjson"


def test_an_engine_that_stays_busy_loses_nothing_unnoticed(cluster: FakeCluster) -> None:
    cluster.answers["POST /pages/_bulk"] = [bulk_answer(429)]
    refused, _ = engine_of(cluster).write([record("a")])
    assert [(each.record_id, each.reason, each.busy) for each in refused] == [
        ("a", "the engine was busy for too long (bad: why): push again later", True)
    ]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_deletions_are_sent_again(cluster: FakeCluster, status: int) -> None:
    def answer(*statuses: int) -> Callable[[bytes], tuple[int, dict]]:
        def make(body: bytes) -> tuple[int, dict]:
            ids = [json.loads(line)["delete"]["_id"] for line in body.splitlines()]
            items = [
                {"delete": {"_id": name, "status": code, "error": {"type": "bad", "reason": "why"}}}
                for name, code in zip(ids, statuses, strict=True)
            ]
            return 200, {"items": items}

        return make

    cluster.answers["POST /pages/_bulk"] = [answer(200, status, 404), answer(200)]
    engine_of(cluster).delete(["a", "b", "c"])
    assert [line for line in cluster.asked[-1][3].splitlines()] == [b'{"delete": {"_id": "b"}}']
    cluster.answers["POST /pages/_bulk"] = [answer(status)]
    with pytest.raises(EngineError, match="deleting 'a' failed: bad: why: push again later"):
        engine_of(cluster).delete(["a"])


def test_a_record_that_another_status_calls_busy_is_sent_again(cluster: FakeCluster) -> None:
    cluster.answers["POST /pages/_bulk"] = [
        bulk_answer(503, 201),
        bulk_answer(504),
        bulk_answer(201),
    ]
    assert engine_of(cluster).write([record("a"), record("b")]) == ([], 2)


def test_a_missing_target_and_too_many_hits_are_named(cluster: FakeCluster) -> None:
    missing = {"error": {"type": "index_not_found_exception", "reason": "no such index [pages]"}}
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [missing]})]
    with pytest.raises(EngineError, match="there is no pages: push to it first"):
        engine_of(cluster).search_vectors(vectors({7: 1.0}), 5)
    with pytest.raises(EngineError, match="elasticsearch has no pages: push to it first"):
        engine_of(cluster).stored(["a"])
    with pytest.raises(
        DataError, match="gives at most 10,000 documents of a search, got k = 10,001"
    ):
        engine_of(cluster).search_vectors(vectors({7: 1.0}), 10_001)


@pytest.mark.parametrize(
    ("one", "other"), [("a", "a.b"), ("a.b", "a"), ("a.b", '"a.b"'), ('a."b.c"', "a.b")]
)
def test_columns_that_are_one_field_of_the_engine_are_refused(one: str, other: str) -> None:
    with pytest.raises(EngineError, match="are one field, or one inside of the other"):
        column_properties({one: "keyword", other: "keyword"}, {"keyword": "keyword"})
    assert column_properties({"a.b": "keyword", "a.c": "keyword"}, {"keyword": "keyword"}) == {
        "a": {
            "dynamic": False,
            "properties": {"b": {"type": "keyword"}, "c": {"type": "keyword"}},
        }
    }


def test_a_body_over_the_limit_is_split(cluster: FakeCluster) -> None:
    def answer(body: bytes) -> tuple[int, dict]:
        count = len(body.splitlines()) // 2
        return bulk_answer(*[201] * count)(body) if count <= 2 else (413, {"error": "too large"})

    cluster.answers["POST /pages/_bulk"] = [answer]
    refused, _ = engine_of(cluster).write([record(name) for name in "abcde"])
    assert refused == []
    cluster.answers["POST /pages/_bulk"] = [(413, {"error": "too large"})]
    with pytest.raises(EngineError, match="failed with 413"):
        engine_of(cluster).write([record("a")])


def test_a_shard_that_did_not_answer_is_an_error_with_its_node(cluster: FakeCluster) -> None:
    failure = {"shard": 2, "node": "n7", "reason": {"type": "timeout", "reason": "gone"}}
    partial = {**HITS, "_shards": {"total": 3, "failed": 1, "failures": [failure]}}
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [partial]})]
    with pytest.raises(EngineError, match="1 of 3 shards did not answer: shard 2 on node n7: time"):
        engine_of(cluster).search_vectors(vectors({7: 1.0}), 5)
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [{**HITS, "timed_out": True}]})]
    with pytest.raises(EngineError, match="the search timed out, so its ranking is incomplete"):
        engine_of(cluster).search_vectors(vectors({7: 1.0}), 5)


def test_ids_of_passages() -> None:
    assert record_id_of("a", None) == "a"
    assert record_id_of("a", 3) == "a#3"
    longest = "x" * 511
    assert record_id_of(longest, None) == longest
    assert len(record_id_of(longest, 12)) == 64
    assert record_id_of(longest, 12) != record_id_of(longest, 13)
    taken = {"a#0", "a##0", "b##0"}
    ids = [record_id_of(doc_id, 0, taken) for doc_id in ("a", "a#", "b#", "b")]
    assert len({*ids, *taken}) == 7
    assert record_id_of("a", 0, taken) in passage_ids("a", 0)


def test_seismic_is_asked_as_its_documentation_says(cluster: FakeCluster) -> None:
    """Its plugin is not in the public repository, so no server ran here."""
    cluster.answers["GET /"] = [OPEN]
    cluster.answers["PUT /pages"] = [(200, {"acknowledged": True})]
    engine = engine_of(cluster)
    engine.create(EngineSchema(MODEL, 30522, seismic=3.71239))
    body = json.loads(cluster.asked[-1][3])
    assert body["settings"] == {"number_of_shards": 1, "index": {"sparse": True}}
    assert body["mappings"]["properties"]["splade"] == {
        "type": "sparse_vector",
        "method": {
            "name": "seismic",
            "parameters": {
                "quantization_ceiling_ingest": 3.7124,
                "quantization_ceiling_search": 16.0,
            },
        },
    }
    meta = {"lexpand": EngineSchema(MODEL, 30522).card()}
    leaf = {"splade": {"mapping": {"splade": {"type": "sparse_vector"}}}}
    cluster.answers["GET /pages/_mapping"] = [(200, {"pages": {"mappings": {"_meta": meta}}})]
    cluster.answers["GET /pages/_mapping/field/splade"] = [(200, {"pages": {"mappings": leaf}})]
    cluster.answers["GET /pages/_count"] = [(200, {"count": 1})]
    cluster.answers["POST /pages/_msearch"] = [(200, {"responses": [HITS]})]
    engine_of(cluster).search_vectors(vectors({1037: 1.5, 7: 70.0}), 5)
    assert json.loads(cluster.asked[-1][3].splitlines()[1])["query"] == {
        "neural_sparse": {
            "splade": {
                "query_tokens": {"7": 70.0, "1037": 1.5},
                "method_parameters": {"k": 5, "top_n": 2, "heap_factor": 1.0},
            }
        }
    }


@pytest.mark.parametrize(
    ("root", "size", "said"),
    [
        (OPEN, 32_769, "folds term ids modulo 32,768, so that terms of a vocabulary of 32,769"),
        ((200, {"version": {"number": "9.5.3"}}), 30_522, "SEISMIC needs OpenSearch 3.3 or later"),
        (
            (200, {"version": {"number": "2.19.1", "distribution": "opensearch"}}),
            30_522,
            "SEISMIC needs OpenSearch 3.3 or later, got opensearch 2.19.1",
        ),
    ],
)
def test_seismic_is_refused_where_it_would_be_wrong(
    cluster: FakeCluster, root: Answer, size: int, said: str
) -> None:
    cluster.answers["GET /"] = [root]
    with pytest.raises(EngineError, match=said):
        engine_of(cluster).create(EngineSchema(MODEL, size, seismic=2.0))
    assert all(method != "PUT" for method, _, _, _ in cluster.asked)
