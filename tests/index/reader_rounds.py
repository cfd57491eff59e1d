"""A reader process that searches until its standard input ends.

It compares every result with that of the reference implementation on the same snapshot. Its last
line is JSON: the number of rounds, the number of newer commits it saw, and its memory after the
warm-up and at the end.
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
    """Return the resident memory in bytes; 0 if the system does not report it."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if statm.exists() else 0


def check_round(index: Index, number: int) -> None:
    filter = (None, *FILTERS)[number % (len(FILTERS) + 1)]
    for k in (3, 1000):
        found = index.search(QUERIES, k, filter=filter)
        assert found == index.search(QUERIES, k, filter=filter, exhaustive=True)
    hits = found[0]
    documents = index.documents([match.row for match in hits])
    assert [documents[match.row].doc_id for match in hits] == [match.doc_id for match in hits]
    if filter is None:
        assert len(hits) == len(index)
    else:
        expression = parse_filter(filter)
        assert all(matches(expression, document.metadata) for document in documents.values())
        assert sorted(index.matching(filter)) == sorted(match.doc_id for match in hits)
    for match in hits[:3]:
        assert index.document(match.doc_id) == documents[match.row]
        assert len(index.vectors(match.doc_id)) > 0
    (words, *_) = index.search_words(WORD_QUERIES, 1000, filter=filter)
    assert {match.row for match in words} <= set(documents)


def read(path: str, warm_up: float) -> dict:
    counts = {"rounds": 0, "newer": 0}
    end_of_warm_up, warm = time.monotonic() + warm_up, 0
    with Index.open(path) as index:
        while not select.select([sys.stdin], [], [], 0)[0]:
            before = index.commit_info
            check_round(index, counts["rounds"])
            assert index.commit_info == before
            counts["rounds"] += 1
            counts["newer"] += index.refresh()
            if not warm and time.monotonic() > end_of_warm_up:
                warm = resident()
    return {**counts, "warm": warm, "end": resident()}


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(read(sys.argv[1], float(sys.argv[2]))) + "\n")
