"""A process for each system, so that none can pollute or end another."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BENCHMARKS = Path(__file__).parents[1]
_THREADS = (
    "RAYON_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


class WorkerError(Exception):
    """A system failed, ended or took too long; the message says which of them and why."""


class Worker:
    """A running system, on the last ``threads`` processors where the platform can pin.

    Args:
        python: the interpreter that has the system installed.
        module: of the package.
        threads: for its libraries' pools.
        log: a file for what it prints.
        timeout: seconds for one answer.
        package: the folder of the programs: ``peers`` for search, ``encoders`` for encoding.

    Raises:
        WorkerError: there is no such interpreter.
    """

    def __init__(
        self,
        python: Path,
        module: str,
        threads: int,
        log: Path,
        timeout: float = 7200,
        package: str = "peers",
    ) -> None:
        self.module = module
        self._log, self._timeout = log, timeout
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        with log.open("ab") as errors:
            pipe, command = subprocess.PIPE, [str(python), "-m", f"{package}.{module}"]
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=_BENCHMARKS,
                    env=environment,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=errors,
                )
            except OSError as error:
                raise WorkerError(
                    f"{python} does not start ({error.strerror}): make .venv-bench/ready"
                ) from error
        with contextlib.suppress(AttributeError, OSError):
            os.sched_setaffinity(self._process.pid, sorted(os.sched_getaffinity(0))[-threads:])

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Its answer to a request (peers/protocol.py).

        Raises:
            WorkerError: there is none.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._last_words()) from None
        if not select.select([self._process.stdout], [], [], self._timeout)[0]:
            self._process.kill()
            raise WorkerError(f"no answer to {do!r} within {self._timeout:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """Ask it to end, and see to it."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def _last_words(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"the process ended with {code}: {lines[-1] if lines else 'it printed nothing'}"


@contextlib.contextmanager
def working(*arguments: Any, **options: Any) -> Iterator[Worker]:
    """A worker for a while."""
    worker = Worker(*arguments, **options)
    try:
        yield worker
    finally:
        worker.close()
