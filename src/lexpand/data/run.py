"""Runs: the rankings of a search for a set of queries."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import NamedTuple

from lexpand.data.columns import check_trec
from lexpand.data.documents import check_id
from lexpand.data.run_lines import read_run_lines
from lexpand.data.streams import write_lines
from lexpand.errors import DataError


class ScoredDocument(NamedTuple):
    """The id of a document and its score for a query."""

    doc_id: str
    score: float


@dataclass(frozen=True, slots=True, init=False)
class Run:
    """The ranked documents of each query, with their scores.

    Args:
        rankings: the (doc_id, score) pairs by query_id, in any order.

    Attributes:
        rankings: the documents by query_id, in order of falling scores. Documents with equal scores
            keep their order.

    Raises:
        DataError: an id is invalid, a document is twice in a ranking, or a score is not finite.
    """

    rankings: Mapping[str, Sequence[ScoredDocument]]

    def __init__(self, rankings: Mapping[str, Iterable[tuple[str, float]]]) -> None:
        if not isinstance(rankings, Mapping):
            raise DataError(
                f"rankings must be a mapping from query_id to pairs, got {reprlib.repr(rankings)}"
            )
        ranked = {
            check_id(query, "query_id"): _ranked(query, pairs) for query, pairs in rankings.items()
        }
        object.__setattr__(self, "rankings", ranked)

    @classmethod
    def read_trec(cls, path: str | Path) -> Run:
        """Read lines of ``query_id Q0 doc_id rank score tag`` in TREC's format.

        ``.gz`` and ``.zst`` files are decompressed. Documents are ordered by score, and by rank if
        scores are equal. Q0 and the tag are dropped.

        Raises:
            RowError: a line is invalid.
            SourceError: the file is missing or damaged.
        """
        found = read_run_lines(Path(path))
        # A query's lines are dropped when its ranking is made.
        rankings = {
            query: tuple(map(ScoredDocument._make, found.pop(query).ranked()))
            for query in list(found)
        }
        run = object.__new__(cls)  # without the checks of __init__, which the lines have passed
        object.__setattr__(run, "rankings", rankings)
        return run

    def write_trec(self, path: str | Path, tag: str) -> None:
        """Write a file in TREC's format, atomically; ``.gz`` and ``.zst`` files are compressed.

        Ranks start at 1. `read_trec` reads the same floats as scores. A query without documents has
        no line. trec_eval ignores the ranks and orders equal scores by doc_id.

        Args:
            path: the path of the file.
            tag: the name of the run, written as the last column.

        Raises:
            DataError: an id or the tag contains white space, or the tag is empty.
            StorageError: the file cannot be written.
        """
        write_lines(Path(path), self._lines(check_trec(tag, "the tag")))

    def _lines(self, tag: str) -> Iterator[str]:
        for query, ranking in self.rankings.items():
            check_trec(query, "query_id")
            for rank, (document, score) in enumerate(ranking, start=1):
                yield f"{query} Q0 {check_trec(document, 'doc_id')} {rank} {score!r} {tag}"


def _ranked(query: str, pairs: Iterable[tuple[str, float]]) -> tuple[ScoredDocument, ...]:
    seen: set[str] = set()
    ranking: list[ScoredDocument] = []
    for document, score in _as_pairs(query, pairs):
        if check_id(document, "doc_id") in seen:
            raise DataError(f"query {query!r}: document {document!r} is in the ranking twice")
        if not isinstance(score, Real) or not math.isfinite(score):
            raise DataError(
                f"query {query!r}: the score of document {document!r} must be a finite number, "
                f"got {score!r}"
            )
        seen.add(document)
        ranking.append(ScoredDocument(document, float(score)))
    return tuple(sorted(ranking, key=lambda hit: hit.score, reverse=True))


def _as_pairs(query: str, pairs: Iterable[object]) -> Iterator[tuple[str, float]]:
    problem = f"query {query!r}: a ranking must be a list of (doc_id, score) pairs, got"
    if isinstance(pairs, Mapping):
        raise DataError(f"{problem} {reprlib.repr(pairs)}; pass its items()")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"{problem} the item {reprlib.repr(pair)}")
        yield pair[0], pair[1]
