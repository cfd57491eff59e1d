"""A process under measurement is asked by lines of JSON on standard input, and answers a line on standard output.

Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path


def answer(handler: object, close: Callable[[], None]) -> None:
    """Call the handler's methods as requests name them, until there are no more; each returns a dictionary."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            said = getattr(handler, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - a peer may raise anything; the measurement goes on without it
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=answers, flush=True)
    close()


def status_bytes(process: int | str, field: str) -> int:
    """A field of /proc/PROCESS/status, in bytes; 0 without one."""
    status = Path(f"/proc/{process}/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
