"""The command line, called in this process (quick) or in one of its own (signals, pipes, real exit codes)."""

import subprocess
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from cli_runs import COMMAND, Ran, run_here, write_rows

from lexpand import Document, Encoder, Index, ingest

# Few, because each holds a copy of the weights.
_load_once = lru_cache(maxsize=4)(Encoder.load)


@pytest.fixture(scope="module", autouse=True)
def _each_model_loaded_once() -> Iterator[None]:
    """Hundreds of commands run in this process; in a process of its own each loads its model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "load", staticmethod(_load_once))
        yield


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Runs a command in this process; an exception that the frame did not expect is raised."""
    return run_here


@pytest.fixture
def shell() -> Callable[..., Ran]:
    """Runs the installed script in a process of its own."""

    def call(*arguments: object, **options: object) -> Ran:
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "encoding": "utf-8",
                "timeout": 120,
                **options,
            },
        )
        return Ran(done.returncode, done.stdout or "", done.stderr or "")

    return call


@pytest.fixture(scope="session")
def pages_index(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """An index of four pages; tests read it."""
    path = tmp_path_factory.mktemp("pages") / "pages.index"
    pages = [
        Document(
            "recovery",
            "Choose 'I cannot get in' and we send a code to your phone.",
            "Account recovery",
        ),
        Document(
            "invoice",
            "Invoices are sent by e-mail each month.",
            "Billing",
            {"team": "finance", "page": 3},
        ),
        Document("printer", "Turn the printer off, wait ten seconds, and turn it on again."),
        Document("crash", "If the application crashes, send us the log file.", "Crash reports"),
    ]
    with Index.create(path, encoder.space) as index:
        ingest(index, encoder, pages)
    return path


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[..., Path]:
    """Makes a file of JSON lines from rows."""

    def make(*rows: object, name: str = "docs.jsonl") -> Path:
        return write_rows(tmp_path / name, rows)

    return make
