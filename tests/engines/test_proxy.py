"""A real node behind TLS and a password, as teams have it: a small proxy stands before it."""

import base64
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from engine_nodes import NEWEST, Node, lexpand_command

pytestmark = pytest.mark.slow

USER, PASSWORD = "LEXPAND_ENGINE_USER", "LEXPAND_ENGINE_PASSWORD"
EXPECTED = "Basic " + base64.b64encode(b"ann:s3cret").decode()


@pytest.fixture(params=NEWEST)
def proxy(
    request: pytest.FixtureRequest, start_node: Callable[[str], Node], certificate: Path
) -> Iterator[str]:
    """The URL of a proxy that speaks TLS and wants the password of ann."""
    node = start_node(request.param)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != EXPECTED:
                self.answer(401, b'{"error": "who are you?"}')
                return
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            passed = urllib.request.Request(
                f"{node.url}{self.path}", body or None, headers, method=self.command
            )
            try:
                with urllib.request.urlopen(passed, timeout=60) as found:
                    self.answer(found.status, found.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read())

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - their names

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_node_behind_tls_and_a_password(
    proxy: str,
    support_path: Path,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"{proxy}/guarded"
    trusted = ["--ca", f"{certificate}.crt"]
    untrusted = lexpand_command("push", support_path, address)
    assert untrusted.returncode == 1 and "a certificate that is not trusted" in untrusted.stderr
    nobody = lexpand_command("push", support_path, address, *trusted)
    assert nobody.returncode == 1 and "was refused (401): set LEXPAND_ENGINE_USER" in nobody.stderr
    monkeypatch.setenv(USER, "ann")
    monkeypatch.setenv(PASSWORD, "wrong")
    wrong = lexpand_command("push", support_path, address, *trusted)
    assert wrong.returncode == 1 and "was refused (401)" in wrong.stderr
    assert "wrong" not in wrong.stderr + wrong.stdout
    monkeypatch.setenv(PASSWORD, "s3cret")
    pushed = lexpand_command("push", support_path, address, *trusted)
    assert pushed.returncode == 0 and "160 passages written" in pushed.stdout, pushed
    monkeypatch.delenv(USER)
    monkeypatch.delenv(PASSWORD)
    file = tmp_path / "ann.toml"
    file.write_text('user = "ann"\npassword = "s3cret"\n')
    file.chmod(0o600)
    known = [*trusted, "--credentials", file]
    verified = lexpand_command("verify", support_path, address, *known)
    assert verified.returncode == 0 and verified.stdout.startswith("equal within"), verified
