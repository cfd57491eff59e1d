"""Folders of baseline models: their kinds, and a dense model that searches all documents."""

import json
from pathlib import Path

import numpy as np
import pytest
from reranker_makers import Weights, write_model

from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.errors import DataError, ModelError
from lexpand.experiments import DenseReranker, DenseRetriever
from lexpand.experiments.baseline_folders import Kind, find_baselines
from lexpand.experiments.costs import cost_of
from lexpand.experiments.dense import encode_documents
from lexpand.experiments.evaluating import evaluate_retriever
from lexpand.search.reranking import RerankingRetriever

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense model, a late-interaction model and a cross-encoder with random weights."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "dense", Weights(), output="hidden")
    write_model(folder / "tiny-colbert", Weights(), output="hidden")
    write_model(folder / "pairs", Weights())
    (folder / "notes").mkdir()
    return folder


def test_kinds_are_found(models: Path) -> None:
    found = {each.name: each for each in find_baselines(models)}
    assert {name: each.kind for name, each in found.items()} == {
        "dense": Kind.DENSE,
        "pairs": Kind.CROSS,
        "tiny-colbert": Kind.LATE,
    }
    assert "pooling by the mean" in found["dense"].described()
    assert "reranks the first 100 documents" in found["pairs"].described()
    (alone,) = find_baselines(models / "dense")
    assert alone == found["dense"]


def test_a_settings_file_states_the_kind(models: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "colbert-like", Weights(), output="hidden")
    path = folder / "baseline.json"
    path.write_text(json.dumps({"kind": "dense", "pooling": "cls", "query_prefix": "the "}))
    (found,) = find_baselines(tmp_path)
    assert found.kind is Kind.DENSE
    assert found.settings == {"pooling": "cls", "query_prefix": "the "}
    path.write_text(json.dumps({"kind": "sparse"}))
    with pytest.raises(DataError, match="kind must be one of dense, late-interaction, cross-enc"):
        find_baselines(tmp_path)
    path.write_text(json.dumps({"pool": "cls"}))
    with pytest.raises(DataError, match="has the unknown key 'pool'"):
        find_baselines(tmp_path)


def test_a_model_without_a_graph_is_refused_before_the_first_run(
    models: Path, tmp_path: Path
) -> None:
    (tmp_path / "dense").symlink_to(models / "dense")
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes((models / "dense" / "tokenizer.json").read_bytes())
    for settings in ({}, {"kind": "dense"}):
        (folder / "baseline.json").write_text(json.dumps(settings))
        with pytest.raises(ModelError, match="later has no ONNX file"):
            find_baselines(tmp_path)


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have model folders with"):
        find_baselines(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        find_baselines(tmp_path / "none")


def test_a_dense_model_searches_all_documents_exactly(
    models: Path, support: Collection, questions: JudgedQueries
) -> None:
    model = DenseReranker.load(models / "dense", threads=1)
    retriever = DenseRetriever(support, model, encode_documents(support, model))
    query = questions.queries[0].text
    (matches,) = retriever.rank([query], 20)
    ids = list(support.index.doc_ids())
    texts = [support.get(doc_id).full_text for doc_id in ids]
    expected = model.score(query, texts)
    assert list(matches.doc_ids) == [ids[i] for i in np.argsort(-expected, kind="stable")[:20]]
    np.testing.assert_allclose(matches.scores, np.sort(expected)[::-1][:20], atol=1e-5)
    assert retriever.rank([], 3) == []
    with pytest.raises(DataError, match="filter and group_by must be None"):
        retriever.rank([query], 3, filter="a = 1")


def test_vectors_are_cached_by_model_and_documents(
    models: Path, support: Collection, tmp_path: Path
) -> None:
    baseline = find_baselines(models / "dense")[0]
    done: list[int] = []
    first = baseline.retriever(support, support.retriever(), cache=tmp_path, on_done=done.append)
    assert sum(done) == 160 and len(list(tmp_path.iterdir())) == 1
    again = baseline.retriever(support, support.retriever(), cache=tmp_path, on_done=done.append)
    assert sum(done) == 160
    assert isinstance(first, DenseRetriever) and isinstance(again, DenseRetriever)
    np.testing.assert_array_equal(first.vectors, again.vectors)


def test_baselines_are_evaluated_like_any_retriever(
    models: Path, support: Collection, questions: JudgedQueries
) -> None:
    few = JudgedQueries(questions.queries[:3], questions.qrels)
    for baseline in find_baselines(models):
        retriever = baseline.retriever(support, support.retriever("bm25"), threads=1)
        assert isinstance(retriever, RerankingRetriever) == (baseline.kind is not Kind.DENSE)
        done = evaluate_retriever(retriever, few, ["R@100"], name=baseline.name, cost=False)
        assert set(done.run.rankings) == {"q1", "q2", "q3"}
    dense = find_baselines(models / "dense")[0].retriever(support, support.retriever("bm25"))
    assert isinstance(dense, DenseRetriever)
    cost = cost_of(dense, few.judged)
    assert cost.documents == 160 and cost.flops is None
    assert cost.bytes_per_document == dense.vectors.shape[1] * 4
    late = find_baselines(models / "tiny-colbert")[0].retriever(support, support.retriever("bm25"))
    with_vectors = cost_of(late, few.judged).bytes_per_document
    without = cost_of(support.retriever("bm25"), few.judged).bytes_per_document
    assert with_vectors is not None and without is not None and with_vectors > without
