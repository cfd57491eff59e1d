"""Check a collection before it measures anything: its ids, its judgments and its queries."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from lexpand.data import JudgedQueries, Query
from lexpand.diagnose.finding import Finding, Severity
from lexpand.errors import RowError

FEW_QUERIES = 25
"""The number of queries below which a mean is unstable (Buckley and Voorhees 2000)."""


class CheckKind(StrEnum):
    """The kinds of findings about a collection."""

    MISSING_DOCUMENTS = "missing-documents"
    """Judged documents that the corpus lacks."""

    MISSING_QUERIES = "missing-queries"
    """Judged query ids without a query."""

    CONTRADICTIONS = "contradictions"
    """Rows with another grade than an earlier row for the same query and document."""

    INVALID_ROWS = "invalid-rows"
    """Rows of a source that could not be read."""

    NO_TEXT = "no-text"
    """Judged queries with an empty text."""

    NO_RELEVANT = "no-relevant"
    """Judged queries without a relevant document."""

    GRADE_GAPS = "grade-gaps"
    """Grades between 0 and the largest one that no judgment has."""

    NEGATIVE_GRADES = "negative-grades"
    """Grades below 0."""

    REPEATED = "repeated"
    """Rows that repeat an earlier one."""

    SAME_TEXT = "same-text"
    """Queries with the text of an earlier query."""

    FEW_JUDGED = "few-judged"
    """Fewer than `FEW_QUERIES` judged queries."""

    UNJUDGED = "unjudged"
    """Queries without judgments."""


class Spread(NamedTuple):
    """The smallest, the median and the largest of some numbers."""

    smallest: int
    median: float
    largest: int


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """The facts about a collection, and what is wrong with it.

    Attributes:
        name: the name of the collection.
        documents: the number of documents; None if they were not given.
        queries: the number of queries.
        judged: the number of queries with judgments.
        judgments: the number of judgments of these queries.
        relevant: the relevant documents of a judged query.
        grades: the number of judgments by grade, in ascending order.
        findings: the findings, errors first. Their examples are all items.
    """

    name: str
    documents: int | None
    queries: int
    judged: int
    judgments: int
    relevant: Spread
    grades: Mapping[int, int]
    findings: tuple[Finding, ...]

    @property
    def judged_share(self) -> float:
        """The share of queries with judgments, from 0 to 1."""
        return self.judged / self.queries if self.queries else 0.0

    @property
    def is_sound(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            **asdict(self),
            "judged_share": self.judged_share,
            "relevant": self.relevant._asdict(),
            "grades": {str(grade): number for grade, number in self.grades.items()},
        }


def check_collection(
    judged: JudgedQueries,
    doc_ids: Collection[str] | None,
    *,
    refused: Sequence[RowError] = (),
) -> CollectionReport:
    """Check judged queries, and whether the judged documents exist.

    To find all contradictions, read the queries with ``on_bad_row``: `JudgedQueries.repeated` keeps
    them.

    Args:
        judged: the queries and judgments.
        doc_ids: the ids of the corpus, with a fast test for membership; None if it is not known.
        refused: the errors that ``on_bad_row`` received. Contradictions among them are not listed
            twice.
    """
    grades = {query.query_id: judged.qrels.judgments[query.query_id] for query in judged.judged}
    relevant = [sum(grade > 0 for grade in each.values()) for each in grades.values()] or [0]
    counted = Counter(grade for each in grades.values() for grade in each.values())
    findings = [
        *_id_findings(judged, doc_ids),
        *_row_findings(judged, refused),
        *_query_findings(judged),
        *_grade_findings(counted),
    ]
    order = list(Severity)
    return CollectionReport(
        name=judged.name,
        documents=None if doc_ids is None else len(doc_ids),
        queries=len(judged.queries),
        judged=len(grades),
        judgments=counted.total(),
        relevant=Spread(min(relevant), statistics.median(relevant), max(relevant)),
        grades=dict(sorted(counted.items())),
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
    )


def _finding(
    kind: CheckKind, severity: Severity, noun: str, rest: str, items: Sequence[str], advice: str
) -> Iterator[Finding]:
    """Yield the finding if it has items; it says their number, the noun and the rest."""
    if items:
        plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
        what = f"{noun if len(items) == 1 else plural} {rest}"
        yield Finding(kind, severity, len(items), what, tuple(items), advice)


def _id_findings(judged: JudgedQueries, doc_ids: Collection[str] | None) -> Iterator[Finding]:
    judgments = judged.qrels.judgments
    if doc_ids is not None:
        ids = dict.fromkeys(doc_id for grades in judgments.values() for doc_id in grades)
        yield from _finding(
            CheckKind.MISSING_DOCUMENTS,
            Severity.ERROR,
            "judged id",
            "without a document in the corpus: no search can find it",
            [doc_id for doc_id in ids if doc_id not in doc_ids],
            "check that the corpus is the judged one, and that --id-field names its ids; "
            "otherwise remove the judgments",
        )
    asked = {query.query_id for query in judged.queries}
    yield from _finding(
        CheckKind.MISSING_QUERIES,
        Severity.ERROR,
        "judged id",
        "without a query: the judgments are not used",
        [query_id for query_id in judgments if query_id not in asked],
        "add the query, or remove its judgments",
    )
    yield from _finding(
        CheckKind.UNJUDGED,
        Severity.NOTE,
        "query",
        "without judgments, which measures leave out",
        [query.query_id for query in judged.queries if query.query_id not in judgments],
        "nothing to do if they belong to another split",
    )


def _row_findings(judged: JudgedQueries, refused: Sequence[RowError]) -> Iterator[Finding]:
    wrong = [
        f"{later.place}: query {later.query_id!r}, document {later.doc_id!r} is judged"
        f" {later.grade}, and {first.grade} in {first.place}"
        for later, first in judged.repeated
        if later.grade != first.grade
    ]
    yield from _finding(
        CheckKind.CONTRADICTIONS,
        Severity.ERROR,
        "row",
        "with another grade than an earlier one, which is used",
        wrong,
        "keep one row for each query and document",
    )
    places = {repeated.judgment.place for repeated in judged.repeated if repeated.contradicts}
    yield from _finding(
        CheckKind.INVALID_ROWS,
        Severity.ERROR,
        "row",
        "left out as invalid",
        [str(error) for error in refused if error.place not in places],
        "correct these rows",
    )
    yield from _finding(
        CheckKind.REPEATED,
        Severity.WARNING,
        "row",
        "equal to an earlier one",
        [each.judgment.place for each in judged.repeated if not each.contradicts],
        "remove the later row",
    )


def _query_findings(judged: JudgedQueries) -> Iterator[Finding]:
    asked = judged.judged
    yield from _finding(
        CheckKind.NO_TEXT,
        Severity.WARNING,
        "judged query",
        "without a text, which counts as a failure",
        [query.query_id for query in asked if not query.text.strip()],
        "add the text, or remove the judgments",
    )
    grades = judged.qrels.judgments
    yield from _finding(
        CheckKind.NO_RELEVANT,
        Severity.WARNING,
        "judged query",
        "without a relevant document (grade 1 or more), which measures leave out",
        [query.query_id for query in asked if max(grades[query.query_id].values()) <= 0],
        "judge a relevant document, or remove the query",
    )
    yield from _finding(
        CheckKind.SAME_TEXT,
        Severity.WARNING,
        "judged query",
        "with the text of an earlier one: the question counts more than once",
        _same_texts(asked),
        "merge their judgments under one id",
    )
    if len(asked) < FEW_QUERIES:
        rest = f"means of fewer than {FEW_QUERIES} say little, and few differences are significant"
        yield Finding(
            CheckKind.FEW_JUDGED,
            Severity.WARNING,
            len(asked),
            f"judged {'query' if len(asked) == 1 else 'queries'}: {rest}",
            (),
            "judge more queries; 50 are a good number",
        )


def _same_texts(queries: Sequence[Query]) -> list[str]:
    """Return ``later = earlier`` for queries whose texts differ at most in case and white space."""
    first: dict[str, str] = {}
    same = []
    for query in queries:
        text = " ".join(query.text.split()).casefold()
        earlier = first.setdefault(text, query.query_id)
        if text and earlier != query.query_id:
            same.append(f"{query.query_id} = {earlier}")
    return same


def _grade_findings(counted: Mapping[int, int]) -> Iterator[Finding]:
    """Yield findings about the grades that occur.

    Args:
        counted: the number of judgments by grade.
    """
    yield from _finding(
        CheckKind.NEGATIVE_GRADES,
        Severity.NOTE,
        "grade",
        "below 0, which counts as 0",
        [str(grade) for grade in sorted(counted) if grade < 0],
        "nothing to do if it marks spam",
    )
    positive = sorted(grade for grade in counted if grade > 0)
    # The value of the only grade does not change nDCG.
    steps = zip([0, *positive], positive, strict=False) if len(positive) > 1 else ()
    yield from _finding(
        CheckKind.GRADE_GAPS,
        Severity.WARNING,
        "gap",
        "in the grades: nDCG takes a grade as its gain, so that 5 is worth five times 1",
        [f"{low} to {high}" for low, high in steps if high > low + 1],
        "use 0, 1, 2, ... if the grades are names of levels",
    )
