"""Bulk encoding on the API of S3: s3fs against a server of moto, in processes of their own."""

import json
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from s3_buckets import KEYS, Bucket

from lexpand.engines import BulkJob
from lexpand.errors import SourceError, StorageError
from lexpand.index.exchange import import_vectors

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of the packages

SHARDS, ROWS = 6, 100
WORDS = ("reset", "login", "printer", "paper", "wireless", "guest", "expense", "claim", "invoice")
COMMAND = Path(sysconfig.get_path("scripts")) / "lexpand"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of different lengths, in six row groups of two files."""
    folder = tmp_path_factory.mktemp("pages")
    rows = [
        {
            "id": f"d{i}",
            "title": f"Page {i}",
            "text": " ".join(WORDS[(i * j) % 9] for j in range(1, 30 + i % 70)),
        }
        for i in range(SHARDS * ROWS)
    ]
    for number, half in enumerate((rows[: 4 * ROWS], rows[4 * ROWS :])):
        parquet.write_table(
            pyarrow.Table.from_pylist(half), folder / f"{number}.parquet", row_group_size=ROWS
        )
    return folder


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of the same job from a local folder to a local folder."""
    out = tmp_path_factory.mktemp("local") / "vectors"
    done = encode(source, out)
    assert done.returncode == 0, done.stderr
    return out


def arguments(source: object, target: object, *more: object) -> list[str]:
    fixed = ("--threads", 1, "--shard-rows", ROWS)
    return [str(COMMAND), *map(str, ("encode", source, "--output", target, *fixed, *more))]


def encode(source: object, target: object, *more: object) -> subprocess.CompletedProcess[str]:
    more = more or ("--on", "here")
    return subprocess.run(
        arguments(source, target, *more), capture_output=True, text=True, timeout=300
    )


def parts_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("part-*.parquet")}


@pytest.mark.parametrize("cluster", ["here", "ray", "spark"])
def test_a_job_from_s3_to_s3_gives_the_bytes_of_a_local_one(
    bucket: Bucket, source: Path, reference: Path, cluster: str, tmp_path: Path
) -> None:
    if cluster != "here":
        pytest.importorskip({"spark": "pyspark"}.get(cluster, cluster))
    bucket.system.put(f"{source}/", bucket.url("pages/"), recursive=True)
    done = encode(bucket.url("pages"), bucket.url("vectors"), "--on", cluster, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert f"has {SHARDS} parts: {SHARDS * ROWS} documents encoded now" in done.stdout
    assert bucket.parts("vectors") == parts_of(reference)
    assert bucket.files("vectors").keys() == {"_job.json", *parts_of(reference)}
    if cluster == "here":
        bucket.system.get(f"{bucket.name}/vectors/", f"{tmp_path}/vectors/", recursive=True)
        for name, folder in (("a", tmp_path / "vectors"), ("b", reference)):
            assert import_vectors(tmp_path / f"{name}.index", folder).added == SHARDS * ROWS
            export = (COMMAND, "export", tmp_path / f"{name}.index", tmp_path / f"{name}.jsonl")
            subprocess.run([str(each) for each in export], check=True, capture_output=True)
        assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_job_that_was_stopped_goes_on(
    bucket: Bucket, source: Path, reference: Path, sent: signal.Signals, code: int
) -> None:
    command = arguments(source, bucket.url("vectors"), "--on", "here")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 300
        while not bucket.parts("vectors") and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    before = bucket.parts("vectors")
    assert 0 < len(before) < SHARDS
    again = encode(source, bucket.url("vectors"))
    assert again.returncode == 0, again.stderr
    assert f"has {len(before)} of {SHARDS} parts" in again.stderr
    assert f"{(SHARDS - len(before)) * ROWS} documents encoded now" in again.stdout
    assert bucket.parts("vectors") == parts_of(reference)


def test_two_commands_at_once_give_the_bytes_of_one(
    bucket: Bucket, source: Path, reference: Path
) -> None:
    command = arguments(source, bucket.url("vectors"), "--on", "here")
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert bucket.parts("vectors") == parts_of(reference)


def test_keys_and_endpoint_may_come_from_the_settings_of_fsspec(
    bucket: Bucket, endpoint: str, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*KEYS, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws
    settings = {"s3": {"endpoint_url": endpoint, "key": "testing", "secret": "testing"}}
    (tmp_path / "conf.json").write_text(json.dumps(settings))
    monkeypatch.setenv("FSSPEC_CONFIG_DIR", str(tmp_path))
    done = encode(source, bucket.url("vectors"))
    assert done.returncode == 0, done.stderr
    assert len(bucket.parts("vectors")) == SHARDS


def test_what_a_store_refuses_is_said(
    bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        SourceError, match="s3://nowhere/pages cannot be read: The specified bucket"
    ):
        BulkJob("s3://nowhere/pages", bucket.url("out")).prepare()
    with pytest.raises(StorageError, match=r"s3://nowhere/out.* cannot be written: .*bucket"):
        BulkJob(str(source), "s3://nowhere/out").prepare()
    assert not bucket.system.exists("nowhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    refused = encode(source, bucket.url("vectors"))
    assert refused.returncode == 1 and "127.0.0.1:9" in refused.stderr, refused
    assert "Traceback" not in refused.stderr


def test_missing_keys_are_said(
    bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    refused = encode(source, bucket.url("vectors"))
    assert refused.returncode == 1 and "Unable to locate credentials" in refused.stderr, refused
    assert "Traceback" not in refused.stderr
