"""Does a retriever find what a rules file expects? The tests that stand beside the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexpand.encode.rules.entries import Expectation
from lexpand.search.retriever import Retriever

# How deep a document is looked for; one below has no rank.
_DEEPEST = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test.

    Attributes:
        query, expect, top: the test: a question, and the id of a document that it must find among
            the best ``top``.
        rank: the document's place, from 1; None where it is not among the best 1,000 (or ``top``,
            if that is more).
        said: the same in words.
    """

    query: str
    expect: str
    top: int
    rank: int | None
    said: str

    @property
    def passed(self) -> bool:
        """Whether the document is where it is expected."""
        return self.rank is not None and self.rank <= self.top


def run_expectations(retriever: Retriever, tests: Sequence[Expectation]) -> list[Outcome]:
    """Run the tests of a rules file.

    Args:
        retriever: who is asked; its encoder has the rules.
        tests: see `Rules.tests`.
    """
    return [_outcome(retriever, test) for test in tests]


def _outcome(retriever: Retriever, test: Expectation) -> Outcome:
    depth = max(_DEEPEST, test.top)
    (matches,) = retriever.rank([test.query], depth)
    places = [rank for rank, match in enumerate(matches, 1) if match.doc_id == test.expect]
    if places:
        return Outcome(test.query, test.expect, test.top, places[0], f"rank {places[0]:,}")
    said = f"not among the best {depth:,}"
    if not retriever.documents([test.expect]):
        said = "the index has no such document"
    return Outcome(test.query, test.expect, test.top, None, said)
