"""Threads that read beside one that writes, in one process: every answer must be that of its own snapshot."""

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
"""Seconds between ranking and reading, as a reranker takes them."""


@dataclass
class Facts:
    """What the threads saw.

    Attributes:
        rounds: answers that were compared.
        commits: different commits that answers came from.
        errors: what went wrong.
        seen: commits, each with all documents as a reader found them.
        states: the documents after each of the writer's changes, by commit.
    """

    rounds: int = 0
    commits: set[int] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)
    seen: list[tuple[int, dict[str, Document]]] = field(default_factory=list)
    states: dict[int, dict[str, Document]] = field(default_factory=dict)

    def wrong(self) -> list[int]:
        """The commits of answers that were not what the writer had made of the documents by then."""
        made = sorted(self.states)
        # A merge is a commit of its own, and changes no document: the writer notes the last one of
        # a change.
        return [
            commit
            for commit, found in self.seen
            if found != self.states[made[bisect_left(made, commit)]]
        ]


def ask(searcher: Searcher, number: int, facts: Facts) -> None:
    """Search, wait as a reranker does, and read everything that was found, in one snapshot."""
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
        facts.seen.append(
            (before.commit_id, {document.doc_id: document for document in documents.values()})
        )


def export(searcher: Searcher, number: int, facts: Facts) -> None:
    """Read the whole snapshot with a pause in the middle: its ids, texts and vectors are of one commit."""
    del number
    wanted = list(searcher.doc_ids())
    ids: list[str] = []
    documents: dict[str, Document] = {}
    for place, batch in enumerate(searcher.stored_passages(batch=16)):
        ids += dict.fromkeys(document.doc_id for document, _ in batch.passages)
        documents |= {document.doc_id: document for document, _ in batch.passages}
        if place == 0:
            time.sleep(PAUSE)
    assert list(dict.fromkeys(ids)) == wanted
    assert len(wanted) == len(searcher)
    facts.seen.append((searcher.commit_info.commit_id, documents))


def read_until(
    end: float, index: Index, work: Callable[[Searcher, int, Facts], None], facts: Facts
) -> None:
    """Ask again and again, each time in a new snapshot."""
    number = 0
    while time.monotonic() < end and not facts.errors:
        try:
            searcher = index.searcher()
            work(searcher, number, facts)
            facts.commits.add(searcher.commit_info.commit_id)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            facts.errors.append(error)
            return
        facts.rounds += 1
        number += 1


def write_until(end: float, index: Index, model: Changes, facts: Facts) -> None:
    """Add, replace, delete, commit, compact and refresh."""
    choices = random.Random(7)
    while time.monotonic() < end and not facts.errors:
        for _ in range(choices.randrange(4)):
            gone = versioned(choices.randrange(NUMBERS), 0).doc_id
            assert index.delete([gone]) == model.delete(gone)
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
        facts.states[index.commit_info.commit_id] = dict(model.committed)
        time.sleep(0.002)


def run_beside_a_writer(index: Index, model: Changes, seconds: float, readers: int = 6) -> Facts:
    """Read in several threads while one writes; see `Facts`."""
    facts, end = Facts(), time.monotonic() + seconds
    facts.states[index.commit_info.commit_id] = dict(model.committed)
    works = [ask] * (readers - 1) + [export]
    threads = [
        threading.Thread(target=read_until, args=(end, index, work, facts)) for work in works
    ]
    threads.append(threading.Thread(target=write_until, args=(end, index, model, facts)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return facts
