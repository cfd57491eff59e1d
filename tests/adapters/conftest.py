"""Indexes to query: one with a lexical field, for every pipeline, and one of a long document."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexpand import Document, DocumentEncoding, Encoder, Index, Retriever, ingest, open_retriever
from lexpand.data import LongDocuments
from lexpand.encode import WordAnalyzer

# By default, Haystack sends usage data to its authors for every pipeline.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"


@pytest.fixture
def folder(tmp_path: Path, encoder: Encoder, pages: list[Document]) -> Path:
    """The folder of an index of the five pages, one without a text, and two with the same text."""
    duplicates = [
        Document(name, "Vacation days are sent by e-mail.", metadata={"title": "mine"})
        for name in ("a", "b")
    ]
    with Index.create(
        tmp_path / "pages.index", encoder.space, words=WordAnalyzer("english")
    ) as index:
        ingest(index, encoder, [*pages, Document("bare", "", "Invoices by e-mail"), *duplicates])
    return tmp_path / "pages.index"


@pytest.fixture
def plain(folder: Path) -> Iterator[Retriever]:
    """Lexpand's own retriever over the index, whose hits the adapters must return."""
    with open_retriever(folder, "hybrid") as retriever:
        yield retriever


@pytest.fixture
def chunked(tmp_path: Path) -> Iterator[Retriever]:
    """A retriever over one long document in chunks; a middle chunk is about invoices."""
    encoder = Encoder.load(documents=DocumentEncoding(max_tokens=32, long=LongDocuments("chunk")))
    filler = "The printer is turned off and on again, and it waits for ten seconds. "
    text = filler * 6 + "Invoices are sent by e-mail. " + filler * 6
    with Index.create(tmp_path / "chunks.index", encoder.space) as index:
        ingest(index, encoder, [Document("long", text, "Handbook", {"team": "office"})])
    with open_retriever(tmp_path / "chunks.index") as retriever:
        yield retriever
