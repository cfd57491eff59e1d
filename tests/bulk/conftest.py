"""A server with the API of S3 (moto), and empty buckets on it."""

import os
import uuid
from collections.abc import Iterator

import pytest
from s3_buckets import KEYS, Bucket


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket; the environment has its keys and its endpoint."""
    s3fs = pytest.importorskip("s3fs")
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    found = Bucket(f"lexpand-{uuid.uuid4().hex}", s3fs.S3FileSystem())
    found.system.mkdir(found.name)
    yield found
    s3fs.S3FileSystem.clear_instance_cache()
