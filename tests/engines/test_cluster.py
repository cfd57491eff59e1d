"""Three nodes of OpenSearch in three processes: shards, replicas, and a node that is killed."""

import json
import time
import urllib.request
from collections.abc import Iterator

import pytest
from engine_nodes import BUILT, NEWEST, Node, free_port

import lexpand
from lexpand.collection import Collection
from lexpand.engines import Connection, LuceneEngine, Verdict, push, verify
from lexpand.errors import EngineError

pytestmark = pytest.mark.slow

KIND = NEWEST[1]


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """A cluster of three nodes, the first of which is asked."""
    if not (BUILT / KIND / "ready").is_file():
        pytest.skip(f"the node of {KIND} is not built (make test-engines)")
    ports = [free_port() for _ in range(3)]
    found = [
        Node(KIND, tmp_path_factory.mktemp(f"node{number}"), (number, ports)) for number in range(3)
    ]
    try:
        for each in found:
            each.start()
        wait_for(found[0], nodes=3)
        yield found
    finally:
        for each in found:
            each.kill()


def health(node: Node, path: str = "") -> dict:
    with urllib.request.urlopen(f"{node.url}/_cluster/health{path}", timeout=30) as answer:
        return dict(json.load(answer))


def wait_for(node: Node, nodes: int, status: str = "green") -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = health(node)
        if found["number_of_nodes"] == nodes and found["status"] == status:
            return
        time.sleep(0.3)
    raise AssertionError(found)


def test_a_cluster_outlives_a_node(nodes: list[Node], support: Collection, tmp_path) -> None:
    rows = [
        {"id": f"{page.doc_id}-{i}", "title": page.title, "text": page.text}
        for i in range(8)
        for page in (support.get(doc_id) for doc_id in support.index.doc_ids())
    ]
    with lexpand.create(tmp_path / "many.index", rows) as kb:
        engine = LuceneEngine(Connection(nodes[0].url), "pages", kb.encoder)
        killed: list[bool] = []

        def kill(_: int) -> None:
            if not killed:
                killed.append(True)
                nodes[2].kill()

        push(kb.index, engine, shards=3, threads=2, on_done=kill)
        assert killed and sorted(engine.record_ids()) == sorted(kb.index.doc_ids())
        assert verify(engine, kb.encoder, kb.index).verdict is Verdict.WITHIN
        nodes[2].start()
        wait_for(nodes[0], nodes=3)
        expected = engine.rank(["reset my login"], 10)[0]
        nodes[2].kill()
        failures, answers = [], 0
        deadline = time.monotonic() + 60
        while answers < 20 and time.monotonic() < deadline:
            try:
                found = engine.rank(["reset my login"], 10)[0]
            except EngineError as error:  # never a ranking that lacks documents
                failures.append(str(error))
                continue
            answers += 1
            assert sorted(found.scores) == sorted(expected.scores)
        assert answers == 20
        assert all("shard" in each and "node" in each for each in failures), failures
        nodes[1].kill()
        gone = LuceneEngine(Connection(nodes[0].url, attempts=1), "pages", kb.encoder)
        with pytest.raises(EngineError):  # two of three nodes are gone, and so are shards
            for _ in range(50):
                gone.rank(["reset my login"], 10)
                time.sleep(0.1)
