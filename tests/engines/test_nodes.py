"""What only Elasticsearch and OpenSearch do: pruning, mappings, and a node that is killed."""

import threading
from pathlib import Path

import pytest
from engine_nodes import SUPPORT, Node

import lexpand
from lexpand.collection import Collection
from lexpand.data import read_judged
from lexpand.engines import (
    Connection,
    EngineSchema,
    LuceneEngine,
    Verdict,
    engine_pipeline,
    push,
    verify,
)
from lexpand.engines.records import records_of
from lexpand.errors import DataError, EngineError, FilterError
from lexpand.experiments.evaluating import evaluate_retriever

pytestmark = pytest.mark.slow  # `make test-engines` runs them


def test_an_upload_continues_after_the_node_was_killed(
    tmp_path_factory: pytest.TempPathFactory, node: Node, support: Collection, tmp_path: Path
) -> None:
    own = Node(node.kind, tmp_path_factory.mktemp("killed"))
    own.start()
    try:
        rows = [
            {"id": f"{page.doc_id}-{i}", "title": page.title, "text": page.text}
            for i in range(4)
            for page in (support.get(doc_id) for doc_id in support.index.doc_ids())
        ]
        with lexpand.create(tmp_path / "many.index", rows) as kb:
            # A loaded machine starts a node in more than the 15 seconds of six attempts.
            engine = LuceneEngine(Connection(own.url, attempts=10), "pages", kb.encoder)
            restarted = threading.Event()

            def interrupt(_: int) -> None:
                if not restarted.is_set():
                    restarted.set()
                    own.kill()
                    own.start()

            push(kb.index, engine, threads=1, on_done=interrupt)
            assert restarted.is_set()
            assert sorted(engine.record_ids()) == sorted(kb.index.doc_ids())
            assert verify(engine, kb.encoder, kb.index).verdict is Verdict.WITHIN
    finally:
        own.kill()


def only_elasticsearch(lucene: LuceneEngine) -> None:
    if lucene.dialect.name != "elasticsearch":
        pytest.skip("OpenSearch does not prune")


def test_pruning_by_default_is_noted(lucene: LuceneEngine, support: Collection) -> None:
    """A mapping that does not state pruning prunes in new versions."""
    only_elasticsearch(lucene)
    lucene._connection.request(
        "PUT",
        f"/{lucene._index}",
        {
            "mappings": {
                "properties": {
                    "splade": {"type": "sparse_vector", "index_options": {"prune": True}},
                    "doc_id": {"type": "keyword"},
                    "passage": {"type": "integer"},
                }
            }
        },
    )
    lucene.write(list(records_of(support.index)))
    lucene.refresh()
    found = verify(lucene, support.encoder, support.index)
    assert found.verdict is Verdict.WITHIN
    assert any("a query that does not say prune: false gets other hits" in n for n in found.notes)


def test_the_mapping_states_that_nothing_is_pruned(
    lucene: LuceneEngine, support: Collection
) -> None:
    only_elasticsearch(lucene)
    push(support.index, lucene)
    mapping = lucene._connection.request("GET", f"/{lucene._index}/_mapping")
    field = mapping[lucene._index]["mappings"]["properties"]["splade"]
    assert field == {"type": "sparse_vector", "index_options": {"prune": False}}
    assert verify(lucene, support.encoder, support.index).notes == ()


def test_records_that_the_engine_refuses_are_listed_and_the_others_kept(
    lucene: LuceneEngine, tmp_path: Path
) -> None:
    rows = [{"id": "good", "text": "printer"}, {"id": "bad", "text": "paper", "year": "soon"}]
    with lexpand.create(tmp_path / "r.index", rows) as kb:
        space = kb.index.space
        lucene.create(EngineSchema(space.model, len(space.vocabulary), {"year": "integer"}))
        refused, _ = lucene.write(list(records_of(kb.index)))
        assert [each.record_id for each in refused] == ["bad"]
        assert "year" in refused[0].reason
        lucene.refresh()
        assert list(lucene.record_ids()) == ["good"]


def test_a_target_that_something_else_made_is_not_touched(
    lucene: LuceneEngine, support: Collection
) -> None:
    """A push deletes what the index does not have."""
    mappings = {"properties": {"splade": {"type": "keyword"}, "doc_id": {"type": "keyword"}}}
    lucene._connection.request("PUT", f"/{lucene._index}", {"mappings": mappings})
    lucene._connection.request("PUT", f"/{lucene._index}/_doc/mine", {"doc_id": "mine"})
    lucene.refresh()
    with pytest.raises(EngineError, match="something else made it: choose another name"):
        push(support.index, lucene)
    assert lucene.info().records == 1
    refused, _ = lucene.write(list(records_of(support.index))[:1])
    assert len(refused) == 1 and "splade" in refused[0].reason


def test_words_are_searched_and_added_to_vectors(lucene: LuceneEngine, support: Collection) -> None:
    push(support.index, lucene)
    judged = read_judged(SUPPORT / "questions.csv")
    means = {
        name: evaluate_retriever(
            engine_pipeline(lucene, name), judged, ["nDCG@10"], cost=False
        ).means["nDCG@10"]
        for name in ("splade", "bm25", "hybrid")
    }
    own = evaluate_retriever(support.retriever("bm25"), judged, ["nDCG@10"], cost=False)
    assert means["bm25"] == pytest.approx(own.means["nDCG@10"], abs=0.1)  # other analysis
    assert means["hybrid"] > min(means["splade"], means["bm25"])
    (found,) = engine_pipeline(lucene, "bm25").rank(["DD-AM04"], 3)
    assert found.doc_ids[0] == "SA037"
    title = support.get("SA037").title
    (titled,) = engine_pipeline(lucene, "bm25").rank([title], 1)
    assert list(titled.doc_ids) == ["SA037"]
    hits = engine_pipeline(lucene, "hybrid").search("DD-AM04", 1)
    assert hits[0].doc_id == "SA037" and hits[0].title == title


def test_words_of_others_are_not_searched(lucene: LuceneEngine) -> None:
    lucene._connection.request("PUT", f"/{lucene._index}")
    with pytest.raises(EngineError, match="must be made by a push to be searched by words"):
        engine_pipeline(lucene, "bm25").rank(["x"], 3)
    with pytest.raises(DataError, match="pipeline of an engine must be one of"):
        engine_pipeline(lucene, "best")


def test_filters_use_declared_columns_only(lucene: LuceneEngine, tmp_path: Path) -> None:
    rows = [{"id": "d", "text": "printer paper jam", "color": "red"}]
    with lexpand.create(tmp_path / "f.index", rows) as kb:
        push(kb.index, lucene)
        with pytest.raises(FilterError, match="by declared columns only, got color"):
            lucene.rank(["printer"], 10, filter="color = red")
