"""Real nodes of Elasticsearch and OpenSearch, each started once; and the support pages.

`make test-engines` builds the nodes. Without them, their tests are skipped, except in CI.
"""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import lexpand
from lexpand import Encoder, Index
from lexpand.collection import Collection
from lexpand.engines import Connection, LuceneEngine

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "engines"
MAIN = {"elasticsearch": "org.elasticsearch.node.LocalNode", "opensearch": "LocalNode"}
SUPPORT = ROOT / "examples" / "support"
_SECONDS = 90


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Node:
    """A process with a node, which can be killed and started again on its data."""

    def __init__(self, kind: str, data: Path) -> None:
        self.kind = kind
        self.data = data
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        settings = Path(__file__).parent / "elasticsearch" / "log4j2.properties"
        command = [
            "java",
            "-Xmx512m",
            f"-Dlog4j2.configurationFile={settings}",
            "-cp",
            f"{BUILT / self.kind}/classes:{BUILT / self.kind}/lib/*",
            MAIN[self.kind],
            str(self.data),
            str(self.port),
        ]
        with (self.data / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/_cluster/health", timeout=2).read()
                return
            except OSError:
                time.sleep(0.3)
        raise RuntimeError((self.data / "log.txt").read_text(errors="replace")[-3000:])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session", params=list(MAIN))
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    kind = request.param
    if not (BUILT / kind / "ready").is_file():
        if os.environ.get("LEXPAND_REQUIRE_ENGINES"):
            pytest.fail(f"the node of {kind} must be built: run make test-engines")
        pytest.skip(f"the node of {kind} is not built (make test-engines)")
    found = Node(kind, tmp_path_factory.mktemp(kind))
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="session")
def support_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the support pages, which tests must not change."""
    path = tmp_path_factory.mktemp("support") / "pages.index"
    lexpand.create(path, SUPPORT / "pages.jsonl.gz").close()
    return path


@pytest.fixture
def support(support_path: Path, encoder: Encoder) -> Iterator[Collection]:
    with Collection(Index.open(support_path), encoder=encoder) as kb:
        yield kb


@pytest.fixture
def engine(node: Node, encoder: Encoder, request: pytest.FixtureRequest) -> Iterator[LuceneEngine]:
    """An engine on an index of its own, which is dropped."""
    name = f"test-{abs(hash(request.node.name)):x}"
    found = LuceneEngine(Connection(node.url), name, encoder)
    yield found
    found.drop()
