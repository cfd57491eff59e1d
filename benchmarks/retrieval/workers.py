"""A process for each system, so that no system can disturb or end another."""

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
    """A system failed, ended or timed out. The message has the reason."""


class Worker:
    """A system that runs in a separate process.

    It is pinned to the last ``threads`` processors if the platform supports that.

    Args:
        python: the interpreter that has the system installed.
        module: the module of the package that runs the system.
        threads: the size of the thread pools of its libraries.
        log: the file for the output of the system.
        timeout: the maximum number of seconds for one answer.
        package: the folder of the module: ``peers`` for search, ``encoders`` for encoding.

    Raises:
        WorkerError: the interpreter does not exist.
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
                target = {"peers": ".venv-bench/ready", "encoders": ".venv-encode/ready"}[package]
                raise WorkerError(
                    f"{python} does not start ({error.strerror}): run `make {target}`"
                ) from error
        with contextlib.suppress(AttributeError, OSError):
            os.sched_setaffinity(self._process.pid, sorted(os.sched_getaffinity(0))[-threads:])

    def request(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return the answer (peers/protocol.py).

        Raises:
            WorkerError: the system failed, ended or did not answer in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._exit_message()) from None
        if not select.select([self._process.stdout], [], [], self._timeout)[0]:
            self._process.kill()
            raise WorkerError(f"no answer to {do!r} within {self._timeout:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._exit_message())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process: close its input, and kill it after 20 s."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def _exit_message(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"the process ended with {code}: {lines[-1] if lines else 'it printed nothing'}"


@contextlib.contextmanager
def running_worker(*arguments: Any, **options: Any) -> Iterator[Worker]:
    """Start a worker and close it at the end of the block."""
    worker = Worker(*arguments, **options)
    try:
        yield worker
    finally:
        worker.close()
