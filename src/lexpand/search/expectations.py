"""The tests of a rules file: whether a retriever finds the documents that it expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexpand.encode.rules.entries import Expectation
from lexpand.search.retriever import Retriever

# The depth of a ranking. A document below it has no rank.
_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one test.

    Attributes:
        query, expect, top: the test. The document ``expect`` must be among the best ``top`` for the
            query.
        rank: the rank of the document, from 1. None if the document is not among the best 1,000, or
            among the best ``top`` if that is more.
        said: the outcome in words.
    """

    query: str
    expect: str
    top: int
    rank: int | None
    said: str

    @property
    def passed(self) -> bool:
        """Whether the document is among the best ``top``."""
        return self.rank is not None and self.rank <= self.top


def run_expectations(retriever: Retriever, tests: Sequence[Expectation]) -> list[Outcome]:
    """Run the tests of a rules file.

    Args:
        retriever: the retriever under test. Its encoder has the rules.
        tests: the tests; see `Rules.tests`.
    """
    return [_outcome(retriever, test) for test in tests]


def _outcome(retriever: Retriever, test: Expectation) -> Outcome:
    depth = max(_DEPTH, test.top)
    (matches,) = retriever.rank([test.query], depth)
    ranks = [rank for rank, match in enumerate(matches, 1) if match.doc_id == test.expect]
    if ranks:
        return Outcome(test.query, test.expect, test.top, ranks[0], f"rank {ranks[0]:,}")
    description = f"not among the best {depth:,}"
    if not retriever.documents([test.expect]):
        description = "the index has no such document"
    return Outcome(test.query, test.expect, test.top, None, description)
