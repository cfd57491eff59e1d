"""Threads read while another thread writes: every result is of one snapshot."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import lexpand
from lexpand import Collection, Encoder
from lexpand.search import LocalRetriever, Reranker

QUERY = "which page is about printers and invoices"


class Slow(Reranker):
    """A reranker that is slow, as a model is, and scores by length."""

    batch = 32

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        time.sleep(0.05)
        return np.array([float(len(text)) for text in texts])


def page(number: int, version: int) -> dict[str, object]:
    about = "printers" if number % 2 else "invoices"
    text = f"This is page {number} about {about}, version {version}. " + "More of it. " * (
        number % 4
    )
    return {
        "id": f"p{number}",
        "title": f"Page {number}",
        "text": text,
        "number": number,
        "version": version,
    }


@pytest.fixture
def kb(tmp_path: Path, encoder: Encoder) -> Iterator[Collection]:
    with lexpand.create(tmp_path / "i", [page(number, 0) for number in range(20)]) as collection:
        collection._encoder = encoder
        yield collection


def reading_of(kb: Collection) -> LocalRetriever:
    reading = kb.retriever().reading()
    assert isinstance(reading, LocalRetriever)
    return reading


def consistent(title: str, text: str, metadata: dict[str, object], doc_id: str) -> None:
    assert title == f"Page {metadata['number']}" and doc_id == f"p{metadata['number']}"
    assert f"page {metadata['number']} about" in text and f"version {metadata['version']}." in text


def search(kb: Collection) -> None:
    for hit in kb.search(QUERY, 50):
        consistent(hit.title, hit.text, dict(hit.metadata), hit.doc_id)


def rerank(kb: Collection) -> None:
    hits = (kb.retriever() >> Slow()).search(QUERY, 20)
    assert hits.notes == (), "a failed reranker keeps the first ranking and adds a note"
    lengths = [len(hit.title) + 1 + len(hit.text) for hit in hits]
    assert [hit.score for hit in hits] == sorted(lengths, reverse=True)


def explain(kb: Collection) -> None:
    reading = reading_of(kb)
    hits = reading.search(QUERY, 5)
    time.sleep(0.02)
    for hit in hits[:2]:
        found = lexpand.explain(reading, QUERY, hit.doc_id)
        assert found.score == pytest.approx(hit.score)
        assert found.text[slice(*hit.span)] == hit.text


def export(kb: Collection) -> None:
    searcher = kb.index.searcher()
    ids = list(searcher.doc_ids())
    found = []
    for batch in searcher.stored_passages(batch=7):
        for document, _ in batch.passages:
            consistent(document.title, document.text, dict(document.metadata), document.doc_id)
            found.append(document.doc_id)
        time.sleep(0.01)
    assert found == ids


def write(kb: Collection) -> None:
    number = random.randrange(20)
    kb.replace(
        [page(number, random.randrange(1000)), page((number + 7) % 20, random.randrange(1000))]
    )
    if random.random() < 0.5:
        kb.delete([f"p{random.randrange(20)}"])
    if random.random() < 0.3:
        kb.compact()
    kb.refresh()


def run_for(seconds: float, kb: Collection) -> dict[str, int]:
    """Return the number of rounds by function; raise the first error of a thread."""
    rounds: dict[str, int] = {}
    errors: list[BaseException] = []
    end = time.monotonic() + seconds

    def loop(work: Callable[[Collection], None]) -> None:
        count = 0
        try:
            while time.monotonic() < end and not errors:
                work(kb)
                count += 1
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
        rounds[work.__name__] = rounds.get(work.__name__, 0) + count

    threads = [
        threading.Thread(target=loop, args=(work,))
        for work in (search, search, rerank, explain, export, write)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return rounds


def test_every_result_is_of_one_snapshot(kb: Collection) -> None:
    rounds = run_for(4, kb)
    assert all(rounds[work] >= 2 for work in ("search", "rerank", "explain", "export", "write")), (
        rounds
    )
    assert kb.index.check() == []


@pytest.mark.slow
def test_every_result_is_of_one_snapshot_for_a_minute(kb: Collection) -> None:
    rounds = run_for(float(os.environ.get("LEXPAND_SEARCHER_SECONDS", "60")), kb)
    assert all(count >= 20 for count in rounds.values()), rounds
    assert kb.index.check() == []
