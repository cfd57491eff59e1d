"""A stand-in for a cluster, which answers as a test says and records what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]

ROOT: Answer = (200, {"version": {"number": "9.5.3"}})


@dataclass
class FakeCluster:
    """Answers requests by method and path.

    Attributes:
        answers: a list of answers by ``METHOD /path``; the last one is repeated. A function makes
            the answer from the body.
        asked: method, path, headers and body of each request.
    """

    answers: dict[str, list[Answer | Callable[[bytes], Answer]]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append((method, path, headers, body))
        found = self.answers.get(f"{method} {path.partition('?')[0]}")
        if not found:
            return 404, {"error": {"type": "not_found", "reason": f"no {path}"}}
        chosen = found.pop(0) if len(found) > 1 else found[0]
        return chosen(body) if callable(chosen) else chosen


@contextmanager
def running(cluster: FakeCluster) -> Iterator[FakeCluster]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = cluster.answer(
                self.command, self.path, dict(self.headers.items()), body
            )
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
