"""Tuning: a real gain is found, noise is not, and what was measured is what the pipeline ranks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from reranker_makers import Weights, write_model

import lexpand
from lexpand import Document, Encoder, Index, Qrels, Query
from lexpand.collection import Collection
from lexpand.data import JudgedQueries
from lexpand.errors import DataError, ModelError
from lexpand.experiments import tuning
from lexpand.experiments.evaluating import evaluate_collection
from lexpand.experiments.tuning import pipelines_to_try, tune
from lexpand.experiments.tuning_bench import Bench
from lexpand.experiments.tuning_choice import Rule, held_out_gains, make_folds, p_of_procedure
from lexpand.experiments.tuning_results import OperatingPoint, Tuned
from lexpand.experiments.tuning_space import (
    candidates,
    described,
    expected_cost,
    is_approximate,
    kind_of,
)
from lexpand.search import Feedback, Pipeline
from lexpand.search.parts import Rerank, Splade, Words
from lexpand.search.pipeline import NAMED

LATENCIES = {"bm25": 1.0, "splade": 2.0, "hybrid": 3.0}


def judged(
    queries: dict[str, str], qrels: dict[str, dict[str, int]], name: str = "test"
) -> JudgedQueries:
    listed = tuple(Query(query, text) for query, text in queries.items())
    return JudgedQueries(listed, Qrels(qrels), {}, name)


@pytest.fixture(scope="module")
def kb(support_index: Path, encoder: Encoder) -> Iterator[Collection]:
    with Collection(Index.open(support_index), encoder=encoder) as kb:
        yield kb


@pytest.fixture(scope="module")
def tuned(kb: Collection, questions: JudgedQueries) -> Tuned:
    return tune(kb, questions)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try few pipelines, without feedback, so that a test takes little time."""
    monkeypatch.setattr(tuning, "candidates", _few)
    monkeypatch.setattr(tuning, "_ROUNDS", 300)


def _few(default: Pipeline, **settings: object) -> list[Pipeline]:
    plain = [each for each in candidates(default, **settings) if each.feedback is None]
    return [*plain[:3], *plain[3::5]]


@pytest.fixture
def fixed_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    def latencies(self: Bench, pipelines: list[Pipeline]) -> list[float]:
        return [
            LATENCIES[kind_of(each).partition(",")[0]]
            + (each.rerank.depth if each.rerank else 0)
            + (3.0 if each.feedback else 0)
            - (0.5 if is_approximate(each) else 0)
            for each in pipelines
        ]

    monkeypatch.setattr(Bench, "latencies_ms", latencies)


# The choice


def noise(seed: int, pipelines: int = 60, queries: int = 40) -> np.ndarray:
    """Return correlated gains with mean 0 of each pipeline; the first is the default."""
    random = np.random.default_rng(seed)
    families = random.normal(size=(6, queries)) * 0.2
    gains = families[np.arange(pipelines) % 6] + random.normal(size=(pipelines, queries)) * 0.05
    gains *= random.random(queries) < 0.5  # most pipelines agree on many queries
    gains[0] = 0
    return gains


def accepts(gains: np.ndarray, seed: int, rounds: int = 200) -> bool:
    rule, folds = Rule(np.zeros(len(gains), np.int64)), make_folds(gains.shape[1], 5, 3, seed)
    found = held_out_gains(rule, gains, folds)[0]
    p = p_of_procedure(rule, gains, folds, seed=seed, rounds=rounds)
    return bool(found.mean() > 0 and p < 0.05)


def test_noise_is_rarely_accepted() -> None:
    accepted = [accepts(noise(seed), seed) for seed in range(200)]
    assert sum(accepted) <= 18  # 5 % and two standard errors
    assert sum(accepted) >= 2  # or the test would have no power


def test_a_gain_is_found_among_noise() -> None:
    found = []
    for seed in range(20):
        gains = noise(seed)
        gains[37] += 0.12
        found.append(accepts(gains, seed))
        assert Rule(np.zeros(60, np.int64)).choose(gains) == 37
    assert sum(found) >= 18


def test_a_gain_of_one_query_is_no_evidence() -> None:
    gains = np.zeros((2, 30))
    gains[1, 4] = 1
    assert Rule(np.array([0, 0])).choose(gains) == 0
    gains[1, :8] = 0.1
    assert Rule(np.array([0, 0])).choose(gains) == 1


def test_a_faster_kind_wins_unless_it_is_clearly_worse() -> None:
    gains = np.zeros((3, 40))
    gains[1] = 0.2 + 0.1 * np.tile([1, -1], 20)
    gains[2] = gains[1] + 0.001
    kinds = np.array([1, 0, 2])
    assert Rule(kinds).choose(gains) == 1
    assert Rule(np.array([1, 2, 0])).choose(gains) == 2
    gains[2] = gains[1] + 0.1
    assert Rule(kinds).choose(gains) == 2


def test_the_first_of_equal_pipelines_wins() -> None:
    gains = np.array([np.zeros(20), np.full(20, 0.1), np.full(20, 0.1), np.zeros(20)])
    assert Rule(np.array([0, 0, 0, 0])).choose(gains) == 1
    assert Rule(np.array([0, 0, 0, 0])).choose(gains[[0, 3, 3, 0]]) == 0


def test_a_query_does_not_choose_for_itself() -> None:
    rule, folds = Rule(np.zeros(60, np.int64)), make_folds(40, 5, 1, 0)
    gains = noise(1)
    before = held_out_gains(rule, gains, folds)[0]
    changed = gains.copy()
    left = np.flatnonzero(folds[0] == 2)
    changed[17, left] += 100  # the others of its fold and of other folds see it, these do not
    after = held_out_gains(rule, changed, folds)[0]
    assert np.array_equal(after[left], before[left])
    assert np.array_equal(after[folds[0] == 1], changed[17][folds[0] == 1])


def test_signs_of_one_are_the_plain_choice() -> None:
    gains, folds = noise(3), make_folds(40, 5, 2, 3)
    rule = Rule(np.arange(60) % 3)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(40, 7))
    signs[:, 0] = 1
    found = held_out_gains(rule, gains, folds, signs)
    assert np.allclose(found[0], held_out_gains(rule, gains, folds)[0])
    for place in range(7):
        plain = held_out_gains(rule, gains * signs[:, place], folds)[0]
        assert np.allclose(found[place], plain)


def test_folds_have_equal_sizes_and_a_seed() -> None:
    for fold in make_folds(43, 5, 3, 1):
        assert sorted(np.bincount(fold)) == [8, 8, 9, 9, 9]
    assert all(
        np.array_equal(one, other)
        for one, other in zip(make_folds(43, 5, 3, 1), make_folds(43, 5, 3, 1), strict=True)
    )
    assert not np.array_equal(make_folds(43, 5, 3, 1)[0], make_folds(43, 5, 3, 2)[0])


# The pipelines


def test_every_candidate_is_valid_and_listed_once(kb: Collection, tmp_path: Path) -> None:
    found = candidates(NAMED["hybrid"], rerank=Rerank("model"))
    assert found[0] is NAMED["hybrid"] and len(set(found)) == len(found) > 100
    assert {NAMED["best"], NAMED["splade"], NAMED["bm25"]} <= set(found)
    assert len({described(each) for each in found}) == len(found)
    for each in found[::7]:
        each.save(tmp_path / "p.toml")
        loaded = Pipeline.load(tmp_path / "p.toml")
        assert replace(loaded, rerank=None) == replace(each, rerank=None)
        replace(each, rerank=None).retriever(kb.index, kb.encoder).rank(["my invoice"], 3)


def test_kinds_of_pipelines() -> None:
    both = (Splade(effort=0.5), Words())
    assert kind_of(NAMED["hybrid"]) == "hybrid"
    assert kind_of(Pipeline((Splade(prune="mass=0.9"),))) == "splade, prune mass=0.9"
    reranked = Pipeline(both, feedback=Feedback(words=True), rerank=Rerank("m", 20))
    assert kind_of(reranked) == "hybrid, effort 0.5, feedback with words, rerank 20"
    found = sorted(candidates(NAMED["hybrid"]), key=expected_cost)
    kinds = list(dict.fromkeys(kind_of(each).partition(",")[0] for each in found))
    assert kinds == ["bm25", "splade", "hybrid"]


def test_an_index_without_words_is_tuned_by_its_vectors(
    tmp_path: Path, encoder: Encoder, questions: JudgedQueries
) -> None:
    with Index.create(tmp_path / "i", encoder.space) as index:
        lexpand.ingest(index, encoder, [Document("SA045", "outlook on an iPhone")])
        kb = Collection(index, encoder=encoder)
        found = tune(kb, questions)
    assert {kind_of(each.pipeline).partition(",")[0] for each in found.trials} == {"splade"}
    assert found.default == NAMED["splade"] and not found.accepted


# The whole


def test_what_was_measured_is_what_evaluate_measures(
    tuned: Tuned, kb: Collection, questions: JudgedQueries, tmp_path: Path
) -> None:
    trials = {each.pipeline: each.mean for each in tuned.trials}
    tuned.proposed.save(tmp_path / "pipeline.toml")
    loaded = Pipeline.load(tmp_path / "pipeline.toml")
    for pipeline in (tuned.default, loaded, *list(trials)[5::40]):
        if not is_approximate(pipeline):  # their rankings depend on k
            done = evaluate_collection(kb, questions, ["nDCG@10"], pipeline=pipeline, cost=False)
            assert trials[pipeline] == pytest.approx(done.means["nDCG@10"], abs=1e-12)


def test_the_result_is_complete(tuned: Tuned, kb: Collection) -> None:
    assert (tuned.queries, tuned.measure) == (30, "nDCG@10")
    assert [each.pipeline for each in tuned.trials] == pipelines_to_try(kb)
    assert tuned.trials[0].gain == 0 and tuned.trials[0].mean == tuned.comparison.before
    assert tuned.accepted == (tuned.comparison.is_better() and tuned.p < 0.05)
    assert tuned.pipeline == (tuned.proposed if tuned.accepted else tuned.default)
    assert {each.kind for each in tuned.points} == {
        "in use",
        *(each.kind for each in tuned.trials),
    }
    assert tuned.seconds > 0
    plain = json.loads(json.dumps(tuned.to_dict()))
    assert plain["comparison"]["difference"] == tuned.comparison.difference
    assert len(plain["trials"]) == len(tuned.trials)


def test_nothing_on_the_front_is_beaten(tuned: Tuned) -> None:
    front = tuned.front
    assert front and all(
        one.latency_ms <= other.latency_ms and one.quality < other.quality
        for one, other in pairwise(front)
    )


def test_an_approximate_kind_must_be_faster_to_be_on_the_front(tuned: Tuned) -> None:
    exact = OperatingPoint(NAMED["splade"], "splade", 0.4, 2.0)
    for latency, expected in ((1.99, False), (1.5, True)):
        pipeline = Pipeline((Splade(effort=0.5),))
        other = OperatingPoint(pipeline, "splade, effort 0.5", 0.45, latency)
        assert (other in replace(tuned, points=(exact, other)).front) == expected


def test_the_report_has_a_plot(tuned: Tuned) -> None:
    report = tuned.report()
    page = report.to_html()
    assert "<svg" in page and "quality against latency" in page
    assert "The quality is cross-validated" in report.to_markdown()
    assert report.to_dict()["queries"] == 30


@pytest.mark.usefixtures("few", "fixed_latencies")
def test_the_same_seed_gives_the_same_result(kb: Collection, questions: JudgedQueries) -> None:
    one, other = tune(kb, questions, seed=4), tune(kb, questions, seed=4, threads=2)
    assert (one.proposed, one.comparison, one.p) == (other.proposed, other.comparison, other.p)
    assert one.comparison != tune(kb, questions, seed=5).comparison


@pytest.mark.usefixtures("few", "fixed_latencies")
def test_random_judgments_are_not_tuned(kb: Collection, questions: JudgedQueries) -> None:
    """Every relevant document is drawn from those that a pipeline finds, so most queries differ."""
    accepted = 0
    runs = [
        kb.retriever(name).rank([query.text for query in questions.queries], 20)
        for name in ("bm25", "splade")
    ]
    for seed in range(8):
        random = np.random.default_rng(seed)
        qrels = {}
        for place, query in enumerate(questions.queries):
            ids = sorted({doc_id for run in runs for doc_id in run[place].doc_ids})
            qrels[query.query_id] = {str(doc_id): 1 for doc_id in random.permutation(ids)[:3]}
        accepted += tune(kb, replace(questions, qrels=Qrels(qrels)), seed=seed).accepted
    assert accepted <= 2


SYLLABLES = ("zor", "bim", "flex", "tran", "quo")


@pytest.fixture(scope="module")
def known_items(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Collection]:
    """Names with the same pieces in other orders, which a model of terms cannot tell apart."""
    random = np.random.default_rng(0)
    names = ["".join(each) for each in permutations(SYLLABLES)][:90]
    path = tmp_path_factory.mktemp("known") / "items.index"
    rows = [
        Document(name, f"The {name} module is installed with the {other} tool.")
        for name, other in zip(names, random.permutation(names), strict=True)
    ]
    lexpand.create(path, rows).close()
    with Collection(Index.open(path), encoder=encoder, pipeline="splade") as kb:
        yield kb


def known(kb: Collection, count: int) -> JudgedQueries:
    names = list(kb.index.doc_ids())[:count]
    queries = {name: f"install the {name} module" for name in names}
    return judged(queries, {name: {name: 1} for name in names})


@pytest.mark.usefixtures("few")
def test_a_planted_gain_is_found_and_holds_on_other_queries(known_items: Collection) -> None:
    found = tune(known_items, known(known_items, 40), "RR@10")
    assert found.accepted and found.p < 0.01 and found.comparison.difference > 0.1
    assert any(isinstance(part, Words) for part in found.pipeline.parts)
    assert "on queries that did not choose it; p of the whole choice is" in found.reason
    assert found.reason.endswith(" ms") and " ms instead of " in found.reason
    everything = known(known_items, 90)
    others = replace(everything, queries=everything.queries[40:])
    others = replace(
        others,
        qrels=Qrels({q.query_id: everything.qrels.judgments[q.query_id] for q in others.queries}),
    )
    means = [
        evaluate_collection(known_items, others, ["RR@10"], pipeline=each, cost=False).means[
            "RR@10"
        ]
        for each in (found.default, found.pipeline)
    ]
    assert means[1] > means[0] + 0.05


@pytest.mark.usefixtures("few", "fixed_latencies")
def test_a_budget_limits_the_choice(kb: Collection, questions: JudgedQueries) -> None:
    found = tune(kb, questions, budget_ms=2.2)
    assert kind_of(found.pipeline).partition(",")[0] in ("bm25", "splade")
    assert found.accepted and found.p is None
    assert "the pipeline in use takes 3.00 ms, more than 2.2 ms" in found.reason
    assert tune(kb, questions, budget_ms=1.0).pipeline == NAMED["bm25"]
    nothing = tune(kb, questions, budget_ms=0.4)
    assert not nothing.accepted and nothing.pipeline == nothing.default
    assert "no pipeline takes at most 0.4 ms, the fastest (bm25) takes 1.00 ms" in nothing.reason
    wide = tune(kb, questions, budget_ms=100)
    assert wide.p is not None and wide.accepted == (wide.comparison.is_better() and wide.p < 0.05)


@pytest.mark.usefixtures("few")
def test_approximate_pipelines_are_chosen_only_for_a_budget(
    known_items: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster = Pipeline((Splade(prune="mass=0.9"), Words()))
    monkeypatch.setattr(tuning, "candidates", lambda default, **_: [default, faster])
    assert tune(known_items, known(known_items, 40), "RR@10").proposed == known_items.pipeline
    assert tune(known_items, known(known_items, 40), "RR@10", budget_ms=1e6).accepted


@pytest.mark.parametrize("count", [1, 2, 19])
def test_few_queries_keep_the_pipeline(known_items: Collection, count: int) -> None:
    found = tune(known_items, known(known_items, count))
    assert (found.accepted, found.pipeline, found.trials) == (False, known_items.pipeline, ())
    assert f"needs at least 20 queries with a relevant document, got {count}" in found.reason
    assert found.comparison is None and found.front == ()
    assert found.report().to_html() and json.dumps(found.to_dict())


def test_queries_without_a_relevant_document_do_not_count(known_items: Collection) -> None:
    source = known(known_items, 25)
    qrels = {query: {query: int(place < 10)} for place, query in enumerate(source.qrels.judgments)}
    found = tune(known_items, replace(source, qrels=Qrels(qrels)))
    assert found.queries == 10 and not found.accepted


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "nDCG@x"}, "unknown measure 'nDCG@x'"),
        ({"folds": 1}, "folds must be >= 2, got 1"),
        ({"budget_ms": 0}, "budget_ms must be finite and > 0, got 0"),
        ({"budget_ms": float("nan")}, "budget_ms must be finite and > 0, got nan"),
    ],
)
def test_invalid_settings_are_refused(
    kb: Collection, questions: JudgedQueries, settings: dict, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        tune(kb, questions, **settings)


def test_judgments_of_other_queries_are_refused(kb: Collection) -> None:
    with pytest.raises(DataError, match="must have a query with judgments, got none"):
        tune(kb, judged({"1": "x"}, {"one": {"SA001": 1}}))
    with pytest.raises(DataError, match="must have a relevant document"):
        tune(kb, judged({"1": "x"}, {"1": {"SA001": 0}}))


@pytest.mark.usefixtures("few")
def test_a_document_that_is_the_query_does_not_count(known_items: Collection) -> None:
    texts = {name: known_items.get(name).text for name in list(known_items.index.doc_ids())[:20]}
    names = list(texts)
    qrels = {name: {other: 1} for name, other in zip(names, names[1:] + names[:1], strict=True)}
    source = judged(texts, qrels)
    found = tune(known_items, source, "RR@10")
    done = evaluate_collection(known_items, source, ["RR@10"], cost=False)
    assert len(done.self_matches) == 20
    assert found.trials[0].mean == pytest.approx(done.means["RR@10"])


@pytest.fixture
def reranker(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    return write_model(tmp_path / "reranker", Weights())


@pytest.mark.usefixtures("few", "fixed_latencies")
def test_the_depth_of_a_reranker_is_tuned(
    kb: Collection, questions: JudgedQueries, reranker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(default: Pipeline, **settings: object) -> list[Pipeline]:
        found = candidates(default, **settings)
        return [default, *[each for each in found if each.rerank][:4]]

    monkeypatch.setattr(tuning, "candidates", some)
    found = tune(kb, questions, rerank=reranker)
    assert [each.kind for each in found.trials[1:5]] == [
        f"hybrid, rerank {depth}" for depth in (10, 20, 50, 100)
    ]
    for trial in found.trials[2:4]:
        done = evaluate_collection(kb, questions, ["nDCG@10"], pipeline=trial.pipeline, cost=False)
        assert trial.mean == pytest.approx(done.means["nDCG@10"])
    limited = tune(kb, questions, rerank=str(reranker), budget_ms=25)
    assert {each.pipeline.rerank.depth for each in limited.trials[1:]} == {10, 20}


def test_a_missing_reranker_is_reported_before_anything_is_tried(
    kb: Collection, questions: JudgedQueries, tmp_path: Path
) -> None:
    counts: list[int] = []
    with pytest.raises(ModelError, match="missing"):
        tune(kb, questions, rerank=tmp_path / "missing", on_done=counts.append)
    assert counts == []


def test_progress_counts_pipelines(
    kb: Collection, questions: JudgedQueries, few: None, tmp_path: Path
) -> None:
    counts: list[int] = []
    found = tune(kb, questions, on_done=counts.append)
    assert sum(counts) == len(found.trials)
