"""Mine hard negatives: texts that retrievers rank high for a query and that do not answer it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import zip_longest

import numpy as np

from lexpand.data import Document, Run
from lexpand.data.arguments import check_integer, check_number
from lexpand.encode.progress import OnDone
from lexpand.errors import DataError
from lexpand.index import Index, Matches
from lexpand.index.filters import Filter
from lexpand.search import Retriever
from lexpand.train.rows import UNNAMED, Row, Scores, key_of, pairs_of
from lexpand.train.score_cache import Pair

_WINDOW = 256
"""Rows that are mined at once."""

_READ = 16
"""Documents of a ranking that are read at once."""

ScorePairs = Callable[[Iterable[Pair]], Mapping[Pair, float]]
"""Scores distinct pairs of query and text with a teacher."""


class Reason(StrEnum):
    """Why a candidate is not a negative."""

    POSITIVE = "positive"
    """It equals a positive of the query."""

    NEAR_POSITIVE = "near_positive"
    """It contains a positive of the query, or a positive contains it."""

    TEACHER = "teacher"
    """The teacher scores it too close to the positive, so it may answer the query."""

    EMPTY = "empty"
    """It has no text."""


@dataclass(frozen=True, slots=True)
class Mining:
    """How negatives are chosen.

    Attributes:
        negatives: the negatives of a row, those that it has included.
        depth: the documents of each ranking that are candidates, >= 1.
        skip: the first documents of each ranking that are skipped, >= 0. They are the likeliest to
            be unlabeled positives.
        replace: drop the negatives that a row has.
        margin: with a teacher, drop candidates that score above the positive's score less this.
        max_ratio: with a teacher, drop candidates that score above this share of the positive's
            score, if that is above 0; None for no such limit.

    Raises:
        DataError: a number is out of range.
    """

    negatives: int = 8
    depth: int = 100
    skip: int = 0
    replace: bool = False
    margin: float = 0.0
    max_ratio: float | None = None

    def __post_init__(self) -> None:
        check_integer(self.negatives, "negatives", 1)
        check_integer(self.depth, "depth", 1)
        check_integer(self.skip, "skip", 0)
        if self.skip >= self.depth:
            raise DataError(
                f"skip must be below depth ({self.depth}), got {self.skip}: no rank would be left"
            )
        for name, value in (("margin", self.margin), ("max_ratio", self.max_ratio)):
            if value is not None:
                check_number(value, name)
                if not math.isfinite(value):
                    raise DataError(f"{name} must be finite, got {value}")
        if self.max_ratio is not None and self.max_ratio <= 0:
            raise DataError(f"max_ratio must be > 0, got {self.max_ratio}")

    def limit(self, positive: float) -> float:
        """Return the largest score of a negative, by the teacher's score of the positive."""
        limit = positive - self.margin
        if self.max_ratio is not None and positive > 0:
            limit = min(limit, self.max_ratio * positive)
        return limit


@dataclass(slots=True)
class MiningReport:
    """What was mined.

    Attributes:
        rows: the number of rows by their number of negatives.
        mined: the number of negatives that were added.
        dropped: the number of candidates that were read and dropped, by the reason.
    """

    rows: Counter[int] = field(default_factory=Counter)
    mined: int = 0
    dropped: Counter[Reason] = field(default_factory=Counter)


def mine(
    rows: Sequence[Row],
    retrievers: Sequence[Retriever],
    settings: Mining = Mining(),
    *,
    score: ScorePairs | None = None,
    teacher: str = UNNAMED,
    threads: int = 1,
    on_done: OnDone = lambda _: None,
    report: MiningReport | None = None,
) -> Iterator[Row]:
    """Add hard negatives to rows.

    The candidates of a query are the documents of its rankings. The rankings take turns, and each
    text is taken once. A candidate is dropped if it equals, contains or is contained in a positive
    of the same query in any row; white space and case do not matter, and queries are compared by
    `key_of`. Scores that a row has get NaN for new negatives.

    Args:
        rows: all rows: their positives are never negatives of the same query.
        retrievers: the retrievers that rank documents for the queries.
        settings: how negatives are chosen.
        score: a teacher that scores pairs, to drop candidates that may answer the query. Its
            scores of all documents are written to the rows.
        teacher: the name of the teacher, for rows that have named scores.
        threads: the number of threads of the retrievers.
        on_done: called with the number of rows done since its last call.
        report: a report to update.

    Yields:
        The rows in their order.

    Raises:
        DataError: there is no retriever.
    """
    if not retrievers:
        raise DataError("mining needs at least one retriever, got none")
    report = MiningReport() if report is None else report
    positives: dict[str, set[str]] = {}
    for row in rows:
        positives.setdefault(key_of(row.query), set()).add(_normalized(row.documents[0]))
    reading = [retriever.reading() for retriever in retrievers]
    for start in range(0, len(rows), _WINDOW):
        window = [_kept(row, settings) for row in rows[start : start + _WINDOW]]
        rankings = _rankings(window, reading, settings, threads)
        searches = [
            _Search(row, _unseen(row, positives, rankings(row.query), report.dropped))
            for row in window
        ]
        scores = _fill(searches, settings, score, report)
        for search in searches:
            row = _finished(search, scores, teacher)
            report.rows[len(row.documents) - 1] += 1
            report.mined += len(search.found)
            yield row
        on_done(len(window))


def take_turns(rankings: Sequence[Iterable[str]]) -> Iterator[str]:
    """Mix rankings: each in turn gives its best text that was not taken yet.

    Args:
        rankings: texts, best first.

    Yields:
        Every text once.
    """
    taken: set[str] = set()

    def fresh(ranking: Iterable[str]) -> Iterator[str]:
        for text in ranking:
            if text not in taken:
                taken.add(text)
                yield text

    for turn in zip_longest(*map(fresh, rankings)):
        yield from (text for text in turn if text is not None)


@dataclass(slots=True)
class _Search:
    """The search for the negatives of a row: candidates that are left, and those found."""

    row: Row
    candidates: Iterator[str]
    found: list[str] = field(default_factory=list)

    def take(self, settings: Mining) -> list[str]:
        """Return as many candidates as the row lacks negatives."""
        missing = settings.negatives - (len(self.row.documents) - 1) - len(self.found)
        return [text for _, text in zip(range(missing), self.candidates, strict=False)]


def _fill(
    searches: Sequence[_Search],
    settings: Mining,
    score: ScorePairs | None,
    report: MiningReport,
) -> dict[Pair, float]:
    """Find the negatives of rows, and return the teacher's scores of all that was read."""
    scores: dict[Pair, float] = {}
    if score is not None:
        scores |= score(pairs_of(search.row for search in searches))
    active = list(searches)
    while taken := [(search, texts) for search in active if (texts := search.take(settings))]:
        if score is not None:
            scores |= score((search.row.query, text) for search, texts in taken for text in texts)
        for search, texts in taken:
            kept = texts
            if score is not None:
                query, positive = search.row.query, search.row.documents[0]
                limit = settings.limit(scores[query, positive])
                kept = [text for text in texts if scores[query, text] <= limit]
            search.found += kept
            report.dropped[Reason.TEACHER] += len(texts) - len(kept)
        active = [search for search, _ in taken]
    return scores


def _unseen(
    row: Row,
    positives: Mapping[str, set[str]],
    rankings: Sequence[Iterable[str]],
    dropped: Counter[Reason],
) -> Iterator[str]:
    """Yield candidates, without texts that are or may be a document of the row already."""
    answers = positives[key_of(row.query)]
    seen = set(map(_normalized, row.documents[1:]))
    verdicts: dict[str, bool] = {}

    def usable(text: str) -> bool:
        if text not in verdicts:
            normalized = _normalized(text)
            reason = _reason(normalized, answers)
            verdicts[text] = reason is None and normalized not in seen
            seen.add(normalized)
            if reason is not None:
                dropped[reason] += 1
        return verdicts[text]

    return take_turns([filter(usable, ranking) for ranking in rankings])


def _reason(text: str, answers: Iterable[str]) -> Reason | None:
    if not text:
        return Reason.EMPTY
    if text in answers:
        return Reason.POSITIVE
    if any(text in answer or answer in text for answer in answers):
        return Reason.NEAR_POSITIVE
    return None


def _rankings(
    rows: Sequence[Row], retrievers: Sequence[Retriever], settings: Mining, threads: int
) -> Callable[[str], list[Iterator[str]]]:
    """Rank documents for each distinct query; return a function that gives the texts."""
    queries = list(dict.fromkeys(row.query for row in rows))
    places = {query: place for place, query in enumerate(queries)}
    ranked = [retriever.rank(queries, settings.depth, threads=threads) for retriever in retrievers]

    def texts(query: str) -> list[Iterator[str]]:
        return [
            _texts(retriever, matches[places[query]][settings.skip :])
            for retriever, matches in zip(retrievers, ranked, strict=True)
        ]

    return texts


def _texts(retriever: Retriever, matches: Matches) -> Iterator[str]:
    """Yield the texts of documents, and read them in parts, because most are not needed."""
    for start in range(0, len(matches), _READ):
        part = matches[start : start + _READ]
        documents = retriever.documents_of(part)
        yield from (documents[each].full_text for each in part.doc_ids if each in documents)


def _kept(row: Row, settings: Mining) -> Row:
    """Return the row with the negatives that it keeps."""
    if not settings.replace:
        return row
    scores = {name: known[:1] for name, known in row.scores.items()}
    return replace(row, documents=row.documents[:1], scores=scores)


def _finished(search: _Search, scores: Mapping[Pair, float], teacher: str) -> Row:
    """Return the row with its new negatives, and the scores of the teacher or none for them."""
    row, unknown = search.row, (math.nan,) * len(search.found)
    documents = (*row.documents, *search.found)
    named: dict[str, Scores] = {name: known + unknown for name, known in row.scores.items()}
    if scores:
        name = teacher if set(named) - {UNNAMED} else UNNAMED
        named[name] = tuple(scores[row.query, text] for text in documents)
    return replace(row, documents=documents, scores=named)


def _normalized(text: str) -> str:
    return " ".join(text.split()).casefold()


class RunRetriever(Retriever):
    """A retriever that returns the rankings of a run.

    Args:
        run: the rankings by ``query_id``.
        rows: rows with the field ``query_id``, which give the id of a query.
        index: the documents of the run.

    Raises:
        DataError: no row has the id of a query of the run.
    """

    def __init__(self, run: Run, rows: Iterable[Row], index: Index) -> None:
        ids = {row.query: str(row.fields.get("query_id", "")) for row in rows}
        self._rankings = {
            query: run.rankings[query_id]
            for query, query_id in ids.items()
            if query_id in run.rankings
        }
        self._index = index
        if not self._rankings:
            raise DataError(
                "rows must have a query_id that is in the run, none has one: add the field, or"
                " search an index instead"
            )

    def rank(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        group_by: str | None = None,
        threads: int = 1,
    ) -> Sequence[Matches]:
        """Return the rankings of queries; empty for a query that the run lacks."""
        return [self._matches(query, k) for query in queries]

    def documents(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Retriever.documents`."""
        return self._index.documents_by_id(doc_ids)

    def _matches(self, query: str, k: int) -> Matches:
        ranked = self._rankings.get(query, ())[:k]
        return Matches(
            [each.doc_id for each in ranked],
            np.array([each.score for each in ranked], np.float64),
            np.zeros(len(ranked), np.uint32),
        )
