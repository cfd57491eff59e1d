"""Engines for tests: nodes in processes of their own (`make test-engines` builds them), targets."""

import os
import socket
import subprocess
import sysconfig
import time
import urllib.request
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from lexpand.engines import Verdict

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "examples" / "support"
BUILT = ROOT / "build" / "engines"
_MAIN = {"elasticsearch": "org.elasticsearch.node.LocalNode", "opensearch": "LocalNode"}
KINDS = ("elasticsearch-8.19.0", "elasticsearch-9.5.3", "opensearch-2.19.1", "opensearch-3.8.0")
"""Engines with their versions, the newest of each last."""

NEWEST = ("elasticsearch-9.5.3", "opensearch-3.8.0")
_SECONDS = 90


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Node:
    """A process with a node, which can be killed and started again on its data."""

    def __init__(self, kind: str, data: Path, cluster: tuple[int, list[int]] | None = None) -> None:
        """Of a node of a cluster, ``cluster`` is its number and the ports among the nodes."""
        self.kind = kind
        number, ports = cluster or (0, [])
        self._cluster = [str(number), ",".join(map(str, ports))] if cluster else []
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        settings = ROOT / "tests" / "engines" / "elasticsearch" / "log4j2.properties"
        command = [
            f"{(BUILT / self.kind / 'jdk').read_text().strip()}/bin/java",
            "-Xmx512m",
            f"-Dlog4j2.configurationFile={settings}",
            "-cp",
            f"{BUILT / self.kind}/classes:{BUILT / self.kind}/lib/*",
            _MAIN[self.kind.partition("-")[0]],
            str(self.data),
            str(self.port),
            *self._cluster,
        ]
        with (self.data / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/_cluster/health?timeout=1s", timeout=2).read()
                return
            except OSError:
                time.sleep(0.3)
        raise RuntimeError((self.data / "log.txt").read_text(errors="replace")[-3000:])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Target:
    """A name in an engine that no other test uses.

    Attributes:
        kind: the engine.
        address: for `open_engine`.
        verdict: the verdict on a faithful copy.
    """

    kind: str
    address: str
    verdict: Verdict


def require_milvus() -> None:
    """Skip a test without Milvus Lite, or fail where engines are required."""
    if os.environ.get("LEXPAND_REQUIRE_ENGINES"):
        assert find_spec("milvus_lite"), "Milvus Lite must be installed: run make test-engines"
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")


def milvus_address(folder: Path) -> str:
    """Return the address of a collection that no other test uses."""
    return f"milvus-lite:{folder / 'pages.db'}/test_{uuid.uuid4().hex[:12]}"


def lexpand_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = str(Path(sysconfig.get_path("scripts")) / "lexpand")
    return subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
