"""Folded query weights: documents carry them, and a query is the bag of its tokens."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_nodes import NEWEST, SUPPORT, Node, Target, lexpand_command

import lexpand
from lexpand import Encoder, QueryEncoding
from lexpand.collection import Collection
from lexpand.encode import QueryTable, add_query_table
from lexpand.encode.folder import find_folder
from lexpand.engines import (
    Connection,
    Engine,
    LuceneEngine,
    explain_in_engine,
    open_engine,
    push,
    verify,
)
from lexpand.engines.folding import Folding
from lexpand.engines.records import Record
from lexpand.errors import ContractMismatch, DataError, EngineError

SIZE = 30_522
K = 10


def table() -> QueryTable:
    """Weights between 0.2 and 3.2, and 0 for every 50th term."""
    weights = np.random.default_rng(3).random(SIZE, np.float32) * 3 + 0.2
    weights[::50] = 0
    return QueryTable(weights)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with a table; its contract encodes queries by the transformer."""
    path = Path(shutil.copytree(find_folder("default"), tmp_path_factory.mktemp("fold") / "model"))
    add_query_table(path, table())
    return path


@pytest.fixture(scope="module")
def pages_path(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    path = tmp_path_factory.mktemp("fold") / "pages.index"
    lexpand.create(path, SUPPORT / "pages.jsonl.gz", model=model).close()
    return path


@pytest.fixture
def pages(pages_path: Path, model: Path) -> Iterator[Collection]:
    queries = QueryEncoding(mode="lookup")
    with lexpand.open(pages_path, model=model, queries=queries) as kb:
        yield kb


QUERIES = ["reset my login", "dd-am04", "the printer has no paper", "invoice of last month"]


def test_a_folded_target_ranks_as_the_index(
    engine: Engine, target: Target, pages: Collection
) -> None:
    engine.encoder = pages.encoder
    report = push(pages.index, engine, fold_query_weights=True)
    assert (report.uploaded, report.refused, engine.info().folded) == (160, [], True)
    again = push(pages.index, engine, fold_query_weights=True)
    assert (again.uploaded, again.unchanged) == (0, 160)
    for query in QUERIES:
        here = pages.search(query, K, pipeline="splade")
        (there,) = engine.rank([query], K)
        np.testing.assert_allclose(
            there.scores, [hit.score for hit in here], rtol=max(1e-5, engine.precision)
        )
        if not engine.precision:
            assert list(there.doc_ids) == [hit.doc_id for hit in here]
    found = verify(engine, pages.encoder, pages.index)
    assert found.verdict is target.verdict and found.differences == ()
    assert verify(engine, pages.encoder).verdict is target.verdict
    explained = explain_in_engine(engine, QUERIES[0], "SA091")
    local = pages.explain(QUERIES[0], "SA091", pipeline="splade")
    assert explained.score == pytest.approx(local.score, rel=max(1e-4, engine.precision))
    with pytest.raises(EngineError, match="made with folded query weights: push with --fold"):
        push(pages.index, engine)


def test_queries_of_a_model_with_both_modes_are_looked_up(
    engine: Engine, pages: Collection, model: Path
) -> None:
    engine.encoder = Encoder.load(model)
    push(pages.index, engine, fold_query_weights=True)
    (found,) = engine.rank([QUERIES[0]], K)
    here = pages.search(QUERIES[0], K, pipeline="splade")
    np.testing.assert_allclose(
        found.scores, [hit.score for hit in here], rtol=max(1e-5, engine.precision)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEWEST)
def test_any_client_can_send_a_bag_of_tokens(
    kind: str, start_node: Callable[[str], Node], pages: Collection
) -> None:
    """The query that a client without a model sends, and its scores on a real node."""
    engine = LuceneEngine(Connection(start_node(kind).url), "folded-pages", pages.encoder)
    try:
        push(pages.index, engine, fold_query_weights=True)
        for query in QUERIES:
            looked_up = pages.encoder.encode_queries([query]).as_dict(0)
            bag = {str(term): 1.0 for term in looked_up}
            body = {"size": K, "query": engine.dialect.query("splade", bag), "_source": False}
            answer = engine._connection.request("POST", "/folded-pages/_search", body)
            here = pages.search(query, K, pipeline="splade")
            np.testing.assert_allclose(
                [hit["_score"] for hit in answer["hits"]["hits"]],
                [hit.score for hit in here],
                rtol=engine.precision,
            )
    finally:
        engine.drop()


def test_what_cannot_be_folded_is_refused(
    engine: Engine, support: Collection, pages: Collection
) -> None:
    with pytest.raises(DataError, match="must have a table of query weights to fold them"):
        push(support.index, engine, fold_query_weights=True)
    with pytest.raises(ContractMismatch, match=r"of .*, not of splade-t.* with --model"):
        push(pages.index, engine, fold_query_weights=True)
    engine.encoder = None
    with pytest.raises(DataError, match="needs the model: give the engine an encoder"):
        push(pages.index, engine, fold_query_weights=True)
    assert engine.info().records is None
    push(pages.index, engine)
    assert not engine.info().folded
    engine.encoder = pages.encoder
    with pytest.raises(EngineError, match="no folded query weights: push without --fold"):
        push(pages.index, engine, fold_query_weights=True)


def scores_are_those_of(pages: Collection, engine: Engine) -> None:
    (there,) = engine.rank([QUERIES[0]], K)
    here = [hit.score for hit in pages.search(QUERIES[0], K, pipeline="splade")]
    np.testing.assert_allclose(there.scores, here, rtol=max(1e-5, engine.precision))


def test_a_target_that_was_dropped_is_asked_again(engine: Engine, pages: Collection) -> None:
    engine.encoder = pages.encoder
    for folded in (False, True, False):
        push(pages.index, engine, fold_query_weights=folded)
        scores_are_those_of(pages, engine)
        engine.drop()


def test_a_push_asks_for_the_target_again(target: Target, pages: Collection) -> None:
    """Another client may have dropped and made it."""
    if target.kind in ("edge", "milvus"):
        pytest.skip("a folder is opened by one client")
    with (
        open_engine(target.address, pages.encoder) as engine,
        open_engine(target.address, pages.encoder) as other,
    ):
        push(pages.index, engine)
        scores_are_those_of(pages, engine)
        other.drop()
        push(pages.index, other, fold_query_weights=True)
        push(pages.index, engine, fold_query_weights=True)
        scores_are_those_of(pages, engine)
        engine.drop()


def test_a_folded_target_needs_the_model(target: Target, pages: Collection) -> None:
    with open_engine(target.address, pages.encoder) as engine:
        push(pages.index, engine, fold_query_weights=True)
    with open_engine(target.address) as engine:
        vectors = pages.encoder.encode_queries(["login"])
        with pytest.raises(DataError, match="has folded query weights: give the model"):
            engine.search_vectors(vectors, K)
        engine.drop()


def test_folding_is_undone() -> None:
    folding = Folding(np.array([0.0, 2.0, 0.5], np.float32))
    terms, weights = np.array([0, 1, 2], np.uint32), np.array([1.0, 1.5, 3.0], np.float32)
    record = Record("a", "a", 0, "", "", {}, terms, weights)
    folded = folding.fold(record)
    assert folded.weight_by_term() == {1: 3.0, 2: 1.5}
    assert folding.unfold(folded).weight_by_term() == folding.known(record.weight_by_term())
    assert folding.query({1: 2.0, 2: 0.25}) == {1: 1.0, 2: 0.5}
    with pytest.raises(DataError, match="got the term 0: leave out the rule that adds it"):
        folding.query({0: 1.0})
    foreign = Record("a", "a", 0, "", "", {}, np.array([0, 9], np.uint32), weights[:2])
    assert folding.unfold(foreign).weight_by_term() == {0: 1.0, 9: 1.5}


def test_the_commands_know_a_folded_target(pages_path: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    url = f"qdrant-edge:{tmp_path / 'shard'}"
    pushed = lexpand_command("push", pages_path, url, "--fold-query-weights")
    assert pushed.returncode == 0 and "160 passages written" in pushed.stdout, pushed
    verified = lexpand_command("verify", pages_path, url)
    assert verified.returncode == 0 and verified.stdout.startswith("equal"), verified
    found = lexpand_command("search", url, "dd-am04", "-k", "1", "--model", model, "--json")
    assert [hit["doc_id"] for hit in json.loads(found.stdout)["hits"]] == ["SA037"]
    files = lexpand_command("push", pages_path, "vespa:files", "--fold-query-weights")
    assert files.returncode == 1 and "files for Vespa have the weights of the model" in files.stderr
