"""Trials rank like the retriever of each pipeline, and search each part once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reranker_makers import Weights, write_model

from lexpand import Document, Encoder, Index, SparseRetriever, ingest
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.search import Feedback, Fusion, Pipeline
from lexpand.search.parts import Rerank, Splade, Words
from lexpand.search.pipeline import NAMED
from lexpand.search.trials import Trials

QUERIES = ["the month, the printer, an account", "leave", "a crash of E0382", "the", "leave"]

HYBRIDS = [
    Pipeline((Splade(weight, idf=0.5), Words(1 - weight, exact=9.0)), fusion)
    for fusion in Fusion
    for weight in (0.25, 0.7)
]
PIPELINES = [
    *NAMED.values(),
    *HYBRIDS,
    Pipeline((Splade(idf=1.0, prune="top=3"),)),
    Pipeline((Splade(effort=0.1),)),
    Pipeline((Words(k1=0.4, b=0.2),), feedback=Feedback(2, 3, 0.4, words=True)),
    Pipeline((Splade(),), feedback=Feedback(2, 3, 0.4)),
    Pipeline((Splade(0.3), Words(0.7), Splade(idf=1.0)), Fusion.MAXIMUM, depth=2),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("trials") / "i"
    texts = ["the printer", "a month of leave", "my account", "error E0382", "the log of a crash"]
    with Index.create(path, encoder.space, words=WordAnalyzer("english")) as index:
        ingest(index, encoder, [Document(f"d{i}", text) for i, text in enumerate(texts * 3)])
        yield index


def check_same(trials: Trials, index: Index, encoder: Encoder, pipeline: Pipeline, k: int) -> None:
    expected = pipeline.retriever(index, encoder).rank(QUERIES, k)
    for found, matches in zip(trials.matches(pipeline, k), expected, strict=True):
        assert found.doc_ids == matches.doc_ids
        # The scores of a reranker depend on the batch, in the last digits.
        tolerance = 0 if pipeline.rerank is None else 1e-5
        assert np.allclose(found.scores, matches.scores, rtol=0, atol=tolerance)


@pytest.mark.parametrize("k", [1, 4, 30])
def test_rankings_are_those_of_the_retriever(index: Index, encoder: Encoder, k: int) -> None:
    trials = Trials(index, encoder, QUERIES)
    for pipeline in PIPELINES:
        check_same(trials, index, encoder, pipeline, k)


def test_each_part_searches_once_and_queries_are_encoded_once(
    index: Index, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for owner, name in (
        (Encoder, "encode_queries"),
        (type(index.searcher()), "vector_passages"),
        (type(index.searcher()), "word_passages"),
    ):
        plain = getattr(owner, name)

        def counted(
            *args: object, _plain: object = plain, _name: str = name, **kw: object
        ) -> object:
            calls.append(_name)
            return _plain(*args, **kw)

        monkeypatch.setattr(owner, name, counted)
    trials = Trials(index, encoder, QUERIES)
    for pipeline in [*HYBRIDS, *HYBRIDS]:
        trials.matches(pipeline, 3)
    assert sorted(calls) == ["encode_queries", "vector_passages", "word_passages"]


def test_trials_read_one_commit(tmp_path: Path, encoder: Encoder) -> None:
    with Index.create(tmp_path / "i", encoder.space, words=WordAnalyzer("english")) as index:
        ingest(index, encoder, [Document("old", "the printer")])
        trials = Trials(index, encoder, ["printer"])
        ingest(index, encoder, [Document("new", "printer printer")])
        for name in ("hybrid", "bm25"):
            assert [each.doc_ids for each in trials.matches(NAMED[name], 5)] == [["old"]]


def test_words_alone_need_no_model(index: Index) -> None:
    trials = Trials(index, None, QUERIES)
    assert trials.matches(NAMED["bm25"], 2)[0]
    with pytest.raises(DataError, match="encoder must not be None"):
        trials.matches(NAMED["hybrid"], 2)


def test_reranking_is_that_of_the_retriever_and_scores_pairs_once(
    index: Index, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    model = str(write_model(tmp_path / "reranker", Weights()))
    trials = Trials(index, encoder, QUERIES)
    pipelines = [
        replace(NAMED[name], rerank=Rerank(model, depth=depth))
        for name in ("hybrid", "splade")
        for depth in (5, 2)
    ]
    for pipeline in pipelines:
        check_same(trials, index, encoder, pipeline, 6)
    reranker = trials._reranker(pipelines[0].rerank)

    def fail(*_: object) -> None:
        raise AssertionError("a pair was scored again")

    monkeypatch.setattr(type(reranker.plain), "score", fail)
    assert [len(each) for each in trials.matches(pipelines[1], 2)] == [2] * len(QUERIES)
    assert trials.retriever(pipelines[0]).reranker is reranker.plain
    assert trials.retriever(NAMED["bm25"]).rank(["leave"], 1)[0]


def test_pruning_keeps_the_strongest_terms_of_a_query(index: Index, encoder: Encoder) -> None:
    whole = SparseRetriever(index, encoder, idf=1.0).encode(QUERIES)
    pruned = SparseRetriever(index, encoder, idf=1.0, prune="top=2").encode(QUERIES)
    for full, short in zip(whole.as_dicts(), pruned.as_dicts(), strict=True):
        strongest = sorted(full, key=lambda term: (-full[term], term))[:2]
        assert short == {term: full[term] for term in strongest}


def test_pruning_in_a_file(tmp_path: Path, index: Index, encoder: Encoder) -> None:
    pipeline = Pipeline((Splade(prune="mass=0.8,ban=special"),))
    pipeline.save(tmp_path / "p.toml")
    assert 'prune = "mass=0.8,ban=special"' in (tmp_path / "p.toml").read_text()
    assert Pipeline.load(tmp_path / "p.toml") == pipeline
    with pytest.raises(DataError, match="pruning must be a list of rules, got 'best'"):
        Pipeline((Splade(prune="best"),)).retriever(index, encoder)
