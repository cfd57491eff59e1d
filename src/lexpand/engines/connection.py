"""Connections to engines over HTTP: credentials, TLS, and retries with back-off."""

from __future__ import annotations

import json
import os
import random
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lexpand.errors import DataError, EngineError, MissingExtra, SourceError

if TYPE_CHECKING:
    from urllib3 import PoolManager

USER, PASSWORD, API_KEY = "LEXPAND_ENGINE_USER", "LEXPAND_ENGINE_PASSWORD", "LEXPAND_ENGINE_API_KEY"
"""The environment variables of the credentials."""

_BUSY = (429, 502, 503, 504)
_LONGEST_WAIT = 30.0
_TIMEOUT = 60.0
_CONNECT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks an engine: a user with a password, or an API key. Empty for none.

    Its `repr` does not show secrets.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.api_key and self.user:
            raise DataError("credentials must be a user and a password, or an API key, not both")
        # The values are secrets, so no message shows them.
        if not self.api_key.isascii() or any(not "!" <= each <= "~" for each in self.api_key):
            raise DataError(
                "an API key must be printable ASCII without spaces: look for a line end or a quote"
                " that was copied with it"
            )
        if any(ord(each) < 32 for each in self.user + self.password):
            raise DataError(
                "a user and a password must not have control characters: look for a line end that"
                " was copied with them"
            )

    @classmethod
    def find(cls, file: Path | None = None) -> Credentials:
        """Read the credentials of a TOML file, or else those of the environment.

        Args:
            file: has ``user`` and ``password``, or ``api_key``. Others must not be able to read it.

        Raises:
            SourceError: the file cannot be read, or others can read it.
            DataError: a key is unknown, or both kinds are given.
        """
        if file is None:
            found = {"user": USER, "password": PASSWORD, "api_key": API_KEY}
            return cls(**{name: os.environ.get(key, "") for name, key in found.items()})
        try:
            if os.name == "posix" and file.stat().st_mode & 0o077:
                raise SourceError(f"{file} can be read by others: chmod 600 {file}")
            raw = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SourceError(f"{file} cannot be read as credentials: {error}") from None
        unknown = sorted(set(raw) - {"user", "password", "api_key"})
        if unknown:
            raise DataError(
                f"{file} must have user and password, or api_key, got the key {unknown[0]!r}"
            )
        wrong = next((name for name, value in raw.items() if not isinstance(value, str)), None)
        if wrong is not None:
            raise DataError(f"{file}: {wrong} must be a text in quotes")
        return cls(**raw)

    def headers(self, key_header: str = "Authorization") -> dict[str, str]:
        """Return the headers that a request carries.

        Args:
            key_header: the header of an API key. ``Authorization`` has ``ApiKey`` before the key.
        """
        if self.api_key:
            before = "ApiKey " if key_header == "Authorization" else ""
            return {key_header: f"{before}{self.api_key}"}
        if not self.user:
            return {}
        import base64

        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


class Connection:
    """A pool of connections to one engine. Threads may share it.

    Certificates are always verified.

    Args:
        base: the URL without a path, such as ``https://search.example.org:9200``.
        credentials: who asks.
        key_header: see `Credentials.headers`.
        ca: a file of certificates that are trusted besides those of the system.
        attempts: the number of times that a request is tried while the engine is busy or cannot be
            reached.
        sleep: waits for a number of seconds.

    Raises:
        DataError: the URL is invalid or has credentials in it, or credentials would be sent to
            another machine without TLS.
        MissingExtra: urllib3 is not installed.
    """

    def __init__(
        self,
        base: str,
        credentials: Credentials = Credentials(),
        *,
        key_header: str = "Authorization",
        ca: Path | None = None,
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(
                "the URL of an engine must begin with http:// or https://, got"
                f" {without_secrets(base)}"
            )
        if parts.username or parts.password:
            raise DataError(
                "the URL of an engine must not have credentials, which `ps` shows: set"
                f" {USER} and {PASSWORD}, or {API_KEY}"
            )
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        secret = credentials.headers(key_header)
        self._headers = {"Content-Type": "application/json", **secret}
        if secret and parts.scheme == "http" and not local:
            raise DataError(
                f"credentials must not be sent to {parts.hostname} without TLS: use https"
            )
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.attempts = attempts
        self._sleep = sleep
        self._pool = _pool(ca)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        missing: bool = False,
        once: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return the JSON of the answer.

        Args:
            method: the HTTP method.
            path: the path and the query string, escaped.
            body: JSON, or lines of JSON.
            once: whether the request is never repeated, since that would do something else.
            missing: whether 404 is an answer, which is returned as None.

        Raises:
            EngineError: the engine cannot be reached, refuses the request, or is busy for too long.
        """
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = dict(self._headers)
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/x-ndjson"
        attempts = 1 if once else self.attempts
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            status, answer = self._once(method, path, content, headers, last)
            if status in _BUSY and not last:
                self.wait(attempt)
                continue
            if missing and status == 404:
                return None
            return self._checked(method, path, status, answer)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        self._pool.clear()

    def wait(self, attempt: int) -> None:
        """Wait before another attempt: 0.5, 1, 2 ... seconds, at most 30, with jitter."""
        self._sleep(min(_LONGEST_WAIT, 0.5 * 2**attempt) * (0.75 + random.random() / 2))

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], last: bool
    ) -> tuple[int, bytes]:
        """Send a request once; 503 stands for an engine that cannot be reached."""
        import urllib3

        try:
            answer = self._pool.request(
                method, f"{self.base}{path}", body=body, headers=headers, redirect=False
            )
            return answer.status, answer.data
        except urllib3.exceptions.SSLError as error:
            raise EngineError(
                f"{self.base} has a certificate that is not trusted ({error}): give the certificate"
                " of its authority with --ca"
            ) from None
        except urllib3.exceptions.HTTPError as error:
            if last:
                raise EngineError(
                    f"{self.base} cannot be reached: {_reason(error)}: check the URL and that the"
                    " engine runs"
                ) from None
            return 503, b""

    def _checked(self, method: str, path: str, status: int, answer: bytes) -> Any:  # noqa: ANN401
        where = f"{method} {self.base}{path.partition('?')[0]}"
        if status in (401, 403):
            raise EngineError(
                f"{where} was refused ({status}): set {USER} and {PASSWORD}, or {API_KEY}, to"
                " credentials that may do this"
            )
        if status >= 300:
            raise EngineError(f"{where} failed with {status}: {_detail(answer)}")
        try:
            return json.loads(answer) if answer.strip() else {}
        except ValueError:
            raise EngineError(
                f"{where} must answer with JSON, got {answer[:80]!r}: is it the URL of an engine?"
            ) from None


def without_secrets(address: str) -> str:
    """Return an address for a message, without the user and the password before an @."""
    before, at, place = address.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme if separator else ''}{separator}...@{place}" if at else address


def escaped(name: str) -> str:
    """Return a name as a part of a path."""
    return quote(name, safe="")


def _pool(ca: Path | None) -> PoolManager:
    try:
        import urllib3
    except ImportError:
        raise MissingExtra("urllib3", "engines", "talking to search engines") from None
    import ssl

    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(f"{ca} must be a file of certificates in PEM: {error}") from None
    timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_TIMEOUT)
    return urllib3.PoolManager(maxsize=16, timeout=timeout, retries=False, ssl_context=context)


def _reason(error: Exception) -> str:
    """Return the innermost reason of an error of urllib3."""
    inner = getattr(error, "reason", None) or error
    text = str(inner)
    return text.rpartition(": ")[2] or type(inner).__name__


def _detail(answer: bytes) -> str:
    """Return what an engine says about a failure, shortened."""
    try:
        said = json.loads(answer)
        status = said.get("status")
        error = said.get("error") or (status.get("error") if isinstance(status, dict) else None)
    except (ValueError, AttributeError):
        return answer[:300].decode(errors="replace")
    if isinstance(error, dict):
        causes = error.get("root_cause") or [error]
        return f"{causes[0].get('type')}: {causes[0].get('reason')}"[:500]
    return str(error)[:500]
