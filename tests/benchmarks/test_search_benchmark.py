"""The parts of benchmarks/search.py that need no peer. No test depends on time."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

import splade_like
from retrieval.points import OperatingPoints, Point
from retrieval.systems import OTHERS, SEISMIC
from retrieval.truth import Truth
from retrieval.tuning import Trial, climb_all
from retrieval.vectors import Vectors, write_vectors
from retrieval.workers import Worker, WorkerError, running_worker

ROOT = Path(__file__).parents[2]


def vectors(folder: Path, rows: list[dict[int, float]]) -> Vectors:
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    terms = np.array([term for row in rows for term in sorted(row)], np.uint32)
    weights = np.array([row[term] for row in rows for term in sorted(row)], np.float32)
    write_vectors(folder, [(indptr, terms, weights)], 10)
    return Vectors(folder)


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    documents = vectors(
        tmp_path / "d", [{1: 3.0}, {1: 1.0, 2: 1.0}, {2: 2.0}, {1: 2.0}, {1: 2.0, 7: 9.0}, {3: 1.0}]
    )
    queries = vectors(tmp_path / "q", [{1: 1.0, 2: 1.0}, {5: 1.0}])
    return Truth.of(documents, queries, 2, depth=2)


def test_recall_counts_ties(truth: Truth) -> None:
    # The scores are 3, 2, 2, 2, 2, 0, so any of the four may be second.
    assert truth.recall(0, [0, 4], 2) == truth.recall(0, [0, 1], 2) == 1
    assert truth.recall(0, [1, 2], 2) == 1
    assert truth.recall(0, [0, 5], 2) == 0.5
    assert truth.recall(0, [4], 1) == 0
    assert truth.recall(0, [0], 1) == 1


def test_recall_counts_a_document_once_and_only_the_first_k(truth: Truth) -> None:
    assert truth.recall(0, [0, 0], 2) == 0.5
    assert truth.recall(0, [5, 5, 0, 1], 2) == 0
    assert truth.recall(0, [], 2) == 0


def test_recall_of_a_query_that_finds_nothing_is_one(truth: Truth) -> None:
    assert truth.recall(1, [], 2) == 1


def test_recall_does_not_depend_on_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    rows = [
        {int(t): float(random.integers(1, 4)) for t in random.choice(10, 4, replace=False)}
        for _ in range(60)
    ]
    documents, queries = vectors(tmp_path / "d", rows), vectors(tmp_path / "q", rows[:7])
    whole = Truth.of(documents, queries, 7, depth=5)
    monkeypatch.setattr("retrieval.truth._SLICE", 9)
    sliced = Truth.of(documents, queries, 7, depth=5)
    for (scores, found), (other_scores, other_found) in zip(
        whole.candidates, sliced.candidates, strict=True
    ):
        assert scores.tolist() == other_scores.tolist()
        assert found.tolist() == other_found.tolist()
        assert len(scores) >= 5


def test_truth_is_saved_and_loaded(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path / "truth.npz")
    loaded = Truth.load(tmp_path / "truth.npz")
    assert loaded.recall(0, [0, 4], 2) == 1
    assert loaded.recall(1, [], 2) == 1


def test_operating_points_are_read_as_written(tmp_path: Path) -> None:
    points = OperatingPoints({"n": 3, "share": 0.5}, {"like-7": {"n": 9}})
    points.points["like-7", "A", 10] = Point({"cut": 8, "factor": 0.9, "sorted": True}, 0.9912)
    points.write(tmp_path / "some.toml")
    read = OperatingPoints.read(tmp_path / "some.toml")
    assert read == points
    assert read.of_index("like-7") == {"n": 9}
    assert read.of_index("other") == {"n": 3, "share": 0.5}
    assert read.of_search("like-7", "B", 10) is None
    assert OperatingPoints.read(tmp_path / "none.toml") == OperatingPoints()


def test_committed_operating_points_are_valid() -> None:
    files = sorted((ROOT / "benchmarks" / "operating_points").glob("*.toml"))
    assert files
    for file in files:
        read = OperatingPoints.read(file)
        assert read.points
        assert all(0 < point.recall <= 1 for point in read.points.values())


def test_tuning_chooses_the_fastest_settings_that_reach_the_target() -> None:
    trials = {
        1: (1.0, 0.5),
        2: (3.0, 0.995),
        3: (4.0, 1.0),
        11: (2.0, 0.99),
        12: (9.0, 1.0),
        21: (8.0, 0.2),
        22: (9, 1),
    }
    tried: list[int] = []

    def attempt(settings: dict[str, int]) -> Trial:
        tried.append(settings["n"])
        return Trial(settings, *trials[settings["n"]])

    chosen, seen = climb_all(
        [[{"n": n} for n in ladder] for ladder in ((1, 2, 3), (11, 12), (21, 22))], attempt
    )
    assert min(chosen, key=lambda each: each.mean_ms).settings == {"n": 11}
    assert tried == [1, 2, 11, 21]
    assert len(seen) == 4


def test_a_missing_peer_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WorkerError, match=r"none does not start .*: run `make \.venv-bench/ready`"):
        Worker(tmp_path / "none", "seismic", 1, tmp_path / "log")
    monkeypatch.delenv("LUCENE_JAR", raising=False)
    with running_worker(Path(sys.executable), "lucene", 1, tmp_path / "log") as worker:
        with pytest.raises(
            WorkerError, match="the process ended with 1: FileNotFoundError: Lucene needs java"
        ):
            worker.request("hello")
        with pytest.raises(WorkerError, match="the process ended with 1"):
            worker.request("hello")


def test_every_peer_has_a_program_and_a_requirement() -> None:
    required = (ROOT / "benchmarks" / "requirements-search.txt").read_text(encoding="utf-8")
    for system in (SEISMIC, *OTHERS):
        program = ROOT / "benchmarks" / "peers" / f"{system.module}.py"
        packages = [
            line.split('"')[1]
            for line in program.read_text(encoding="utf-8").splitlines()
            if "package = " in line
        ]
        assert all(f"{package}==" in required for package in packages)


def test_splade_like_vectors_do_not_change() -> None:
    world = splade_like.World.make()
    (indptr, terms, weights), themes = splade_like.documents_chunk(world, 0, 300)
    query_indptr, query_terms, query_weights = splade_like.queries(
        world, (indptr, terms, weights), themes, 25, 1, 20
    )
    assert (indptr[0], indptr[-1], query_indptr[-1]) == (0, len(terms), len(query_terms))
    # Four digits of the weights: the last bit of exp and log depends on the platform.
    digits = [np.rint(array * 1e4).astype(np.int64) for array in (weights, query_weights)]
    parts = [indptr, terms.astype(np.int64), query_indptr, query_terms.astype(np.int64), *digits]
    assert hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest() == (
        "d123343caab030dc478de99a934773fd23669f83000475919f8992b011b27e6c"
    )
