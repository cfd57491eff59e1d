"""Targets that something else filled, with fields, ids and names of terms of its own."""

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from engine_nodes import Node, lexpand_command

from lexpand.collection import Collection
from lexpand.engines import (
    Connection,
    Fields,
    LuceneEngine,
    Verdict,
    explain_in_engine,
    open_engine,
    verify,
)
from lexpand.engines.causes import Pair, causes_of
from lexpand.engines.records import records_of
from lexpand.engines.verifying import Check
from lexpand.errors import DataError, EngineError

FIELDS = Fields("ml.tokens", "content", "name")
FLAT = Fields("sparse", "content", "name", "key")


def tokens_of(
    support: Collection, change: Callable[[float], float] = float
) -> list[dict[str, Any]]:
    """The records as a pipeline writes them that names terms by tokens, but for those with dots."""
    term = support.index.space.vocabulary.term
    return [
        {
            "ml": {
                "tokens": {
                    term(each): change(weight)
                    for each, weight in record.weight_by_term().items()
                    if "." not in term(each)
                }
            },
            "content": record.text,
            "name": record.title,
            "key": record.doc_id,
        }
        for record in records_of(support.index)
    ]


def fill(lucene: LuceneEngine, rows: list[dict[str, Any]]) -> None:
    kind = {"elasticsearch": "sparse_vector", "opensearch": "rank_features"}[lucene.dialect.name]
    vectors: dict[str, Any] = {"type": kind}
    if kind == "sparse_vector":
        vectors["index_options"] = {"prune": False}
    mappings = {"properties": {"ml": {"properties": {"tokens": vectors}}}}
    lucene._connection.request("PUT", f"/{lucene.target}", {"mappings": mappings})
    lines = [line for row in rows for line in ('{"index":{}}', json.dumps(row))]
    body = ("\n".join(lines) + "\n").encode()
    answer = lucene._connection.request("POST", f"/{lucene.target}/_bulk", body)
    assert not answer["errors"]
    lucene.refresh()


@pytest.mark.slow
def test_an_index_with_tokens_for_names_is_verified_from_the_model_alone(
    lucene: LuceneEngine, node: Node, support: Collection
) -> None:
    fill(lucene, tokens_of(support))
    engine = LuceneEngine(Connection(node.url), lucene.target, support.encoder, FIELDS)
    found = verify(engine, support.encoder)
    assert found.records == found.vectors == 160
    (said,) = [each.said for each in found.differences if each.check is Check.VECTORS]
    assert re.fullmatch(r"1 term is never stored, in none of 160 vectors: \. .*", said)
    assert found.largest_weight_error <= engine.precision
    (there,) = engine.rank(["reset my login"], 5)
    assert len(there.doc_ids) == 5  # by the ids of the records
    assert all(page.text for page in engine.documents(there.doc_ids).values())
    assert found.scores > 40
    assert len(list(engine.record_ids())) == 160
    url = f"{node.url}/{lucene.target}"
    names = ["--vector-field=ml.tokens", "--text-field=content", "--title-field=name"]
    command = lexpand_command("verify", "default", url, *names)
    assert command.returncode == 1 and "1 term is never stored" in command.stdout, command
    with pytest.raises(DataError, match="names terms by tokens: give the model"):
        LuceneEngine(Connection(node.url), lucene.target, fields=FIELDS).search_vectors(
            support.encoder.encode_queries(["login"]), 3
        )


@pytest.mark.slow
def test_a_foreign_export_with_another_activation_is_found(
    lucene: LuceneEngine, node: Node, support: Collection
) -> None:
    fill(lucene, tokens_of(support, lambda weight: float(np.expm1(weight))))
    engine = LuceneEngine(Connection(node.url), lucene.target, support.encoder, FIELDS)
    found = verify(engine, support.encoder)
    assert found.verdict is Verdict.DIFFERENT
    assert any("relu instead of log1p" in each.said for each in found.differences)


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 0], ids=["right", "shifted"])
def test_a_table_of_others_is_verified(postgres: str, support: Collection, first: int) -> None:
    psycopg = pytest.importorskip("psycopg")
    host = parse_qs(urlsplit(postgres).query)["host"][0]
    with psycopg.connect(host=host, dbname="postgres", user="postgres", autocommit=True) as own:
        own.execute("CREATE EXTENSION IF NOT EXISTS vector")
        own.execute(
            'CREATE TABLE "their 100%" (key integer, content text, sparse sparsevec(30522))'
        )
        for i, record in enumerate(records_of(support.index)):
            pairs = ",".join(
                f"{term + first}:{weight}" for term, weight in record.weight_by_term().items()
            )
            full = f"{record.title} {record.text}"
            row = [i, full, f"{{{pairs}}}/30522"]
            own.execute('INSERT INTO "their 100%%" VALUES (%s, %s, %s)', row)
        address = postgres.replace("TABLE", "their%20100%25")
        try:
            with open_engine(address, support.encoder, fields=FLAT) as engine:
                found = verify(engine, support.encoder)
                assert found.records == found.vectors == 160
                if first:
                    assert found.verdict is Verdict.EQUAL
                    (ranking,) = engine.rank(["dd-am04"], 1)
                    assert list(ranking.doc_ids) == ["36"]
                    assert explain_in_engine(engine, "dd-am04", "36").score == pytest.approx(
                        ranking.scores[0], rel=1e-5
                    )
                else:
                    (said,) = [
                        each.said for each in found.differences if each.check is Check.VECTORS
                    ]
                    assert "shifted by -1" in said
            for fields, said in (
                (Fields("sparse", doc_id="id"), "has no column id of ids: .* one of key, content"),
                (Fields("emb"), "has no table their 100% with emb: there is key, content, sparse"),
            ):
                with (
                    open_engine(address, support.encoder, fields=fields) as engine,
                    pytest.raises(EngineError, match=said),
                ):
                    verify(engine, support.encoder)
        finally:
            own.execute('DROP TABLE "their 100%"')


@pytest.mark.slow
def test_a_shard_of_others_is_verified(tmp_path: Path, support: Collection) -> None:
    edge = pytest.importorskip("qdrant_edge")
    folder = tmp_path / "theirs"
    folder.mkdir()
    config = edge.EdgeConfig(sparse_vectors={"text-sparse": edge.EdgeSparseVectorParams()})
    shard = edge.EdgeShard.create(str(folder), config)
    points = []
    for i, record in enumerate(records_of(support.index)):
        vector = edge.SparseVector(record.terms.tolist(), record.weights.tolist())
        point_id = i if i % 2 else str(uuid.UUID(int=i))
        text = f"{record.title} {record.text}"
        points.append(edge.Point(point_id, {"text-sparse": vector}, {"document": text}))
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.close()
    fields = Fields("text-sparse", "document", "title", "none")
    with open_engine(f"qdrant-edge:{folder}", support.encoder, fields=fields) as engine:
        found = verify(engine, support.encoder)
        assert found.verdict is Verdict.EQUAL and found.records == found.vectors == 160
        (ranking,) = engine.rank(["dd-am04"], 1)
        assert list(ranking.doc_ids) == [str(uuid.UUID(int=36))]
        assert explain_in_engine(engine, "dd-am04", ranking.doc_ids[0]).contributions


def test_shifted_ids_are_named() -> None:
    pairs = [Pair("a", {3: 1.0, 5: 2.0}, {2: 1.0, 4: 2.0})]
    assert causes_of(pairs, 1e-5)[0].startswith("term ids are shifted by -1")
    assert (
        "shifted"
        not in causes_of([Pair("a", {3: 1.0}, {2: 1.0}), Pair("b", {3: 1.0}, {4: 1.0})], 1e-5)[0]
    )
