"""The ways of docs/migrate.md, on real engines and small indexes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_nodes import KINDS, SUPPORT, Node, lexpand_command

from lexpand.collection import Collection
from lexpand.engines import Connection, LuceneEngine, open_engine
from lexpand.engines.records import records_of

pytestmark = pytest.mark.slow


def done(*arguments: object) -> str:
    found = lexpand_command(*arguments)
    assert found.returncode == 0, found
    return found.stdout


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, start_node: Callable[[str], Node]) -> str:
    return start_node(request.param).url


def fill(url: str, name: str, rows: list[dict[str, Any]], mappings: dict[str, Any]) -> None:
    connection = Connection(url)
    connection.request("DELETE", f"/{name}", missing=True)
    connection.request("PUT", f"/{name}", {"mappings": mappings})
    lines = [
        line
        for row in rows
        for line in (json.dumps({"index": {"_id": row["key"]}}), json.dumps(row))
    ]
    connection.request("POST", f"/{name}/_bulk?refresh=true", ("\n".join(lines) + "\n").encode())


@pytest.mark.parametrize("vectors", [False, True], ids=["bm25", "elser"])
def test_texts_of_a_cluster_become_an_index_beside_it(
    url: str, support: Collection, tmp_path: Path, vectors: bool
) -> None:
    """Also with vectors of another model, whose terms are named by tokens."""
    rows: list[dict[str, Any]] = [
        {"key": each.doc_id, "headline": each.title, "content": each.text, "length": len(each.text)}
        for each in (support.get(doc_id) for doc_id in support.index.doc_ids())
    ]
    mappings: dict[str, Any] = {"properties": {"content": {"type": "text"}}}
    options = []
    if vectors:
        engine = LuceneEngine(Connection(url), "x")
        kind = {"opensearch": "rank_features"}.get(engine.dialect.name, "sparse_vector")
        mappings["properties"]["ml"] = {"properties": {"tokens": {"type": kind}}}
        for row in rows:
            row["ml"] = {"tokens": {"elser": 1.5, "only": 0.25}}
        options = ["--vector-field", "ml.tokens"]
    fill(url, "articles", rows, mappings)
    where, index = tmp_path / "articles.jsonl", tmp_path / "articles.index"
    done("pull", f"{url}/articles", "--out", where, *options)
    first = json.loads(where.read_text().splitlines()[0])
    assert set(first) - {"ml"} == {"_id", "key", "headline", "content", "length"}
    assert not first.get("ml")
    done("index", where, index, "--text-field", "content", "--title-field", "headline")
    done("push", index, f"{url}/articles-splade")
    assert "equal within" in done("verify", index, f"{url}/articles-splade")
    store = tmp_path / "runs"
    questions = SUPPORT / "questions.csv"
    done("evaluate", f"{url}/articles-splade", questions, "--store", store)
    present = tmp_path / "present.trec"
    present.write_text("".join(f"q{i} Q0 SA001 1 1.0 bm25\n" for i in range(1, 31)))
    lexpand_command("evaluate", present, questions, "--run", "--name", "bm25-now", "--store", store)
    assert "bm25-now" in done("compare", "bm25-now", "articles-splade", "--store", store)
    if vectors:
        named = ["--vector-field", "ml.tokens", "--text-field", "content"]
        other = lexpand_command("verify", "default", f"{url}/articles", *named)
        assert other.returncode == 1 and "another model" in other.stdout
    for name in ("articles", "articles-splade"):
        with open_engine(f"{url}/{name}") as engine:
            engine.drop()


def test_vectors_of_another_program_in_qdrant(support: Collection, tmp_path: Path) -> None:
    edge = pytest.importorskip("qdrant_edge")
    folder = tmp_path / "theirs"
    folder.mkdir()
    config = edge.EdgeConfig(sparse_vectors={"text-sparse": edge.EdgeSparseVectorParams()})
    shard = edge.EdgeShard.create(str(folder), config)
    points = [
        edge.Point(
            number,
            {"text-sparse": edge.SparseVector(each.terms.tolist(), each.weights.tolist())},
            {"document": f"{each.title} {each.text}", "page": each.doc_id},
        )
        for number, each in enumerate(records_of(support.index))
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.close()
    theirs, ours = f"qdrant-edge:{folder}", f"qdrant-edge:{tmp_path / 'ours'}"
    named = ["--vector-field", "text-sparse"]
    assert done("verify", "default", theirs, *named, "--text-field", "document").startswith("equal")
    where, index = tmp_path / "articles.jsonl", tmp_path / "articles.index"
    done("pull", theirs, *named, "--out", where)
    done("index", where, index, "--text-field", "document", "--id-field", "page")
    done("push", index, ours)
    assert done("verify", index, ours).startswith("equal")
    hits = json.loads(done("search", ours, "dd-am04", "-k", "1", "--json"))
    assert [hit["doc_id"] for hit in hits["hits"]] == ["SA037"]


def test_impacts_are_pushed_as_they_are(url: str, support: Collection, tmp_path: Path) -> None:
    where, index = tmp_path / "impacts.jsonl", tmp_path / "impacts.index"
    done("export", support.index.path, where, "--scale", "100")
    done("import", where, index, "--scale", "100")
    done("push", index, f"{url}/impacts")
    with open_engine(f"{url}/impacts") as engine:
        assert engine.info().records == 160
        vector = engine.stored(["SA037"])["SA037"]
        assert len(vector.terms) > 10
        engine.drop()


def test_a_pull_gives_back_what_was_pushed(
    postgres: str, url: str, support_path: Path, tmp_path: Path
) -> None:
    pages = tmp_path / "pages.jsonl"
    table, folder = postgres.replace("TABLE", "pulled"), f"qdrant-edge:{tmp_path / 'edge'}"
    for address in (f"{url}/pages", table, folder):
        done("push", support_path, address)
        done("pull", address, "--out", pages, "--force")
        index = tmp_path / "again.index"
        done("index", pages, index)
        # The same texts have the same vectors, so nothing is written again.
        again = json.loads(done("push", index, address, "--json"))
        assert (again["uploaded"], again["unchanged"], again["deleted"]) == (0, 160, 0)
        with open_engine(address) as engine:
            engine.drop()
        shutil.rmtree(index)
    refused = lexpand_command("pull", f"{url}/none", "--out", tmp_path / "x.jsonl")
    assert refused.returncode == 1 and "has no none" in refused.stderr
    kept = lexpand_command("pull", f"{url}/none", "--out", pages)
    assert kept.returncode == 1 and "exists: choose another file" in kept.stderr
