"""Requests to a process under measurement.

A request is a line of JSON on standard input. The answer is a line of JSON on standard output. The
output of libraries goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path


def answer_requests(handler: object, close: Callable[[], None]) -> None:
    """Call the method of the handler that each request names, until standard input ends.

    A method returns a dictionary. If it raises, the answer is a dictionary with ``error``.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(handler, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - peers raise anything
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    close()


def status_bytes(process: int | str, field: str) -> int:
    """Return a field of /proc/PROCESS/status in bytes; 0 if there is no such file or field."""
    status = Path(f"/proc/{process}/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
