"""Compute measures of a run against judgments with ir-measures."""

from __future__ import annotations

import re
import subprocess
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, pairwise, takewhile
from typing import TYPE_CHECKING, Any

from lexpand.data import Qrels, Run, ScoredDocument
from lexpand.errors import DataError

if TYPE_CHECKING:
    from ir_measures import Measure

DEFAULT_MEASURES = ("nDCG@10", "R@100")

_PLAIN = re.compile(r"(\w+)(?:@([0-9]+))?")

# The largest grade of gdeval, which computes ERR. It fails on higher grades.
_ERR_GRADE = 4

# trec_eval makes a table of 8 bytes for each grade up to the largest one of a query.
_LARGEST_GRADE = 2**16 - 1

# trec_eval compares scores as float32, which represents every integer up to here.
_LONGEST_RANKING = 2**24

# The documents that ir-measures gets at once. Its tools copy what they get.
_GROUP = 2**17


class Ties(StrEnum):
    """The order of documents with equal scores.

    Attributes:
        RUN: the order of the run, which is the order of the search.
        TREC_EVAL: the order of each tool behind ir-measures. trec_eval rounds scores to float32 and
            orders equal ones by descending doc_id. Other tools use other orders.
    """

    RUN = "run"
    TREC_EVAL = "trec_eval"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measures of a run for each query, and an account of the queries.

    A query counts if it has a relevant document: one with a grade >= 1. With ``Ties.TREC_EVAL``,
    each judged query counts.

    Attributes:
        values: the value by query_id, by the name of the measure as it was typed. All counted
            queries are in it, in the order of the judgments.
        missing: the queries with a relevant document for which the run has no document. They
            count 0.
        without_relevant: the judged queries without a relevant document. They are left out with
            ``Ties.RUN``, and count 0 with ``Ties.TREC_EVAL``.
        unjudged: the queries of the run without judgments. They are left out.
        holes: the number of documents without judgment among the first ``depth``, by query_id;
            counted queries that have some.
        tied: the counted queries of which a document among the first ``depth`` has the score of
            another document. Another order of equal scores gives other first documents, or the same
            at other ranks.
        depth: the number of documents of a query that ``holes`` and ``tied`` look at.
    """

    values: Mapping[str, Mapping[str, float]]
    missing: tuple[str, ...]
    without_relevant: tuple[str, ...]
    unjudged: tuple[str, ...]
    holes: Mapping[str, int]
    tied: tuple[str, ...]
    depth: int

    @property
    def means(self) -> dict[str, float]:
        """The mean over the counted queries by the name of the measure.

        Counts, such as ``NumQ`` and ``NumRet``, have their sum.
        """
        return {name: _aggregate(name, values.values()) for name, values in self.values.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return {
            "means": self.means,
            "missing": list(self.missing),
            "without_relevant": list(self.without_relevant),
            "unjudged": list(self.unjudged),
            "holes": dict(self.holes),
            "tied": list(self.tied),
            "depth": self.depth,
            "values": {name: dict(values) for name, values in self.values.items()},
        }


def evaluate(
    run: Run,
    qrels: Qrels,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    ties: Ties | str = Ties.RUN,
) -> dict[str, float]:
    """Compute the means of measures over the queries that have a relevant document.

    Args:
        run: the rankings.
        qrels: the judgments.
        measures: names in ir-measures' notation, e.g. ``nDCG@10``, ``R@100``, ``RR@10``, ``AP``.
        ties: the order of equal scores; see `evaluate_run`.

    Returns:
        The mean by the name of the measure.

    Raises:
        DataError: see `evaluate_run`.
    """
    return evaluate_run(run, qrels, measures, ties=ties).means


def evaluate_queries(
    run: Run, qrels: Qrels, measure: str = "nDCG@10", *, ties: Ties | str = Ties.RUN
) -> dict[str, float]:
    """Compute a measure for each query that has a relevant document.

    Returns:
        The value by query_id, in the order of ``qrels``. A query that the run lacks has 0.

    Raises:
        DataError: see `evaluate_run`.
    """
    return dict(evaluate_run(run, qrels, [measure], ties=ties).values[measure])


def evaluate_run(
    run: Run,
    qrels: Qrels,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    ties: Ties | str = Ties.RUN,
    depth: int = 10,
) -> Evaluation:
    """Compute measures for each query, and account for the queries that are missing or left out.

    By default, all measures are of one ranking, that of the run, and queries without a relevant
    document are left out. ``ties="trec_eval"`` gives what the ``ir_measures`` command prints: each
    tool orders equal scores in its own way, and queries without a relevant document count 0. The
    exception is a query for which a tool gives no value, as for ``Accuracy``: it always counts 0.

    Args:
        run: the rankings.
        qrels: the judgments.
        measures: names in ir-measures' notation, e.g. ``nDCG@10``, ``R@100``, ``AP(rel=2)``.
        ties: the order of equal scores.
        depth: the number of documents of a query in which unjudged and tied ones are looked for.

    Raises:
        DataError: a measure, ``ties`` or ``depth`` is invalid, no query has a relevant document, or
            a measure cannot be computed from the judgments.
    """
    parsed, ties, relevant = _parse_all(measures), _as_ties(ties), _with_relevant(qrels)
    if depth < 1:
        raise DataError(f"depth must be >= 1, got {depth}")
    _check_grades(parsed, qrels)
    counted = list(qrels.judgments) if ties is Ties.TREC_EVAL else relevant
    first = {query: _first(run.rankings.get(query, ()), depth + 1, ties) for query in counted}
    holes = {query: _holes(first[query][:depth], qrels.judgments[query]) for query in counted}
    return Evaluation(
        values=_values(parsed, counted, run, qrels, ties),
        missing=tuple(query for query in relevant if not first[query]),
        without_relevant=_difference(qrels.judgments, set(relevant)),
        unjudged=_difference(run.rankings, qrels.judgments),
        holes={query: number for query, number in holes.items() if number},
        tied=tuple(query for query in counted if _has_tie(first[query])),
        depth=depth,
    )


def _with_relevant(qrels: Qrels) -> list[str]:
    if not qrels.judgments:
        raise DataError("qrels must have judgments, got none: check the file")
    found = [
        query for query, grades in qrels.judgments.items() if max(grades.values(), default=0) >= 1
    ]
    if not found:
        raise DataError(
            "qrels must have a relevant document (a grade >= 1) for a query, got none for "
            f"{len(qrels.judgments):,} queries: check the grades"
        )
    return found


def _difference(queries: Iterable[str], others: Container[str]) -> tuple[str, ...]:
    return tuple(query for query in queries if query not in others)


def _first(ranking: Sequence[ScoredDocument], count: int, ties: Ties) -> Sequence[ScoredDocument]:
    """Return the first documents of a ranking, with the scores that order them."""
    if ties is Ties.RUN or not ranking:
        return ranking[:count]
    last = _as_float32(ranking[:count][-1].score)
    equal = takewhile(lambda hit: _as_float32(hit.score) == last, ranking[count:])
    rounded = [(_as_float32(hit.score), hit.doc_id) for hit in chain(ranking[:count], equal)]
    return [
        ScoredDocument(doc_id, score) for score, doc_id in sorted(rounded, reverse=True)[:count]
    ]


def _as_float32(score: float) -> float:
    return array("f", [score])[0]


def _holes(ranking: Sequence[ScoredDocument], grades: Mapping[str, int]) -> int:
    return sum(hit.doc_id not in grades for hit in ranking)


def _has_tie(ranking: Sequence[ScoredDocument]) -> bool:
    return any(one.score == other.score for one, other in pairwise(ranking))


def _values(
    measures: Mapping[str, Measure], counted: Sequence[str], run: Run, qrels: Qrels, ties: Ties
) -> dict[str, dict[str, float]]:
    """Return the value of each counted query, by the name of the measure.

    Queries are computed in groups, because the tools behind ir-measures copy rankings.
    """
    found: dict[Measure, dict[str, float]] = {measure: {} for measure in measures.values()}
    for group in _groups(counted, run) if measures else ():
        for query, measure, value in _calculate(list(found), group, run, qrels, ties):
            found[measure][query] = float(value)
    return {
        name: {query: found[measure].get(query, measure.DEFAULT) for query in counted}
        for name, measure in measures.items()
    }


def _groups(queries: Sequence[str], run: Run) -> Iterator[list[str]]:
    """Yield the queries that have documents, in groups of few documents; at least one group.

    ir-measures checks the measures even if there is nothing to compute.
    """
    group: list[str] = []
    documents = 0
    found = [query for query in queries if run.rankings.get(query)]
    for query in found:
        group.append(query)
        documents += len(run.rankings[query])
        if documents >= _GROUP and query != found[-1]:
            yield group
            group, documents = [], 0
    yield group


def _calculate(
    measures: Sequence[Measure], queries: Sequence[str], run: Run, qrels: Qrels, ties: Ties
) -> Iterator[tuple[str, Measure, float]]:
    """Yield what ir-measures computes. Queries are numbers in it: gdeval reads no other ids."""
    import ir_measures

    score = _scores_of_ranks if ties is Ties.RUN else dict
    judged = {str(i): _grades(qrels.judgments[query]) for i, query in enumerate(queries)}
    rankings = {str(i): score(run.rankings[query]) for i, query in enumerate(queries)}
    try:
        for each in ir_measures.iter_calc(list(measures), judged, rankings):
            yield queries[int(each.query_id)], each.measure, each.value
    except (ValueError, ArithmeticError, LookupError, OSError, subprocess.SubprocessError) as error:
        names = ", ".join(map(str, measures))
        raise DataError(f"ir-measures cannot compute {names}: {error}") from error


def _grades(grades: Mapping[str, int]) -> dict[str, int]:
    """Return grades for trec_eval, which writes outside its memory if all of them are negative."""
    return dict(grades) if max(grades.values(), default=0) >= 0 else dict.fromkeys(grades, 0)


def _scores_of_ranks(ranking: Sequence[ScoredDocument]) -> dict[str, float]:
    """Return scores that fall strictly by rank and are exact as float32."""
    if len(ranking) > _LONGEST_RANKING:
        limit = f"{_LONGEST_RANKING:,}"
        raise DataError(
            f"a ranking must have at most {limit} documents, got {len(ranking):,}; cut it"
        )
    return {hit.doc_id: float(len(ranking) - place) for place, hit in enumerate(ranking)}


def _aggregate(name: str, values: Iterable[float]) -> float:
    aggregator = _parse(name).aggregator()
    for value in values:
        aggregator.add(value)
    return float(aggregator.result())


def _as_ties(value: Ties | str) -> Ties:
    try:
        return Ties(value)
    except ValueError:
        raise DataError(f"ties must be one of {', '.join(Ties)}, got {value!r}") from None


def _check_grades(measures: Mapping[str, Measure], qrels: Qrels) -> None:
    err = next((name for name, measure in measures.items() if measure.NAME == "ERR"), None)
    name, limit = ("a measure", _LARGEST_GRADE) if err is None else (err, _ERR_GRADE)
    for query, grades in qrels.judgments.items():
        if max(grades.values(), default=0) > limit:
            raise DataError(
                f"{name} needs grades <= {limit:,}, got {max(grades.values())} "
                f"for query {query!r}; map the grades to 0 ... {min(limit, 4)}"
            )


def _parse_all(measures: Sequence[str]) -> dict[str, Measure]:
    if isinstance(measures, str):
        raise DataError(f"measures must be a list of names, got {measures!r}; pass [{measures!r}]")
    return {name: _parse(name) for name in measures}


def _parse(name: str) -> Measure:
    try:
        measure = _find(name)
        measure.validate_params()  # type: ignore[no-untyped-call]
    except (ValueError, NameError, SyntaxError, TypeError, AssertionError, AttributeError) as error:
        raise DataError(
            f"unknown measure {name!r}: give names as ir-measures writes them, e.g. nDCG@10"
        ) from error
    # trec_eval aborts the process on a cutoff of 0.
    numbers = [value for value in measure.params.values() if type(value) is int]
    if not all(1 <= value < 2**31 for value in numbers):
        raise DataError(f"the numbers of a measure must be from 1 to 2^31 - 1, got {name!r}")
    for gain in measure.params.get("gains", {}).values():
        if type(gain) is not int or not 0 <= gain <= _LARGEST_GRADE:
            raise DataError(
                f"the gains of a measure must be integers from 0 to {_LARGEST_GRADE:,}, "
                f"got {name!r}"
            )
    return measure


def _find(name: str) -> Measure:
    import ir_measures

    plain = _PLAIN.fullmatch(name)
    factory = ir_measures.measures.registry.get(plain[1]) if plain else None
    if plain is None or factory is None:
        # The parser of ir-measures <= 0.4.3 uses names of `ast` that Python 3.14 lacks.
        return ir_measures.parse_measure(name)
    measure: Measure = factory @ int(plain[2]) if plain[2] else factory
    return measure
