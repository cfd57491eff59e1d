"""Fixtures that run commands.

Most run in this process, which is fast. Signals, pipes and exit codes need a separate process.
"""

import subprocess
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from cli_runs import COMMAND, Ran, run_here, write_rows

from lexpand import Document, Encoder, Index, ingest

# At most four, because each has a copy of the weights.
_load_once = lru_cache(maxsize=4)(Encoder.load)


@pytest.fixture(scope="module", autouse=True)
def _each_model_loaded_once() -> Iterator[None]:
    """Load each model once, because hundreds of commands run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "load", staticmethod(_load_once))
        yield


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Return a function that runs a command in this process and raises unexpected exceptions."""
    return run_here


@pytest.fixture
def shell() -> Callable[..., Ran]:
    """Return a function that runs the installed script in a separate process."""

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
    """An index of four pages, which tests must not change."""
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
    """Return a function that writes rows to a file of JSON lines."""

    def make(*rows: object, name: str = "docs.jsonl") -> Path:
        return write_rows(tmp_path / name, rows)

    return make
