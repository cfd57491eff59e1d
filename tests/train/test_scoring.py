"""Scores of teachers: the kinds, the cache, resumption, and what is refused."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from reranker_makers import Weights, write_model

from lexpand.errors import DataError, ModelError, StorageError
from lexpand.experiments import DensePooling, DenseReranker
from lexpand.search import CrossEncoder
from lexpand.train.rows import FIRST, UNNAMED, Row
from lexpand.train.score_cache import Pair, ScoreCache
from lexpand.train.scoring import (
    Kind,
    Teacher,
    TeacherOptions,
    load_teacher,
    score_pairs,
    with_scores,
)

PAIRS = [
    ("how the printer", "turn the printer off"),
    ("how the printer", "invoices of the month " * 9),
    ("leave", "turn the printer off"),
    ("leave", "leave: how, manager?" * 40),
]


class Lengths(Teacher):
    """Score a pair by its length, and stop at the given call."""

    digest = b"lengths"

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[Sequence[Pair]] = []
        self.stop_at = stop_at

    def score(self, pairs: Sequence[Pair]) -> Sequence[float]:
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append(pairs)
        return [float(len(query) + len(text)) for query, text in pairs]


def many(count: int) -> list[Pair]:
    return [(f"q{i % 3}", "t" * (i % 7) + str(i)) for i in range(count)]


def test_equal_pairs_are_scored_once_in_batches_of_similar_length() -> None:
    teacher, done = Lengths(), list[int]()
    pairs = many(300)
    found = score_pairs(teacher, [*pairs, *pairs], on_done=done.append)
    assert found == {(query, text): len(query) + len(text) for query, text in pairs}
    assert [len(call) for call in teacher.calls] == [64, 64, 64, 64, 44]
    assert sum(done) == 300
    lengths = [len(text) for call in teacher.calls for _, text in call]
    assert lengths == sorted(lengths, reverse=True)


def test_an_interrupted_run_continues_without_scoring_again(tmp_path: Path) -> None:
    pairs = many(300)
    first = Lengths(stop_at=2)
    with ScoreCache(tmp_path / "c") as cache, pytest.raises(KeyboardInterrupt):
        score_pairs(first, pairs, cache)
    second = Lengths()
    with ScoreCache(tmp_path / "c") as cache:
        assert len(cache) == 128
        found = score_pairs(second, pairs, cache)
        assert len(cache) == 300
    assert found == score_pairs(Lengths(), pairs)
    again = [pair for call in [*first.calls, *second.calls] for pair in call]
    assert sorted(again) == sorted(pairs)


def test_a_cache_holds_scores_of_several_teachers(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        cache.put(b"a", {("q", "t"): 1.5})
        assert cache.get(b"a", [("q", "t"), ("q", "u"), ("qt", "")]) == {("q", "t"): 1.5}
        assert cache.get(b"b", [("q", "t")]) == {}


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("no database " * 100)
    with pytest.raises(StorageError, match=r"the cache .* cannot be used \(file is not a database"):
        ScoreCache(tmp_path / "c")


def test_a_failed_commit_keeps_nothing(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        cache.put(b"a", {("q", "t"): 1.0})
        with pytest.raises(StorageError):
            cache.put(b"a", {("q", "u"): 1.0, ("q", "v"): [object()]})  # type: ignore[dict-item]
        assert len(cache) == 1


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_refused(tmp_path: Path, score: float) -> None:
    class Broken(Lengths):
        def score(self, pairs: Sequence[Pair]) -> Sequence[float]:
            return [score if text == "bad" else 1.0 for _, text in pairs]

    message = rf"must be finite, got {score} for the query 'q' \(str\) and the text 'bad' \(str\)"
    with ScoreCache(tmp_path / "c") as cache:
        with pytest.raises(ModelError, match=message):
            score_pairs(Broken(), [("q", "good"), ("q", "bad")], cache)
        assert len(cache) == 1


def test_a_row_gets_the_scores_of_a_teacher() -> None:
    row = Row("q", ("p", "n"), {UNNAMED: (1.0, 2.0)}, {"id": 1})
    scores = {("q", "p"): 5.0, ("q", "n"): 4.0}
    assert with_scores(row, scores, "b") == Row("q", ("p", "n"), {UNNAMED: (5.0, 4.0)}, {"id": 1})
    added = with_scores(row, scores, "b", add=True)
    assert added.scores == {FIRST: (1.0, 2.0), "b": (5.0, 4.0)}
    assert with_scores(added, scores, "b", add=True) == added
    assert with_scores(Row("q", ("p", "n")), scores, "b", add=True).scores == {"b": (5.0, 4.0)}
    for name in ("", FIRST):
        with pytest.raises(DataError, match="choose another with --name"):
            with_scores(row, scores, name, add=True)


class TestModels:
    """Teachers on ONNX Runtime."""

    @pytest.fixture(autouse=True)
    def _onnx(self) -> None:
        pytest.importorskip("onnx")

    def test_the_logits_of_a_cross_encoder_are_its_scores(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "m", Weights())
        found = score_pairs(load_teacher(folder), PAIRS)
        model = CrossEncoder.load(folder)
        for query, text in PAIRS:
            assert found[query, text] == pytest.approx(float(model.score(query, [text])[0]))
        assert load_teacher(folder / "onnx" / "model.onnx").score(PAIRS)

    def test_the_cosines_of_a_dense_model_are_its_scores(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "m", Weights(), output="hidden")
        options = TeacherOptions(
            query_prefix="the ", document_prefix="of ", pooling=DensePooling.CLS, max_tokens=32
        )
        found = score_pairs(load_teacher(folder, options), PAIRS)
        model = DenseReranker.load(
            folder, query_prefix="the ", document_prefix="of ", pooling="cls", max_tokens=32
        )
        for query, text in PAIRS:
            assert found[query, text] == pytest.approx(
                float(model.score(query, [text])[0]), abs=1e-5
            )

    def test_a_dense_model_encodes_each_text_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoded: list[str] = []
        vectors = DenseReranker._vectors

        def recording(self: DenseReranker, texts: Sequence[str]) -> np.ndarray:
            encoded.extend(texts)
            return vectors(self, texts)

        monkeypatch.setattr(DenseReranker, "_vectors", recording)
        teacher = load_teacher(write_model(tmp_path / "m", Weights(), output="hidden"))
        queries, texts = [f"q {i}" for i in range(20)], [f"text {i}" for i in range(20)]
        score_pairs(teacher, [(query, text) for query in queries for text in texts])
        assert sorted(encoded) == sorted([*queries, *texts])

    def test_a_dense_model_keeps_a_limited_number_of_vectors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lexpand.train.scoring._VECTORS", 3)
        folder = write_model(tmp_path / "m", Weights(), output="hidden")
        teacher = load_teacher(folder)
        pairs = [("how", word) for word in ("the", "of", "turn", "leave", "month")]
        found = [teacher.score([pair])[0] for pair in [*pairs, *pairs]]
        assert len(teacher._texts) <= 3  # type: ignore[attr-defined]
        np.testing.assert_allclose(found[:5], found[5:])
        np.testing.assert_allclose(teacher.score(pairs), found[:5], atol=1e-6)

    def test_an_ambiguous_graph_needs_the_kind(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "m", Weights(), output="both")
        with pytest.raises(ModelError, match=r"either one logit or the states .* --kind dense"):
            load_teacher(folder)
        for kind in Kind:
            assert load_teacher(folder, TeacherOptions(kind)).score(PAIRS[:1])
        labels = write_model(tmp_path / "labels", Weights(labels=3))
        with pytest.raises(ModelError, match=r"got logits \['n', 3\]: name the kind"):
            load_teacher(labels)
        with pytest.raises(ModelError, match="must have one label, got 3"):
            load_teacher(labels, TeacherOptions(Kind.CROSS_ENCODER))

    def test_a_prefix_is_for_dense_teachers(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "m", Weights())
        for options in (
            TeacherOptions(query_prefix="q"),
            TeacherOptions(document_prefix="d"),
            TeacherOptions(pooling=DensePooling.CLS),
        ):
            with pytest.raises(DataError, match="must be for a dense teacher"):
                load_teacher(folder, options)

    def test_the_digest_follows_files_and_settings(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "m", Weights(), output="both")

        def digest(**settings: object) -> bytes:
            options = TeacherOptions(**{"kind": Kind.DENSE, **settings})  # type: ignore[arg-type]
            return load_teacher(folder, options).digest

        plain = digest()
        assert digest(threads=1) == plain
        different = [
            digest(kind=Kind.CROSS_ENCODER),
            digest(query_prefix="a"),
            digest(document_prefix="a"),
            digest(pooling=DensePooling.CLS),
            digest(max_tokens=64),
        ]
        (folder / "onnx" / "model.onnx_data").write_bytes(b"weights")
        different.append(digest())
        (folder / "config.json").write_text("{}")
        different.append(digest())
        write_model(tmp_path / "m", Weights(types=False), output="both")
        different.append(digest())
        assert len({plain, *different}) == len(different) + 1
