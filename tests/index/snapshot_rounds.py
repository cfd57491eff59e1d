"""Threads that read while one thread writes: every result must be that of its own snapshot."""

from __future__ import annotations

import random
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from change_model import FILTERS, QUERIES, WORD_QUERIES, Changes, put, versioned

from lexpand import Document, Index
from lexpand.index import Searcher

NUMBERS = 60
PAUSE = 0.05
"""The seconds between ranking and reading, as with a reranker."""


@dataclass
class Observations:
    """The observations of all threads.

    Attributes:
        rounds: the number of compared results.
        commits: the distinct commits of the results.
        errors: the errors.
        seen: commits with all documents as a reader found them.
        states: the documents after each change of the writer, by commit.
    """

    rounds: int = 0
    commits: set[int] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)
    seen: list[tuple[int, dict[str, Document]]] = field(default_factory=list)
    states: dict[int, dict[str, Document]] = field(default_factory=dict)

    def wrong(self) -> list[int]:
        """Return the commits of results that differ from the state that the writer recorded."""
        recorded = sorted(self.states)
        # A merge is a commit of its own that changes no document. The writer records the last
        # commit of a change.
        return [
            commit
            for commit, found in self.seen
            if found != self.states[recorded[bisect_left(recorded, commit)]]
        ]


def check_round(searcher: Searcher, number: int, observed: Observations) -> None:
    """Search, wait as with a reranker, and read everything that was found, in one snapshot."""
    filter = (None, *FILTERS)[number % (len(FILTERS) + 1)]
    found = searcher.search(QUERIES, 1000, filter=filter)
    (words, *_) = searcher.search_words(WORD_QUERIES, 1000, filter=filter)
    before = searcher.commit_info
    time.sleep(PAUSE)
    assert found == searcher.search(QUERIES, 1000, filter=filter, exhaustive=True)
    documents = searcher.documents([match.row for match in found[0]])
    assert [documents[match.row].doc_id for match in found[0]] == [
        match.doc_id for match in found[0]
    ]
    assert {match.row for match in words} <= set(documents)
    assert searcher.commit_info == before
    for match in found[0][:3]:
        assert searcher.document(match.doc_id) == documents[match.row]
        assert len(searcher.vectors(match.doc_id)) > 0
    if filter is None:
        observed.seen.append(
            (before.commit_id, {document.doc_id: document for document in documents.values()})
        )


def check_export(searcher: Searcher, number: int, observed: Observations) -> None:
    """Read the whole snapshot with a pause: ids, texts and vectors must be of one commit."""
    del number
    expected = list(searcher.doc_ids())
    ids: list[str] = []
    documents: dict[str, Document] = {}
    for place, batch in enumerate(searcher.stored_passages(batch=16)):
        ids += dict.fromkeys(document.doc_id for document, _ in batch.passages)
        documents |= {document.doc_id: document for document, _ in batch.passages}
        if place == 0:
            time.sleep(PAUSE)
    assert list(dict.fromkeys(ids)) == expected
    assert len(expected) == len(searcher)
    observed.seen.append((searcher.commit_info.commit_id, documents))


def read_until(
    end: float,
    index: Index,
    work: Callable[[Searcher, int, Observations], None],
    observed: Observations,
) -> None:
    """Read until the end, each time in a new snapshot."""
    number = 0
    while time.monotonic() < end and not observed.errors:
        try:
            searcher = index.searcher()
            work(searcher, number, observed)
            observed.commits.add(searcher.commit_info.commit_id)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            observed.errors.append(error)
            return
        observed.rounds += 1
        number += 1


def write_until(end: float, index: Index, model: Changes, observed: Observations) -> None:
    """Add, replace, delete, commit, compact and refresh."""
    choices = random.Random(7)
    while time.monotonic() < end and not observed.errors:
        for _ in range(choices.randrange(4)):
            doc_id = versioned(choices.randrange(NUMBERS), 0).doc_id
            assert index.delete([doc_id]) == model.delete(doc_id)
        changed: dict[str, Document] = {}
        for number in choices.choices(range(NUMBERS), k=6):
            document = versioned(number, choices.randrange(3))
            changed[document.doc_id] = document
        put(index, changed.values())
        for document in changed.values():
            model.put(document)
        model.commit()
        index.compact() if choices.random() < 0.3 else index.commit()
        index.refresh()
        observed.states[index.commit_info.commit_id] = dict(model.committed)
        time.sleep(0.002)


def read_during_writes(
    index: Index, model: Changes, seconds: float, readers: int = 6
) -> Observations:
    """Read in several threads while one thread writes."""
    observed, end = Observations(), time.monotonic() + seconds
    observed.states[index.commit_info.commit_id] = dict(model.committed)
    works = [check_round] * (readers - 1) + [check_export]
    threads = [
        threading.Thread(target=read_until, args=(end, index, work, observed)) for work in works
    ]
    threads.append(threading.Thread(target=write_until, args=(end, index, model, observed)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return observed
