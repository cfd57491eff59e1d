"""Connections to engines: credentials, TLS, retries, and what is said about failures."""

import base64
import ssl
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path

import pytest
from fake_cluster import ROOT, FakeCluster, running

from lexpand.engines import Connection, Credentials, LuceneEngine, open_engine
from lexpand.errors import DataError, EngineError, SourceError


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running(FakeCluster({"GET /": [ROOT]})) as found:
        yield found


def patient(cluster: FakeCluster, waits: list[float], **options: object) -> Connection:
    return Connection(cluster.url, sleep=waits.append, **options)  # type: ignore[arg-type]


def test_a_busy_engine_is_asked_again_with_growing_waits(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [(429, {}), (503, {}), (502, {}), ROOT]
    waits: list[float] = []
    assert patient(cluster, waits).request("GET", "/")["version"]["number"] == "9.5.3"
    assert len(cluster.asked) == 4 and len(waits) == 3
    assert all(0.75 * 0.5 * 2**i <= wait <= 1.25 * 0.5 * 2**i for i, wait in enumerate(waits))


def test_an_engine_that_stays_busy_is_an_error(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [(503, {"error": {"type": "x", "reason": "no master"}})]
    with pytest.raises(EngineError, match="failed with 503: x: no master"):
        patient(cluster, [], attempts=3).request("GET", "/")
    assert len(cluster.asked) == 3


def test_a_wrong_url_is_named() -> None:
    with pytest.raises(EngineError, match=r"http://127.0.0.1:9 cannot be reached: .*refused"):
        Connection("http://127.0.0.1:9", sleep=lambda _: None, attempts=2).request("GET", "/")
    with pytest.raises(DataError, match="must begin with http:// or https://, got es://x"):
        Connection("es://x")
    with pytest.raises(DataError, match="must be URL/INDEX"):
        open_engine("http://127.0.0.1:9/")


def test_an_answer_that_is_no_json_is_named(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [(200, b"<html>It works!</html>")]
    with pytest.raises(EngineError, match=r"must answer with JSON.*is it the URL of an engine"):
        patient(cluster, []).request("GET", "/")


def test_wrong_credentials_say_what_to_set(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [(401, {"error": "no"})]
    with pytest.raises(EngineError, match=r"was refused \(401\): set LEXPAND_ENGINE_USER"):
        patient(cluster, []).request("GET", "/")


def test_credentials_come_from_the_environment_or_a_file(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEXPAND_ENGINE_USER", "ann")
    monkeypatch.setenv("LEXPAND_ENGINE_PASSWORD", "s3cret")
    Connection(cluster.url, Credentials.find()).request("GET", "/")
    sent = cluster.asked[-1][2]["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"ann:s3cret"
    file = tmp_path / "key.toml"
    file.write_text('api_key = "abc"')
    file.chmod(0o600)
    Connection(cluster.url, Credentials.find(file)).request("GET", "/")
    assert cluster.asked[-1][2]["Authorization"] == "ApiKey abc"
    assert "s3cret" not in repr(Credentials.find()) and "abc" not in repr(Credentials.find(file))
    file.chmod(0o644)
    with pytest.raises(SourceError, match="can be read by others: chmod 600"):
        Credentials.find(file)
    file.chmod(0o600)
    file.write_text('token = "abc"')
    with pytest.raises(DataError, match="must have user and password, or api_key, got the key 'to"):
        Credentials.find(file)
    file.write_text('user = ["ann"]')
    with pytest.raises(DataError, match="user must be a text in quotes"):
        Credentials.find(file)


@pytest.mark.parametrize("name", ["api_key", "user", "password"])
@pytest.mark.parametrize("end", ["\n", "\0", "\u20ac"])
def test_credentials_that_no_request_can_carry_are_refused_unseen(name: str, end: str) -> None:
    if name != "api_key" and end == "\u20ac":
        assert Credentials(**{name: "s3cret" + end})
        return
    with pytest.raises(DataError, match="was copied with") as caught:
        Credentials(**{name: "s3cret" + end})
    assert "s3cret" not in str(caught.value)


def test_credentials_are_neither_in_the_url_nor_sent_in_the_clear() -> None:
    with pytest.raises(DataError, match="must not have credentials, which `ps` shows"):
        Connection("https://ann:s3cret@search.example.org")
    with pytest.raises(DataError, match=r"must not be sent to search\.example\.org without TLS"):
        Connection("http://search.example.org", Credentials("ann", "s3cret"))
    with pytest.raises(DataError, match="or an API key, not both"):
        Credentials("ann", "s3cret", "key")


def test_certificates_are_verified(certificate: Path) -> None:
    from http.server import BaseHTTPRequestHandler

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"ok": true}')

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(EngineError, match=r"has a certificate that is not trusted.*--ca"):
            Connection(url).request("GET", "/")
        trusted = Connection(url, Credentials("ann", "x"), ca=Path(f"{certificate}.crt"))
        assert trusted.request("GET", "/") == {"ok": True}
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(SourceError, match="must be a file of certificates in PEM"):
        Connection(url, ca=Path(__file__))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"version": {"number": "8.14.1"}}, "must be elasticsearch 8.15 or later, got 8.14.1"),
        (
            {"version": {"number": "2.9.0", "distribution": "opensearch"}},
            "must be opensearch 2.11 or later, got 2.9.0",
        ),
        ({"title": "qdrant"}, "must be Elasticsearch or OpenSearch, and answered"),
    ],
)
def test_other_engines_and_old_versions_are_refused(
    cluster: FakeCluster, about: dict, message: str
) -> None:
    cluster.answers["GET /"] = [(200, about)]
    with pytest.raises(EngineError, match=message):
        LuceneEngine(patient(cluster, []), "pages")


def test_a_snapshot_version_is_read(cluster: FakeCluster) -> None:
    cluster.answers["GET /"] = [(200, {"version": {"number": "9.6.0-SNAPSHOT"}})]
    assert LuceneEngine(patient(cluster, []), "pages").version == (9, 6, 0)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:abc/pages",
        "http://[::1:9200/pages",
        "http://localhost:9200/pag*",
        "http://localhost:9200/a,b",
        "http://localhost:9200/_all",
        "http://localhost:9200/pages?x=1",
        "postgresql://localhost:abc/db/table",
        "ftp://localhost/pages",
        "pages",
    ],
)
def test_addresses_that_are_no_engine_are_refused_at_once(address: str) -> None:
    with pytest.raises(DataError, match=r"address|port"):
        open_engine(address)
