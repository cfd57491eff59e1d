"""Evaluate a retriever: what counts, and what it costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import lexpand
from lexpand import Document, Qrels, Query, Run
from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.errors import DataError
from lexpand.evaluation import evaluate
from lexpand.evaluation.store import RunStore
from lexpand.experiments.costs import Latency, cost_of
from lexpand.experiments.evaluating import (
    evaluate_collection,
    evaluate_foreign,
    evaluate_retriever,
)
from lexpand.experiments.query_kinds import IDENTIFIER, NO_SHARED_WORD, SPLIT, query_kinds
from lexpand.index import Match, Matches
from lexpand.search import Retriever


def judged(queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]]) -> JudgedQueries:
    listed = tuple(Query(query, text) for query, text in queries.items())
    return JudgedQueries(listed, Qrels(qrels), {}, "test", ())


def test_the_run_is_what_search_prints(support: Collection, questions: JudgedQueries) -> None:
    done = evaluate_collection(support, questions, cost=False)
    for query in questions.queries[:5]:
        hits = support.search(query.text, 10)
        ranking = done.run.rankings[query.query_id][:10]
        assert [(hit.doc_id, hit.score) for hit in hits] == [tuple(each) for each in ranking]
    assert done.means == evaluate(done.run, questions.qrels)
    assert done.name == "hybrid"


def test_the_depth_follows_the_measures(support: Collection, questions: JudgedQueries) -> None:
    assert evaluate_collection(support, questions, ["nDCG@10"], cost=False).k == 100
    assert evaluate_collection(support, questions, ["R@150"], cost=False).k == 150
    done = evaluate_collection(support, questions, ["nDCG@3"], k=3, cost=False)
    assert {len(ranking) for ranking in done.run.rankings.values()} == {3}
    with pytest.raises(DataError, match="k must be >= 10 for nDCG@10, got 3: leave k out"):
        evaluate_collection(support, questions, ["RR@5", "nDCG@10"], k=3)
    with pytest.raises(DataError, match="unknown measure 'nDGC@10'"):
        evaluate_collection(support, questions, ["nDGC@10"])


def test_the_card_tells_what_decides_a_ranking(
    support: Collection, questions: JudgedQueries, tmp_path: Path
) -> None:
    stored = evaluate_collection(support, questions, pipeline="splade").save(RunStore(tmp_path))
    facts = stored.card.facts
    assert facts["index"]["fingerprint"] == support.index.fingerprint()
    assert facts["index"]["documents"] == 160
    assert facts["model"]["contract_hash"] == support.encoder.space.model.hash
    assert facts["pipeline"]["name"] == "splade"
    assert facts["queries"]["mode"] == "encoder"
    assert facts["collection"]["queries"] == 30
    assert facts["cost"]["documents"] == 160
    assert stored.card.measures["nDCG@10"] == pytest.approx(
        np.mean(list(stored.values()["nDCG@10"].values()))
    )


def test_flops_are_the_expected_products_of_a_query_and_a_document(
    support: Collection, questions: JudgedQueries
) -> None:
    cost = cost_of(support.retriever("splade"), questions.judged)
    texts = [query.text for query in questions.judged]
    queries = list(support.encoder.encode_queries(texts).as_dicts())
    documents = [
        set(support.index.vector(doc_id).terms.tolist()) for doc_id in support.index.doc_ids()
    ]
    products = [len(document.intersection(query)) for query in queries for document in documents]
    assert cost.flops == pytest.approx(np.mean(products))
    assert cost.document_terms == pytest.approx(np.mean([len(each) for each in documents]))
    assert cost.query_terms == pytest.approx(np.mean([len(each) for each in queries]))
    assert cost.query_term_counts == tuple(map(len, queries))
    assert cost.document_term_counts == tuple(map(len, documents))
    assert cost.timed_queries == 30
    size = sum(path.stat().st_size for path in support.path.rglob("*") if path.is_file())
    assert cost.bytes_per_document == pytest.approx(size / 160, rel=0.3)


def test_words_alone_have_no_flops(support: Collection, questions: JudgedQueries) -> None:
    cost = cost_of(support.retriever("bm25"), questions.judged, encode_documents=True)
    assert cost.flops is None and cost.documents_per_second is None
    assert cost.encode_ms is not None and cost.search_ms is not None


def test_latencies_are_percentiles() -> None:
    assert Latency.of(list(range(101))) == Latency(50, 95, 99)


SELF = [
    Document("q1", "Should schools sell sweets to pupils?"),
    Document("other", "Sweets that schools sell make pupils fat."),
    Document("copy", "IS NUCLEAR  POWER\nSAFE"),
    Document("answer", "Nuclear power is as safe as wind."),
]


@pytest.fixture
def arguments(tmp_path: Path) -> Collection:
    return lexpand.create(tmp_path / "arguments.index", SELF)


def test_a_query_that_is_a_document_does_not_find_itself(arguments: Collection) -> None:
    queries = {"q1": "Should schools sell sweets to pupils?", "q2": "Is nuclear power safe"}
    collection = judged(queries, {"q1": {"other": 1}, "q2": {"answer": 1}})
    done = evaluate_collection(arguments, collection, ["RR@10"], cost=False)
    assert done.self_matches == {"q1": ["q1"], "q2": ["copy"]}
    assert done.means == {"RR@10": 1.0}
    assert any(
        "2 queries are documents themselves, which were left out of their rankings: q1, q2" in line
        for line in done.accounting()
    )
    kept = evaluate_collection(arguments, collection, ["RR@10"], cost=False, self_matches="keep")
    assert kept.means == {"RR@10": 0.5} and not kept.self_matches


def test_a_document_that_is_judged_relevant_stays(arguments: Collection) -> None:
    collection = judged({"q": "is nuclear power safe"}, {"q": {"copy": 1}})
    done = evaluate_collection(arguments, collection, ["RR@10"], cost=False)
    assert done.means == {"RR@10": 1.0} and not done.self_matches


def test_equal_ids_with_other_texts_are_not_self_matches(arguments: Collection) -> None:
    """Cranfield's query 1 is not its document 1."""
    collection = judged({"answer": "safe wind power"}, {"answer": {"copy": 1}})
    done = evaluate_collection(arguments, collection, ["RR@10"], cost=False)
    assert "answer" in [hit.doc_id for hit in done.run.rankings["answer"]]


def test_chunks_are_evaluated_by_document(tmp_path: Path) -> None:
    filler = "The weather was grey and nothing happened. " * 12
    kb = lexpand.create(
        tmp_path / "chunks.index",
        [
            {"id": "long", "text": f"{filler} Reset the router with a paper clip. {filler}"},
            {"id": "short", "text": "Invoices are sent each month."},
        ],
        encoding={"long": "chunk", "max_tokens": 32},
    )
    with kb:
        assert kb.index.has_chunks
        done = evaluate_collection(
            kb, judged({"q": "reset the router"}, {"q": {"long": 1}}), ["RR@10"], cost=False
        )
    assert [hit.doc_id for hit in done.run.rankings["q"]].count("long") == 1
    assert done.means == {"RR@10": 1.0}


class Fixed(Retriever):
    """A retriever of another system, which finds nothing for a query that says so."""

    def rank(self, queries: Sequence[str], k: int, **_: object) -> list[Matches]:
        found = [[] if query == "nothing" else ["b", "a"][:k] for query in queries]
        return [
            Matches(ids, np.arange(len(ids), 0, -1.0), np.zeros(len(ids), np.uint32))
            for ids in found
        ]

    def documents(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        return {doc_id: Document(doc_id, f"text of {doc_id}") for doc_id in doc_ids}


def test_any_retriever_can_be_evaluated_and_all_queries_are_accounted_for() -> None:
    collection = judged(
        {"1": "found", "2": "nothing", "3": "irrelevant", "4": "unjudged"},
        {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 0}, "gone": {"a": 0}},
    )
    done = evaluate_retriever(Fixed(), collection, ["RR@10"])
    assert done.means == {"RR@10": 0.25}
    lines = "\n".join(done.accounting())
    assert "2 queries count, with up to 100 documents of each" in lines
    assert "1 query has no judgment and was left out" in lines
    assert "2 queries have judgments but no relevant document and were left out: 3, gone" in lines
    assert "1 query found no document and counts 0: 2" in lines
    assert "50.0% of the first 10 documents of all queries have no judgment (1 of 2)" in lines
    assert done.cost is not None and done.cost.encode_ms is None and done.cost.flops is None
    assert isinstance(Fixed().rank(["x"], 1)[0][0], Match)


def test_a_run_of_another_system_is_evaluated_without_its_index() -> None:
    collection = judged({"1": "x"}, {"1": {"a": 1}})
    done = evaluate_foreign(Run({"1": [("b", 2.0), ("a", 1.0)]}), collection, ["RR@10"], name="es")
    assert done.means == {"RR@10": 0.5} and done.k == 2 and "index" not in done.facts


def test_queries_whose_ids_do_not_match_are_refused(support: Collection) -> None:
    with pytest.raises(DataError, match="must have a query with judgments, got none: check that"):
        evaluate_collection(support, judged({"1": "x"}, {"one": {"a": 1}}))


def test_kinds_of_queries(support: Collection) -> None:
    collection = judged(
        {"1": "error DD-AM04", "2": "login", "3": "how do I stop the thing from doing that"},
        {"1": {"SA037": 2}, "2": {"SA037": 1}, "3": {"SA001": 1}},
    )
    kinds = query_kinds(collection, support)
    assert kinds["1"][0] == "1 to 2 words" and IDENTIFIER in kinds["1"]
    assert SPLIT in kinds["2"] and NO_SHARED_WORD in kinds["2"]
    assert kinds["3"][0] == "6 words or more" and SPLIT not in kinds["3"]
    assert query_kinds(collection)["2"] == ["1 to 2 words"]


def test_copies_of_a_query_are_left_out_wherever_they_rank(tmp_path: Path) -> None:
    rows = [{"id": f"copy{i}", "text": "is nuclear power safe"} for i in range(3)]
    rows += [{"id": f"d{i}", "text": f"nuclear power is safe, says paper {i}"} for i in range(20)]
    with lexpand.create(tmp_path / "copies.index", rows) as kb:
        collection = judged({"q": "Is nuclear power safe"}, {"q": {"d1": 1}})
        done = evaluate_collection(kb, collection, ["RR@10"], cost=False)
    assert sorted(done.self_matches["q"]) == ["copy0", "copy1", "copy2"]
    assert not {"copy0", "copy1", "copy2"} & {hit.doc_id for hit in done.run.rankings["q"]}


def test_relevant_documents_that_the_index_lacks_are_counted(support: Collection) -> None:
    collection = judged({"1": "vpn password"}, {"1": {"SA001": 1, "gone": 2, "other": 0}})
    done = evaluate_collection(support, collection, ["RR@10"], cost=False)
    assert done.outside == ["1 gone"]
    assert any("1 relevant documents are not in the index" in line for line in done.accounting())


def test_judged_queries_without_a_text_are_listed_apart(support: Collection) -> None:
    collection = judged({"1": "vpn password"}, {"1": {"SA001": 1}, "8": {"SA002": 1}})
    lines = evaluate_collection(support, collection, ["RR@10"], cost=False).accounting()
    assert "1 query has judgments but no text, and counts 0: 8" in lines


def test_a_run_without_any_judged_query_is_refused() -> None:
    collection = judged({"1": "x"}, {"1": {"a": 1}})
    for run in (Run({}), Run({"777": [("a", 1.0)]})):
        with pytest.raises(DataError, match="must have documents for a judged query, and has none"):
            evaluate_foreign(run, collection, ["RR@10"], name="es")
