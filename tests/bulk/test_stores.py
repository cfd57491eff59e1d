"""Folders of parts in different stores: two jobs that start together, and what is missing."""

import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lexpand.engines import BulkJob, encode_shards
from lexpand.errors import DataError, LexpandError, StorageError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
fsspec = pytest.importorskip("fsspec")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402 - it may be missing

SHARDS = 3


class PlainStore(MemoryFileSystem):
    """A store without exclusive writes, as many have none."""

    protocol = "plain"
    store: dict[str, Any] = {}  # noqa: RUF012 - as in its base
    pseudo_dirs = [""]  # noqa: RUF012
    pipe_file = fsspec.AbstractFileSystem.pipe_file


@pytest.fixture
def job(tmp_path: Path) -> BulkJob:
    rows = [{"id": f"d{i}", "text": f"printer {i}"} for i in range(2 * SHARDS)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet", row_group_size=2)
    return BulkJob(str(tmp_path / "p.parquet"), str(tmp_path / "out"), shard_rows=2)


@pytest.fixture(params=["local", "no links", "memory", "plain", "s3"])
def target(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An empty folder in a store."""
    if request.param == "s3":
        request.applymarker(pytest.mark.filterwarnings("ignore"))  # those of its packages
        yield request.getfixturevalue("bucket").url("out")
    elif request.param in ("local", "no links"):
        if request.param == "no links":
            monkeypatch.setattr("os.link", _refuse)
        yield str(tmp_path / "out")
    else:
        fsspec.register_implementation("plain", PlainStore, clobber=True)
        yield f"{request.param}://{uuid.uuid4().hex}/out"


def _refuse(*_: object) -> None:
    raise PermissionError("links are not allowed here")


def start_together(jobs: list[BulkJob], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Prepare jobs when all of them have seen that the target is empty; return the outcomes."""
    barrier = threading.Barrier(len(jobs))
    own, seen = BulkJob._there, set[int]()
    outcomes: list[Any] = [None] * len(jobs)

    def there(self: BulkJob) -> set[str]:
        found = own(self)
        if id(self) not in seen:
            seen.add(id(self))
            barrier.wait(60)
        return found

    def prepare(place: int) -> None:
        try:
            outcomes[place] = jobs[place].prepare()
        except LexpandError as error:
            outcomes[place] = error

    monkeypatch.setattr(BulkJob, "_there", there)
    threads = [threading.Thread(target=prepare, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.setattr(BulkJob, "_there", own)
    return outcomes


def test_of_jobs_that_start_together_one_owns_the_folder(
    job: BulkJob, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal jobs join, and the others are refused, as when they come later."""
    job = replace(job, target=target)
    jobs = [replace(job), replace(job, encoding={"max_tokens": 16}), replace(job)]
    outcomes = start_together(jobs, monkeypatch)
    system, root = fsspec.core.url_to_fs(target)
    system.invalidate_cache()
    assert [name.rpartition("/")[2] for name in system.ls(root, detail=False)] == ["_job.json"]
    short = json.loads(system.cat_file(f"{root}/_job.json"))["encoding"]["max_tokens"] == 16
    for each, outcome in zip(jobs, outcomes, strict=True):
        if bool(each.encoding) is short:
            assert not isinstance(outcome, Exception) and len(outcome) == SHARDS
            list(encode_shards(each, outcome, "here"))
        else:
            assert isinstance(outcome, DataError), outcome
            assert f"{target} has the parts of another job (encoding: " in str(outcome)
    assert jobs[1 if short else 0].prepare() == []


def test_a_job_that_died_while_it_started_is_no_obstacle(job: BulkJob) -> None:
    Path(job.target).mkdir()
    (Path(job.target) / "_job.json.1f2e3d4c.partial").write_bytes(b'{"half')
    assert len(job.prepare()) == SHARDS


def test_a_folder_that_cannot_be_written_is_said(job: BulkJob, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match=r"/file/out cannot be written: .*Not a directory"):
        replace(job, target=str(tmp_path / "file" / "out")).prepare()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/pages", "opening s3://bucket/pages needs s3fs: pip install s3fs"),
        ("gs://bucket/pages", "opening gs://bucket/pages needs gcsfs: pip install gcsfs"),
        ("sftp://host/pages", "sftp://host/pages cannot be opened: .*paramiko"),
    ],
)
def test_the_package_of_a_store_is_named(url: str, said: str) -> None:
    script = (
        "import sys\n"
        "for name in ('s3fs', 'gcsfs', 'paramiko'): sys.modules[name] = None\n"
        "from lexpand.engines import BulkJob\n"
        f"BulkJob({url!r}, 'out').prepare()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert re.search(said, done.stderr.splitlines()[-1]), done.stderr
