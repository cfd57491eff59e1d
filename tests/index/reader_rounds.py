"""A reader that asks until its standard input ends: every answer is compared with the twin's on the same snapshot.

Its last line is JSON: rounds, how often there was a newer commit, and its memory after the warm-up
and at the end.
"""

import json
import os
import select
import sys
import time
from pathlib import Path

from change_model import FILTERS, QUERIES, WORD_QUERIES

from lexpand import Index
from lexpand.index.filters import matches, parse_filter


def resident() -> int:
    """Bytes of memory; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if statm.exists() else 0


def ask(index: Index, number: int) -> None:
    filter = (None, *FILTERS)[number % (len(FILTERS) + 1)]
    for k in (3, 1000):
        found = index.search(QUERIES, k, filter=filter)
        assert found == index.search(QUERIES, k, filter=filter, exhaustive=True)
    everything = found[0]
    documents = index.documents([match.row for match in everything])
    assert [documents[match.row].doc_id for match in everything] == [
        match.doc_id for match in everything
    ]
    if filter is None:
        assert len(everything) == len(index)
    else:
        expression = parse_filter(filter)
        assert all(matches(expression, document.metadata) for document in documents.values())
        assert sorted(index.matching(filter)) == sorted(match.doc_id for match in everything)
    for match in everything[:3]:
        assert index.document(match.doc_id) == documents[match.row]
        assert len(index.vectors(match.doc_id)) > 0
    (words, *_) = index.search_words(WORD_QUERIES, 1000, filter=filter)
    assert {match.row for match in words} <= set(documents)


def read(path: str, warm_up: float) -> dict:
    facts = {"rounds": 0, "newer": 0}
    end_of_warm_up, warm = time.monotonic() + warm_up, 0
    with Index.open(path) as index:
        while not select.select([sys.stdin], [], [], 0)[0]:
            before = index.commit_info
            ask(index, facts["rounds"])
            assert index.commit_info == before
            facts["rounds"] += 1
            facts["newer"] += index.refresh()
            if not warm and time.monotonic() > end_of_warm_up:
                warm = resident()
    return {**facts, "warm": warm, "end": resident()}


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(read(sys.argv[1], float(sys.argv[2]))) + "\n")
