"""Qdrant: filters and folders of Edge, and requests to a server by a stand-in."""

import json
from pathlib import Path
from typing import Any

import filter_cases as cases
import numpy as np
import pytest
from fake_cluster import FakeCluster, running
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lexpand import SparseVectors
from lexpand.data import ModelId
from lexpand.engines import Connection, Credentials, EngineSchema, QdrantEngine, open_engine
from lexpand.engines.qdrant_filters import qdrant_filter
from lexpand.engines.qdrant_points import EdgePoints, Point, ServerPoints
from lexpand.engines.records import Record
from lexpand.errors import DataError, EngineError, FilterError
from lexpand.index.filters import Expression, OneOf, Range, matches, parse_text

pytest.importorskip("qdrant_edge")

MODEL = ModelId("m", "ab" * 32)
ROOT = (200, {"title": "qdrant - vector search engine", "version": "1.16.0"})
OK = (200, {"result": True, "status": "ok"})

METADATA: list[dict[str, Any]] = [
    {},
    {"a": None},
    {"a": []},
    {"a": {}},
    {"a": [[1, "b"]]},
    {"a": {"b": 1}},
    {"a": [{"b": 1}]},
    *({"a": value} for value in [0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, 2**62, 1e300]),
    *({"a": value} for value in [True, False, "", "a", "1", "true", 'say "x"', "é", "\U0001f600"]),
    *({"a": value} for value in [[1, "a"], [2010, 2030], [True, 3], ["b", None]]),
    {"a.b": 1, "é ü": "x", "2020": True, "it's": 3, "tab\t": 1, "[0]": 2},
]
KEYS = ["a", "a.b", "é ü", "2020", "it's", "[0]"]


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> EdgePoints:
    points = EdgePoints(tmp_path_factory.mktemp("edge") / "shard")
    points.create(1, {}, "splade")
    points.upsert(
        [
            Point(f"00000000-0000-0000-0000-{i:012d}", {1: 1.0}, {"n": i, "metadata": each})
            for i, each in enumerate(METADATA)
        ],
        "splade",
    )
    return points


numbers = st.sampled_from([0, 1, -1, 1.0, 0.5, 3, 2010, 2020, 2030, 2**53, 2**53 + 1, 2**62, 1e300])
values = numbers | st.sampled_from(["", "a", "b", "1", "true", 'say "x"', "é"])
fields = st.sampled_from([("a", "b"), *((key,) for key in KEYS)])


def conditions() -> st.SearchStrategy[Expression]:
    bounds = cases.ranges(numbers)
    return cases.conditions(fields, values) | st.builds(
        lambda field, pair: Range(field, *pair), fields, bounds
    )


@given(expression=cases.joined(conditions()))
@settings(max_examples=300, deadline=None)
def test_filters_agree_with_the_reference(shard: EdgePoints, expression: Expression) -> None:
    for condition in expression.conditions:
        if isinstance(condition, Range):
            limits = [bound.value for bound in condition.bounds]
            assume(not any(isinstance(each, str) for each in limits))
            assume(not any(abs(each) >= 2**53 for each in limits))  # float64 in Qdrant
    found = {each.payload["n"] for each in shard.scroll(["n"], qdrant_filter(expression), 100)}
    assert found == {i for i, each in enumerate(METADATA) if matches(expression, each)}


def test_filters_that_qdrant_does_not_have_are_refused(shard: EdgePoints) -> None:
    with pytest.raises(FilterError, match="cannot filter by booleans: store them as text"):
        list(shard.scroll(["n"], qdrant_filter(parse_text("a = true")), 10))
    assert qdrant_filter(parse_text("a = true")) == {
        "should": [{"key": "metadata.a", "match": {"value": True}}]
    }
    with pytest.raises(
        FilterError, match='cannot compare strings by order, as day >= "2024-01-01"'
    ):
        qdrant_filter(parse_text("day >= 2024-01-01"))
    with pytest.raises(FilterError, match="compares numbers in float64, which cannot hold 1000"):
        qdrant_filter(OneOf(("a",), (10**400,)))
    with pytest.raises(FilterError, match="cannot filter by the field 'q\"'"):
        qdrant_filter(parse_text('"q\\"" = 1'))


def record(name: str, text: str = "text") -> Record:
    terms, weights = np.array([7, 1037], np.uint32), np.array([0.5, 1.7], np.float32)
    return Record(name, name, 0, "T", text, {"year": 2020}, terms, weights)


def vectors(*rows: dict[int, float]) -> SparseVectors:
    indptr = np.cumsum([0, *map(len, rows)])
    terms = np.array([term for row in rows for term in sorted(row)], np.uint32)
    weights = np.array([row[term] for row in rows for term in sorted(row)], np.float32)
    return SparseVectors(indptr.astype(np.int64), terms, weights, 30522, MODEL)


def test_a_shard_is_kept_and_opened_by_one_at_a_time(tmp_path: Path) -> None:
    address = f"qdrant-edge:{tmp_path / 'shard'}"
    with open_engine(address) as engine:
        engine.create(EngineSchema(MODEL, 30522, {"year": "integer"}))
        engine.write([record("a"), record("b")])
        engine.refresh()
        with pytest.raises(EngineError, match="One process can open it at a time"):
            open_engine(address).info()
    with open_engine(address) as engine:
        info = engine.info()
        assert (info.records, info.model, info.columns) == (2, MODEL, {"year": "integer"})
        (found,) = engine.search_vectors(vectors({7: 2.0}), 10)
        assert list(found.doc_ids) == ["a", "b"] or list(found.doc_ids) == ["b", "a"]
        np.testing.assert_allclose(found.scores, [1.0, 1.0])
        assert engine.search_vectors(vectors({8: 2.0}, {}), 10)[0].doc_ids == []
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with open_engine(f"qdrant-edge:{other}") as engine:
        with pytest.raises(EngineError, match="must be an empty folder or a shard"):
            engine.create(EngineSchema(MODEL, 30522))
        with pytest.raises(DataError, match="has one shard, got 3"):
            engine.create(EngineSchema(MODEL, 30522, shards=3))
        engine.drop()
    assert (other / "notes.txt").read_text() == "mine"
    for address in ("qdrant-edge:", "qdrant-edge://host/x"):
        with pytest.raises(DataError, match="must be qdrant-edge:FOLDER"):
            open_engine(address)


def asked(cluster: FakeCluster, start: str) -> list[Any]:
    return [
        json.loads(body)
        for method, path, _, body in cluster.asked
        if f"{method} {path}".startswith(start)
    ]


def retrieved(body: bytes) -> tuple[int, Any]:
    """The answer to a request for points: the card of a push, or a record."""
    if json.loads(body)["with_vector"]:
        payload: dict[str, Any] = {"record_id": "a", "doc_id": "a", "text": "t"}
    else:
        payload = {"lexpand": EngineSchema(MODEL, 30522, {"year": "integer"}).card()}
    vector = {"splade": {"indices": [9, 2], "values": [1, 0.5]}}
    return 200, {"result": [{"id": "x", "payload": payload, "vector": vector}]}


def test_the_requests_to_a_server_are_those_of_its_documentation() -> None:
    """https://api.qdrant.tech: no server ran here."""
    with running(FakeCluster({"GET /": [ROOT]})) as cluster:
        where = "/collections/pages"
        cluster.answers |= {
            f"PUT {where}": [OK],
            f"PUT {where}/index": [OK],
            f"PUT {where}/points": [OK],
            f"POST {where}/points/query/batch": [
                (200, {"result": [{"points": [{"id": 1, "score": 2, "payload": {"doc_id": "a"}}]}]})
            ],
            f"POST {where}/points/count": [(200, {"result": {"count": 7}})],
            f"POST {where}/points": [retrieved],
            f"POST {where}/points/scroll": [
                (200, {"result": {"points": [{"id": 1}], "next_page_offset": 5}}),
                (200, {"result": {"points": [{"id": 5}], "next_page_offset": None}}),
            ],
            f"POST {where}/points/delete": [OK],
        }
        engine = open_engine(f"{cluster.url}/pages")
        assert isinstance(engine, QdrantEngine)
        engine.create(EngineSchema(MODEL, 30522, {"year": "integer"}, 3))
        cluster.answers[f"GET {where}"] = [OK]
        assert asked(cluster, f"PUT {where}") == [
            {"vectors": {}, "sparse_vectors": {"splade": {}}, "shard_number": 3},
            {"field_name": "metadata.year", "field_schema": "integer"},
            asked(cluster, f"PUT {where}/points?wait=true")[0],
        ]
        (card,) = asked(cluster, f"PUT {where}/points?wait=true")[0]["points"]
        assert card["vector"] == {} and card["payload"]["lexpand"]["contract_hash"] == MODEL.hash
        engine.write([record("a")])
        (point,) = asked(cluster, f"PUT {where}/points?wait=true")[1]["points"]
        assert point["vector"]["splade"]["indices"] == [7, 1037]
        assert point["payload"]["metadata"] == {"year": 2020}
        (found,) = engine.search_vectors(vectors({7: 2.0}), 5, filter="year >= 2018")
        assert list(found.doc_ids) == ["a"]
        assert asked(cluster, f"POST {where}/points/query/batch") == [
            {
                "searches": [
                    {
                        "query": {"indices": [7], "values": [2.0]},
                        "using": "splade",
                        "limit": 5,
                        "with_payload": ["doc_id"],
                        "filter": {"must": [{"key": "metadata.year", "range": {"gte": 2018}}]},
                    }
                ]
            }
        ]
        assert engine.stored(["a"])["a"].terms.tolist() == [2, 9]
        assert list(engine.record_ids()) == ["1", "5"]
        assert [each["offset"] for each in asked(cluster, f"POST {where}/points/scroll")] == [
            None,
            5,
        ]
        engine.delete(["a"])
        assert asked(cluster, f"POST {where}/points/delete") == [{"points": [point["id"]]}]


def test_a_key_goes_into_its_own_header_and_large_bodies_are_split() -> None:
    def answer(body: bytes) -> tuple[int, Any]:
        many = len(json.loads(body)["points"]) > 1 or b"huge" in body
        return (413, {"status": {"error": "payload too large"}}) if many else OK

    with running(FakeCluster({"PUT /collections/pages/points": [answer]})) as cluster:
        connection = Connection(
            cluster.url, Credentials(api_key="k"), key_header="api-key", sleep=lambda _: None
        )
        engine = QdrantEngine(ServerPoints(connection, "pages", "1.16.0"))
        refused, _ = engine.write([record("a"), record("b", "huge"), record("c")])
        assert [each.record_id for each in refused] == ["b"]
        assert "payload too large" in refused[0].reason
        headers = {name.lower(): value for name, value in cluster.asked[0][2].items()}
        assert headers["api-key"] == "k" and "authorization" not in headers
    with pytest.raises(DataError, match=r"must not be sent to qdrant\.example\.org without TLS"):
        Connection("http://qdrant.example.org", Credentials(api_key="k"), key_header="api-key")
