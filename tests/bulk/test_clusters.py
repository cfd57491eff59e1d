"""Bulk encoding on real local clusters of Ray and Spark, with a worker that is killed."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lexpand.engines import BulkJob, encode_shards
from lexpand.index.exchange import read_vectors

pytest.importorskip("ray")
pytest.importorskip("pyspark")
psutil = pytest.importorskip("psutil")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of Ray and Spark

WORDS = ("reset", "login", "printer", "paper", "wireless", "guest", "expense", "claim", "invoice")
SHARDS = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of different lengths, in ten row groups."""
    rows = [
        {
            "id": f"d{i}",
            "title": f"Page {i}",
            "text": " ".join(WORDS[(i * j) % 9] for j in range(1, 40 + i % 150)),
        }
        for i in range(SHARDS * 60)
    ]
    path = tmp_path_factory.mktemp("pages") / "pages.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=60)
    return path


@pytest.fixture(scope="module", params=["float32", "int8"])
def reference(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> BulkJob:
    """The job that one process did, on one thread."""
    out = tmp_path_factory.mktemp(request.param) / "here"
    encoding = {"dtype": request.param}
    job = BulkJob(str(source), str(out), encoding=encoding, threads=1, shard_rows=60)
    assert len(list(encode_shards(job, job.prepare(), "here"))) == SHARDS
    return job


def workers_of_ray() -> list["psutil.Process"]:
    return [each for each in psutil.process_iter(["cmdline"]) if "MapWorker" in command(each)]


def workers_of_spark() -> list["psutil.Process"]:
    found = [each for each in psutil.process_iter(["cmdline"]) if "pyspark.daemon" in command(each)]
    ids = {each.pid for each in found}
    return [each for each in found if each.ppid() in ids]


def command(process: "psutil.Process") -> str:
    return " ".join(process.info["cmdline"] or ())


@pytest.mark.parametrize(
    ("cluster", "workers"), [("ray", workers_of_ray), ("spark", workers_of_spark)]
)
def test_a_killed_worker_loses_and_doubles_nothing(
    reference: BulkJob, tmp_path: Path, cluster: str, workers: Callable[[], list["psutil.Process"]]
) -> None:
    job = replace(reference, target=str(tmp_path / "out"))
    killed: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while not done.is_set():
            there = workers()
            if there and len(list(Path(job.target).glob("part-*.parquet"))) >= 2:
                there[0].kill()
                killed.append(there[0].pid)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        reports = list(encode_shards(job, job.prepare(), cluster, 2))
    finally:
        done.set()
        killer.join()
    assert killed, "no worker was killed before the end"
    assert sorted(each.number for each in reports) == list(range(SHARDS))
    assert sum(each.documents for each in reports) == SHARDS * 60 and job.prepare() == []
    names = sorted(path.name for path in Path(job.target).glob("part-*.parquet"))
    assert len(names) == SHARDS
    for name in names:
        ours, theirs = (read_vectors(Path(each.target) / name) for each in (job, reference))
        assert ours.ids == theirs.ids
        assert ours.vectors.terms.tobytes() == theirs.vectors.terms.tobytes()
        assert ours.vectors.weights.tobytes() == theirs.vectors.weights.tobytes()
