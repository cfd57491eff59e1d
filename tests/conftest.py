"""Fixtures for tests of several packages: the packaged model and its collection, loaded once."""

import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lexpand import Document, Encoder, Index, ingest
from lexpand.data import collection_path, read_documents

# Tests state figures of this model, and encode fast with it, whatever the default is.
os.environ["LEXPAND_MODEL"] = "splade-tiny"

# If a shell starts the tests in the background, they and their children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline, because a test must not fail on a slow machine.
settings.register_profile("lexpand", deadline=None)
settings.load_profile("lexpand")


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder.load()


@pytest.fixture(scope="session")
def scifact() -> list[Document]:
    """The 5,183 abstracts of SciFact."""
    return list(read_documents(collection_path("scifact")))


# A small knowledge base of real sentences, which the model can expand.
PAGES = [
    Document(
        "recovery",
        "Open the sign-in page and choose 'I cannot get in'. We send a code.",
        "Account recovery",
    ),
    Document(
        "invoice",
        "Invoices are sent by e-mail on the first day of each month.",
        "Billing",
        {"team": "finance"},
    ),
    Document(
        "printer",
        "Turn the printer off, wait ten seconds, and turn it on again.",
        "Printer does not print",
    ),
    Document(
        "holiday",
        "Ask your manager for leave at least two weeks before it begins.",
        "Vacation requests",
    ),
    Document(
        "crash",
        "If the application crashes, send us the log file from the settings folder.",
        "Crash reports",
    ),
]


@pytest.fixture
def pages() -> list[Document]:
    return list(PAGES)


@pytest.fixture
def small_index(tmp_path: Path, encoder: Encoder) -> Iterator[Index]:
    """An open index of the five pages."""
    with Index.create(tmp_path / "small.index", encoder.space) as index:
        ingest(index, encoder, PAGES)
        yield index


@pytest.fixture
def pages_file(tmp_path: Path) -> Path:
    """The five pages as JSON lines, compressed."""
    path = tmp_path / "pages.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for page in PAGES:
            row = {"id": page.doc_id, "title": page.title, "text": page.text, **page.metadata}
            file.write(json.dumps(row) + "\n")
    return path
