"""Learned weights: the best of a grid, and an estimate from queries that did not choose them."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from lexpand import Document, Encoder, HybridRetriever, Index, Qrels, Query, Run, ingest
from lexpand.encode import WordAnalyzer
from lexpand.errors import DataError
from lexpand.search import Feedback, Fusion, Pipeline, learn_weights
from lexpand.search.parts import Rerank, Splade, Words

TEXTS = [
    "the printer",
    "a month of leave",
    "my account",
    "the invoice of the month",
    "a crash of the printer",
    "log",
]
QUERIES = [Query(f"q{i}", text) for i, text in enumerate(TEXTS)]
QRELS = Qrels(
    {f"q{i}": {"printer": grade} for i, grade in enumerate([1, 4, 2, 6, 3, 5])}
    | {"elsewhere": {"crash": 1}}
)
BOTH = Pipeline((Splade(), Words()))


def judge(run: Run, qrels: Qrels) -> float:
    """Return how near the best scores are to the grades.

    The ranks of five documents would hardly depend on the weights.
    """
    far = [
        abs(run.rankings[query][0].score - grades["printer"]) / grades["printer"]
        for query, grades in qrels.judgments.items()
    ]
    return 1 - sum(far) / len(far)


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Iterator[Index]:
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, pages)
        yield index


def by_hand(
    index: Index, encoder: Encoder, pipeline: Pipeline, weights: tuple[float, ...], only: list[int]
) -> float:
    """Return the measure of some of the queries with a hybrid of these weights."""
    retriever = pipeline.retriever(index, encoder)
    assert isinstance(retriever, HybridRetriever)
    parts = [weight * part for weight, part in zip(weights, retriever.parts, strict=True)]
    weighted = HybridRetriever(parts, fusion=pipeline.fusion, depth=pipeline.depth)
    queries = [QUERIES[i] for i in only]
    return judge(
        weighted.run(queries, 100),
        Qrels({q.query_id: QRELS.judgments[q.query_id] for q in queries}),
    )


@pytest.mark.parametrize("fusion", [Fusion.Z_SCORE, Fusion.BOUND, Fusion.NONE])
@pytest.mark.parametrize("parts", [2, 3])
def test_the_best_weights_of_the_grid_are_returned(
    index: Index, encoder: Encoder, fusion: Fusion, parts: int
) -> None:
    pipeline = Pipeline((Splade(), Words(), Splade(idf=1.0))[:parts], fusion)
    learned = learn_weights(pipeline, index, encoder, QUERIES, QRELS, judge, steps=8, folds=3)
    tuples = product(range(1, 8), repeat=parts)
    grid = [tuple(n / 8 for n in each) for each in tuples if sum(each) == 8]
    every = {
        weights: by_hand(index, encoder, pipeline, weights, list(range(6))) for weights in grid
    }
    assert learned.weights in grid
    assert (
        learned.fitted
        == pytest.approx(every[learned.weights])
        == pytest.approx(max(every.values()))
    )
    assert learned.equal == pytest.approx(
        by_hand(index, encoder, pipeline, (1 / parts,) * parts, list(range(6)))
    )
    assert learned.fitted > learned.equal or learned.weights == (0.5, 0.5)
    assert len({round(value, 6) for value in every.values()}) > 4
    assert learned.pipeline.fusion is fusion
    assert [type(part) for part in learned.pipeline.parts] == [
        type(part) for part in pipeline.parts
    ]
    assert learned == learn_weights(
        pipeline, index, encoder, QUERIES, QRELS, judge, steps=8, folds=3
    )


def test_the_estimate_uses_queries_that_did_not_choose_the_weights(
    index: Index, encoder: Encoder
) -> None:
    pipeline = Pipeline((Splade(), Words()), Fusion.NONE)
    learned = learn_weights(pipeline, index, encoder, QUERIES, QRELS, judge, steps=8, folds=6)
    even = sorted(
        ((n / 8, 1 - n / 8) for n in range(1, 8)), key=lambda pair: (abs(pair[0] - 0.5), pair)
    )
    held_out = []
    for fold in range(6):
        others = [i for i in range(6) if i != fold]
        best = max(even, key=lambda pair: round(by_hand(index, encoder, pipeline, pair, others), 9))
        held_out.append(by_hand(index, encoder, pipeline, best, [fold]))
    assert learned.estimate == pytest.approx(sum(held_out) / 6)
    assert learned.estimate < learned.fitted


def test_the_most_even_of_equally_good_weights_win(index: Index, encoder: Encoder) -> None:
    learned = learn_weights(
        BOTH, index, encoder, QUERIES, QRELS, lambda run, qrels: 0.5, steps=4, folds=2
    )
    assert (learned.weights, learned.fitted, learned.estimate, learned.equal) == (
        (0.5, 0.5),
        0.5,
        0.5,
        0.5,
    )


def test_the_rest_of_the_pipeline_is_kept(index: Index, encoder: Encoder, tmp_path: Path) -> None:
    pipeline = Pipeline((Splade(idf=0.5), Words(k1=0.9)), depth=7, rerank=Rerank("/nowhere"))
    learned = learn_weights(pipeline, index, encoder, QUERIES, QRELS, judge, folds=2)
    assert sum(learned.weights) == pytest.approx(1)
    first, second = learned.weights
    assert learned.pipeline == Pipeline(
        (Splade(first, idf=0.5), Words(second, k1=0.9)), depth=7, rerank=Rerank("/nowhere")
    )
    learned.pipeline.save(tmp_path / "learned.toml")
    assert Pipeline.load(tmp_path / "learned.toml") == learned.pipeline


def test_invalid_arguments_are_refused(index: Index, encoder: Encoder) -> None:
    for pipeline in (Pipeline(), Pipeline(BOTH.parts, feedback=Feedback())):
        with pytest.raises(DataError, match="must have several parts and no feedback, got"):
            learn_weights(pipeline, index, encoder, QUERIES, QRELS, judge)
    for arguments in ({"folds": 7}, {"folds": 1}, {"steps": 1}):
        with pytest.raises(DataError, match=r"folds must be from 2 .* got .* 6 such queries"):
            learn_weights(BOTH, index, encoder, QUERIES, QRELS, judge, **arguments)
